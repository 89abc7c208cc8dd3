namespace Darts.Norm;

/// <summary>Called before a module's forward.</summary>
/// <param name="module">The module that is called.</param>
/// <param name="args">Its arguments.</param>
/// <returns>Null to leave the arguments alone; otherwise the new ones: an array, or the only one itself.</returns>
public delegate object? ForwardPreHook(nn.Module module, object?[] args);

/// <summary>Called before a module's forward, with PyTorch's keyword arguments.</summary>
/// <param name="module">The module that is called.</param>
/// <param name="args">Its arguments.</param>
/// <param name="kwargs">Empty: .NET has no keyword arguments that a callee would see.</param>
/// <returns>Null to leave the arguments alone; otherwise the new ones.</returns>
public delegate (object?[] args, IDictionary<string, object?> kwargs)? ForwardPreHookWithKwargs(nn.Module module, object?[] args, IDictionary<string, object?> kwargs);

/// <summary>Called after a module's forward.</summary>
/// <param name="module">The module that was called.</param>
/// <param name="args">The arguments that forward got.</param>
/// <param name="output">What it answered.</param>
/// <returns>Null to leave the output alone; otherwise the new one.</returns>
public delegate object? ForwardHook(nn.Module module, object?[] args, object? output);

/// <summary>Called after a module's forward, with PyTorch's keyword arguments.</summary>
/// <param name="module">The module that was called.</param>
/// <param name="args">The arguments that forward got.</param>
/// <param name="kwargs">Empty: .NET has no keyword arguments that a callee would see.</param>
/// <param name="output">What it answered.</param>
/// <returns>Null to leave the output alone; otherwise the new one.</returns>
public delegate object? ForwardHookWithKwargs(nn.Module module, object?[] args, IDictionary<string, object?> kwargs, object? output);

/// <summary>Called in a backward pass before a module's own backward.</summary>
/// <param name="module">The module.</param>
/// <param name="grad_output">The gradient of each of its outputs; null where there is none. They live until the module's hooks have run: <c>detach()</c> or <c>clone()</c> one to keep it.</param>
/// <returns>Null to leave the gradients alone; otherwise the new ones.</returns>
public delegate Tensor?[]? BackwardPreHook(nn.Module module, Tensor?[] grad_output);

/// <summary>Called in a backward pass after a module's own backward.</summary>
/// <param name="module">The module.</param>
/// <param name="grad_input">The gradient of each of its inputs; null for what is no tensor, and everywhere where none needs a gradient. They live until the module's hooks have run: <c>detach()</c> or <c>clone()</c> one to keep it.</param>
/// <param name="grad_output">The gradient of each of its outputs; null where there is none.</param>
/// <returns>Null to leave the gradients alone; otherwise the inputs' new ones.</returns>
public delegate Tensor?[]? BackwardHook(nn.Module module, Tensor?[] grad_input, Tensor?[] grad_output);

/// <summary>Called when a module has written its state.</summary>
/// <param name="module">The module.</param>
/// <param name="state_dict">The dictionary so far, a <see cref="StateDict"/> unless the caller gave another; to be changed in place.</param>
/// <param name="prefix">Where the module stands in it: empty, or a path that ends in a dot.</param>
/// <param name="local_metadata">The module's metadata: <c>version</c>.</param>
public delegate void StateDictPostHook(nn.Module module, Dictionary<string, Tensor> state_dict, string prefix, IDictionary<string, object> local_metadata);

/// <summary>Called before a module takes its state from a dictionary.</summary>
/// <param name="module">The module.</param>
/// <param name="state_dict">The entries of the module and of what is below it; to be changed in place.</param>
/// <param name="prefix">Where the module stands in it: empty, or a path that ends in a dot.</param>
/// <param name="local_metadata">What was saved as the module's metadata: <c>version</c>, or nothing; <c>assign_to_params_buffers</c> under assign.</param>
/// <param name="strict">True, as in PyTorch, whatever the caller said.</param>
/// <param name="missing_keys">The missing keys so far.</param>
/// <param name="unexpected_keys">The unexpected keys so far.</param>
/// <param name="error_msgs">The other faults so far; what is added becomes part of the error.</param>
public delegate void LoadStateDictPreHook(
    nn.Module module,
    StateDict state_dict,
    string prefix,
    IDictionary<string, object> local_metadata,
    bool strict,
    IList<string> missing_keys,
    IList<string> unexpected_keys,
    IList<string> error_msgs);
