using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>A module with the members of PyTorch's <c>nn.Module</c>: their arguments, order, defaults, errors and texts. Made by <c>module.pytorch()</c>.</summary>
/// <remarks>
/// <para>
/// TorchSharp's own members of these names are other ones: <c>net.named_modules()</c> leaves the module itself out, <c>net.load_state_dict(...)</c> checks no shape. Here are PyTorch's,
/// for any module of TorchSharp or of one's own. The view holds nothing: make one wherever it is needed.
/// </para>
/// <para>Errors: PyTorch's texts, in the .NET types that docs/modules.md lists under Errors.</para>
/// <para>Source: <c>torch/nn/modules/module.py</c> of PyTorch 2.13.</para>
/// <example>
/// <code>
/// foreach (var (name, parameter) in net.pytorch().named_parameters(prefix: "net"))
///     Console.WriteLine($"{name} {parameter.requires_grad}");
/// var (missing, unexpected) = net.pytorch().load_state_dict(state, strict: false);
/// </code>
/// </example>
/// </remarks>
/// <typeparam name="T">The module's type.</typeparam>
[RequiresUnreferencedCode(Attributes.Why)]
[RequiresDynamicCode(ForwardHooks.Why)]
public sealed class PyTorchModule<T>
    where T : nn.Module
{
    internal PyTorchModule(T module)
    {
        Require.NotNull(module, "a module", caller: "pytorch");
        this.module = module;
    }

    /// <summary>The module itself.</summary>
    public T module { get; }

    /// <summary>Whether the module is in training mode.</summary>
    public bool training => module.training;

    /// <summary>A flag of PyTorch's classes without a meaning in .NET.</summary>
    public bool call_super_init => false;

    /// <summary>A flag of PyTorch's classes without a meaning in .NET.</summary>
    public bool dump_patches => false;

    private ModuleRecord Record => ModuleRecord.Of(module);

    // Traversal

    /// <summary>The modules right below, each once.</summary>
    /// <returns>In the order of registration.</returns>
    public IEnumerable<nn.Module> children() => named_children().Select(entry => entry.module);

    /// <summary>The modules right below by name, each once.</summary>
    /// <returns>In the order of registration.</returns>
    public IEnumerable<(string name, nn.Module module)> named_children() => Traversal.NamedChildren(module);

    /// <summary>The module itself and all below it, each once.</summary>
    /// <returns>Depth first, a module before what is below it.</returns>
    public IEnumerable<nn.Module> modules() => named_modules().Select(entry => entry.module);

    /// <summary>The module itself and all below it, by path.</summary>
    /// <param name="memo">Modules to leave out, to which those that are listed are added. Default: none.</param>
    /// <param name="prefix">The module's own path. Default: empty.</param>
    /// <param name="remove_duplicate">Whether a module under several names is listed once. Default: true.</param>
    /// <returns>Depth first, a module before what is below it.</returns>
    public IEnumerable<(string name, nn.Module module)> named_modules(ISet<nn.Module>? memo = null, string prefix = "", bool remove_duplicate = true)
    {
        Require.NotNull(prefix, "a prefix", "Pass \"\" for none.");
        return Traversal.NamedModules(module, memo ?? Traversal.NewMemo(), prefix, remove_duplicate);
    }

    /// <summary>The parameters, each once.</summary>
    /// <param name="recurse">Whether to list those of the modules below as well. Default: true.</param>
    /// <returns>In the order of <see cref="named_modules"/>.</returns>
    public IEnumerable<Parameter> parameters(bool recurse = true) => named_parameters(recurse: recurse).Select(entry => entry.parameter);

    /// <summary>The parameters by path.</summary>
    /// <param name="prefix">The module's own path. Default: empty.</param>
    /// <param name="recurse">Whether to list those of the modules below as well. Default: true.</param>
    /// <param name="remove_duplicate">Whether a parameter under several names is listed once. Default: true.</param>
    /// <returns>In the order of <see cref="named_modules"/>.</returns>
    public IEnumerable<(string name, Parameter parameter)> named_parameters(string prefix = "", bool recurse = true, bool remove_duplicate = true)
    {
        Require.NotNull(prefix, "a prefix", "Pass \"\" for none.");
        return Traversal.NamedParameters(module, prefix, recurse, remove_duplicate);
    }

    /// <summary>The buffers, those that are not persistent too, each once.</summary>
    /// <param name="recurse">Whether to list those of the modules below as well. Default: true.</param>
    /// <returns>In the order of <see cref="named_modules"/>.</returns>
    public IEnumerable<Tensor> buffers(bool recurse = true) => named_buffers(recurse: recurse).Select(entry => entry.buffer);

    /// <summary>The buffers by path, those that are not persistent too.</summary>
    /// <param name="prefix">The module's own path. Default: empty.</param>
    /// <param name="recurse">Whether to list those of the modules below as well. Default: true.</param>
    /// <param name="remove_duplicate">Whether a buffer under several names is listed once. Default: true.</param>
    /// <returns>In the order of <see cref="named_modules"/>.</returns>
    public IEnumerable<(string name, Tensor buffer)> named_buffers(string prefix = "", bool recurse = true, bool remove_duplicate = true)
    {
        Require.NotNull(prefix, "a prefix", "Pass \"\" for none.");
        return Traversal.NamedBuffers(module, prefix, recurse, remove_duplicate);
    }

    /// <summary>The module at a path.</summary>
    /// <param name="target">Names with dots between; empty for the module itself.</param>
    /// <returns>The module.</returns>
    /// <exception cref="MissingMemberException">There is none, or something else.</exception>
    public nn.Module get_submodule(string target)
    {
        Require.NotNull(target, "the path of a module");
        return Lookup.Submodule(module, target);
    }

    /// <summary>The parameter at a path.</summary>
    /// <param name="target">Names with dots between.</param>
    /// <returns>The module's own parameter.</returns>
    /// <exception cref="MissingMemberException">There is none, or something else.</exception>
    public Parameter get_parameter(string target)
    {
        Require.NotNull(target, "the path of a parameter");
        return Lookup.Parameter(module, target);
    }

    /// <summary>The buffer at a path.</summary>
    /// <param name="target">Names with dots between.</param>
    /// <returns>The module's own buffer; null where the name was registered without a value.</returns>
    /// <exception cref="MissingMemberException">There is none, or something else.</exception>
    public Tensor? get_buffer(string target)
    {
        Require.NotNull(target, "the path of a buffer");
        return Lookup.Buffer(module, target);
    }

    /// <summary>Calls a function with all below and the module itself.</summary>
    /// <param name="fn">The function.</param>
    /// <returns>The module.</returns>
    public T apply(Action<nn.Module> fn)
    {
        Require.NotNull(fn, "a function of a module");
        Each(module, 0);
        return module;

        void Each(nn.Module module, int depth)
        {
            foreach (var (_, child) in Traversal.NamedChildren(module, depth))
                Each(child, depth + 1);
            fn(module);
        }
    }

    // Registration

    /// <summary>Adds a module, or puts it in the place of the one of this name.</summary>
    /// <param name="name">Its name, without a dot.</param>
    /// <param name="module">The module; null registers the name without one.</param>
    /// <exception cref="KeyNotFoundException">PyTorch's KeyError: an empty name, one with a dot, or one that another member has.</exception>
    /// <exception cref="ArgumentException">The module contains this one.</exception>
    public void add_module(string name, nn.Module? module) => Registration.Module(this.module, name, module);

    /// <summary>Another name of <see cref="add_module"/>.</summary>
    /// <param name="name">Its name, without a dot.</param>
    /// <param name="module">The module; null registers the name without one.</param>
    /// <exception cref="KeyNotFoundException">PyTorch's KeyError: an empty name, one with a dot, or one that another member has.</exception>
    /// <exception cref="ArgumentException">The module contains this one.</exception>
    public void register_module(string name, nn.Module? module) => add_module(name, module);

    /// <summary>Puts a module at a path, in the place of the one there; fields that hold that one hold the new one afterwards.</summary>
    /// <param name="target">Names with dots between.</param>
    /// <param name="module">The module. It is not checked whether it takes and answers what its neighbours expect.</param>
    /// <param name="strict">Whether there must be a module of this name. Default: false.</param>
    /// <exception cref="ArgumentException">The path is empty, or the module contains what it would be put into.</exception>
    /// <exception cref="MissingMemberException">There is no such parent, something else has the name, or (if strict) nothing has.</exception>
    /// <exception cref="ArgumentTypeException">The field or list that holds the old one cannot hold the new one. Nothing is changed.</exception>
    public void set_submodule(string target, nn.Module module, bool strict = false)
    {
        Require.NotNull(target, "the path of a module");
        Registration.Submodule(this.module, target, module, strict);
    }

    /// <summary>Adds a buffer, or puts it in the place of the one of this name. It leaves its DisposeScope.</summary>
    /// <param name="name">Its name, without a dot.</param>
    /// <param name="tensor">The buffer; null registers the name without one: not in the state, and unexpected when loaded.</param>
    /// <param name="persistent">Whether it is part of the state. Default: true.</param>
    /// <exception cref="KeyNotFoundException">PyTorch's KeyError: an empty name, one with a dot, or one that another member has.</exception>
    public void register_buffer(string name, Tensor? tensor, bool persistent = true) => Registration.Buffer(module, name, tensor, persistent);

    /// <summary>Adds a parameter, or puts it in the place of the one of this name. It leaves its DisposeScope.</summary>
    /// <param name="name">Its name, without a dot.</param>
    /// <param name="param">The parameter; null registers the name without one: not in the state, and unexpected when loaded.</param>
    /// <exception cref="KeyNotFoundException">PyTorch's KeyError: an empty name, one with a dot, or one that another member has.</exception>
    /// <exception cref="ArgumentException">The parameter was computed from others.</exception>
    public void register_parameter(string name, Parameter? param) => Registration.Parameter(module, name, param);

    // State

    /// <summary>The parameters, persistent buffers and extra states by path.</summary>
    /// <param name="destination">A dictionary to add to. Default: a new one.</param>
    /// <param name="prefix">Put before each key as it is: a path ends in a dot. Default: empty.</param>
    /// <param name="keep_vars">Whether the tensors are the module's own. Default: false: detached, with the same values behind them, and the caller's to dispose.</param>
    /// <returns>The dictionary. A parameter under several names is there under each.</returns>
    public StateDict state_dict(StateDict? destination = null, string prefix = "", bool keep_vars = false)
    {
        Require.NotNull(prefix, "a prefix", "Pass \"\" for none.");
        return StateSaving.Save(module, destination ?? new StateDict(), prefix, keep_vars);
    }

    /// <summary>Adds the parameters, persistent buffers and extra states by path to a plain dictionary, which takes no metadata.</summary>
    /// <param name="destination">The dictionary to add to.</param>
    /// <param name="prefix">Put before each key as it is: a path ends in a dot. Default: empty.</param>
    /// <param name="keep_vars">Whether the tensors are the module's own. Default: false: detached, with the same values behind them, and the caller's to dispose.</param>
    /// <returns>The dictionary.</returns>
    public Dictionary<string, Tensor> state_dict(Dictionary<string, Tensor> destination, string prefix = "", bool keep_vars = false)
    {
        Require.NotNull(destination, "a dictionary to add to");
        Require.NotNull(prefix, "a prefix", "Pass \"\" for none.");
        return StateSaving.Save(module, destination, prefix, keep_vars);
    }

    /// <summary>Takes values from a state dictionary, all or none.</summary>
    /// <param name="state_dict">Tensors by path. Other dtypes and devices are converted.</param>
    /// <param name="strict">Whether missing and unexpected keys are errors. A wrong shape always is. Default: true.</param>
    /// <param name="assign">Whether the module takes the dictionary's tensors, with their dtype and device, instead of copies; <c>requires_grad</c> stays the module's. Default: false.</param>
    /// <returns>The keys that the dictionary lacks, and those that the module lacks.</returns>
    /// <exception cref="InvalidOperationException">With PyTorch's text: every missing key, unexpected key and size mismatch. The module is as it was, also where a hook threw: its
    /// error goes through, and has under "not taken back" in its <c>Data</c> that of a <c>set_extra_state</c> which did not take the old state back.</exception>
    public IncompatibleKeys load_state_dict(IEnumerable<KeyValuePair<string, Tensor>> state_dict, bool strict = true, bool assign = false)
    {
        if (state_dict is null)
            throw new ArgumentTypeException("Expected state_dict to be dict-like, got <class 'NoneType'>.");
        return StateLoading.Load(module, state_dict, strict, assign ? Placement.Renew : null, []);
    }

    /// <summary>The module's extra state.</summary>
    /// <returns>What its <see cref="IExtraState"/> gives.</returns>
    /// <exception cref="InvalidOperationException">The module has none: it does not implement <see cref="IExtraState"/>.</exception>
    public Tensor get_extra_state() => StateSaving.ExtraStateOf(ExtraState(nameof(get_extra_state)));

    /// <summary>Gives the module's extra state back.</summary>
    /// <param name="state">What <see cref="get_extra_state"/> gave.</param>
    /// <exception cref="InvalidOperationException">The module has none: it does not implement <see cref="IExtraState"/>.</exception>
    public void set_extra_state(Tensor state)
    {
        Require.NotNull(state, "a tensor");
        ExtraState(nameof(set_extra_state)).set_extra_state(state);
    }

    /// <summary>Calls a hook before the module writes its state, in its own <c>state_dict</c> and in that of what it is part of.</summary>
    /// <param name="hook">Gets the module, its prefix, and keep_vars.</param>
    /// <returns>Removes the hook.</returns>
    public RemovableHandle register_state_dict_pre_hook(Action<nn.Module, string, bool> hook) => Record.StateDictPreHooks.Add(hook);

    /// <summary>Calls a hook after the module and all below it wrote their state.</summary>
    /// <param name="hook">May change the dictionary in place.</param>
    /// <returns>Removes the hook.</returns>
    public RemovableHandle register_state_dict_post_hook(StateDictPostHook hook) => Record.StateDictPostHooks.Add(hook);

    /// <summary>Calls a hook before the module takes its state, in its own <c>load_state_dict</c> and in that of what it is part of.</summary>
    /// <param name="hook">May change the dictionary and the lists in place.</param>
    /// <returns>Removes the hook.</returns>
    public RemovableHandle register_load_state_dict_pre_hook(LoadStateDictPreHook hook) => Record.LoadStateDictPreHooks.Add(hook);

    /// <summary>Calls a hook after the module and all below it took their state.</summary>
    /// <param name="hook">May change the lists in place: a strict loading with nothing missing and nothing unexpected succeeds.</param>
    /// <returns>Removes the hook.</returns>
    public RemovableHandle register_load_state_dict_post_hook(Action<nn.Module, IncompatibleKeys> hook) => Record.LoadStateDictPostHooks.Add(hook);

    // Casting and moving

    /// <summary>Makes floating-point parameters and buffers BFloat16.</summary>
    /// <returns>The module.</returns>
    public T bfloat16() => Cast(ScalarType.BFloat16);

    /// <summary>Makes floating-point parameters and buffers Float16.</summary>
    /// <returns>The module.</returns>
    public T half() => Cast(ScalarType.Float16);

    /// <summary>Makes floating-point parameters and buffers Float32.</summary>
    /// <returns>The module.</returns>
    public T @float() => Cast(ScalarType.Float32);

    /// <summary>Makes floating-point parameters and buffers Float64.</summary>
    /// <returns>The module.</returns>
    public T @double() => Cast(ScalarType.Float64);

    /// <summary>Moves parameters and buffers to the CPU.</summary>
    /// <returns>The module.</returns>
    public T cpu() => to(CPU);

    /// <summary>Moves parameters and buffers to a CUDA device.</summary>
    /// <param name="device">Its number. Default: the current one.</param>
    /// <returns>The module.</returns>
    /// <exception cref="InvalidOperationException">TorchSharp's own: there is no CUDA.</exception>
    public T cuda(int? device = null) => to(new Device(DeviceType.CUDA, device ?? -1));

    /// <summary>Moves parameters and buffers to a Graphcore IPU, where libtorch has it; the builds that TorchSharp comes with don't.</summary>
    /// <param name="device">Its number. Default: the current one.</param>
    /// <returns>The module.</returns>
    /// <exception cref="System.Runtime.InteropServices.ExternalException">libtorch's own: it has no such backend. Use <see cref="cpu"/> or <see cref="cuda"/>.</exception>
    public T ipu(int? device = null) => to(new Device(Conversion.IPU, device ?? -1));

    /// <summary>Moves parameters and buffers to an MTIA device, where libtorch has it; the builds that TorchSharp comes with don't.</summary>
    /// <param name="device">Its number. Default: the current one.</param>
    /// <returns>The module.</returns>
    /// <exception cref="System.Runtime.InteropServices.ExternalException">libtorch's own: it has no such backend. Use <see cref="cpu"/> or <see cref="cuda"/>.</exception>
    public T mtia(int? device = null) => to(new Device(Conversion.MTIA, device ?? -1));

    /// <summary>Moves parameters and buffers to an Intel GPU, where libtorch has it; the builds that TorchSharp comes with don't.</summary>
    /// <param name="device">Its number. Default: the current one.</param>
    /// <returns>The module.</returns>
    /// <exception cref="System.Runtime.InteropServices.ExternalException">libtorch's own: it has no such backend. Use <see cref="cpu"/> or <see cref="cuda"/>.</exception>
    public T xpu(int? device = null) => to(new Device(Conversion.XPU, device ?? -1));

    /// <summary>Moves and casts parameters, their gradients, and buffers, in place. Integers are moved and not cast.</summary>
    /// <param name="device">The target. Default: where each is.</param>
    /// <param name="dtype">A floating-point or complex dtype. Default: what each has.</param>
    /// <param name="non_blocking">Whether the copies may go on while the host does other things. Default: false.</param>
    /// <param name="memory_format">The order in memory of tensors of 4 and 5 dimensions. Default: what each has.</param>
    /// <returns>The module.</returns>
    /// <exception cref="ArgumentTypeException">An integer dtype.</exception>
    /// <exception cref="InvalidOperationException">From the meta device, which has no values: use <see cref="to_empty"/>; or channels_last for a tensor of 5 dimensions. Nothing is changed.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such order.</exception>
    public T to(Device? device = null, ScalarType? dtype = null, bool non_blocking = false, memory_format? memory_format = null)
    {
        Conversion.To(module, device, dtype, non_blocking, memory_format);
        return module;
    }

    /// <summary>Casts floating-point and complex parameters, their gradients, and buffers, in place.</summary>
    /// <param name="dtype">A floating-point or complex dtype.</param>
    /// <param name="non_blocking">Without effect on one device. Default: false.</param>
    /// <returns>The module.</returns>
    /// <exception cref="ArgumentTypeException">An integer dtype.</exception>
    public T to(ScalarType dtype, bool non_blocking = false) => to((Device?)null, dtype, non_blocking);

    /// <summary>Moves parameters, their gradients, and buffers, in place.</summary>
    /// <param name="device">The target: <c>cpu</c>, <c>cuda:1</c>, <c>meta</c>.</param>
    /// <param name="dtype">A floating-point or complex dtype. Default: what each has.</param>
    /// <param name="non_blocking">Whether the copies may go on while the host does other things. Default: false.</param>
    /// <returns>The module.</returns>
    /// <exception cref="ArgumentTypeException">An integer dtype.</exception>
    /// <exception cref="InvalidOperationException">There is no such device.</exception>
    public T to(string device, ScalarType? dtype = null, bool non_blocking = false)
    {
        Require.NotNull(device, "the name of a device, \"cpu\" say");
        return to(Named(device), dtype, non_blocking);

        static Device Named(string device)
        {
            try
            {
                return new(device);
            }
            catch (Exception error) when (error is ArgumentException or FormatException or OverflowException) // TorchSharp's, of taking the text apart
            {
                throw new InvalidOperationException($"Invalid device string: '{device}'. Name one that there is: cpu, cuda, cuda:1 or meta, say.", error);
            }
        }
    }

    /// <summary>Moves and casts to where and what a tensor is.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="non_blocking">Whether the copies may go on while the host does other things. Default: false.</param>
    /// <returns>The module.</returns>
    /// <exception cref="ArgumentTypeException">A tensor of integers.</exception>
    public T to(Tensor tensor, bool non_blocking = false)
    {
        Require.NotNull(tensor, "a tensor, whose device and dtype the module gets");
        return to(tensor.device, tensor.dtype, non_blocking);
    }

    /// <summary>Gives parameters and buffers storage without values on a device: the way off the meta device.</summary>
    /// <param name="device">The device; null for where each is.</param>
    /// <param name="recurse">Whether those of the modules below get it as well. Default: true.</param>
    /// <returns>The module.</returns>
    public T to_empty(Device? device, bool recurse = true)
    {
        Conversion.ToEmpty(module, device, recurse);
        return module;
    }

    /// <summary>Casts all parameters and buffers, integers too.</summary>
    /// <param name="dst_type">The dtype.</param>
    /// <returns>The module.</returns>
    /// <exception cref="InvalidOperationException">An integer dtype where a parameter requires a gradient.</exception>
    public T type(ScalarType dst_type)
    {
        Conversion.Type(module, dst_type, null);
        return module;
    }

    /// <summary>Casts all parameters and buffers, integers too, to a dtype and device by PyTorch's name.</summary>
    /// <param name="dst_type"><c>torch.DoubleTensor</c>, <c>torch.cuda.HalfTensor</c>, ...</param>
    /// <returns>The module.</returns>
    /// <exception cref="ArgumentException">There is no such type.</exception>
    public T type(string dst_type)
    {
        Require.NotNull(dst_type, "the name of a tensor type, \"torch.DoubleTensor\" say");
        Conversion.Type(module, dst_type);
        return module;
    }

    /// <summary>Cannot be had: libtorch's shared memory is reached from Python alone.</summary>
    /// <returns>Nothing.</returns>
    /// <exception cref="NotSupportedException">Always.</exception>
    public T share_memory() => throw new NotSupportedException(
        "TorchSharp cannot move tensors into shared memory: in PyTorch that is part of its Python side, not of libtorch. Threads of one process share a module as it is; for another process, save the module and load it there.");

    /// <summary>Sets whether the parameters need a gradient, of the module and all below it.</summary>
    /// <param name="requires_grad">False freezes them. Default: true.</param>
    /// <returns>The module.</returns>
    /// <exception cref="InvalidOperationException">One cannot: it holds integers, or was made in inference mode. All are as they were.</exception>
    public T requires_grad_(bool requires_grad = true)
    {
        var changed = new Stack<Parameter>();
        foreach (var (name, parameter) in named_parameters().Where(entry => entry.parameter.requires_grad != requires_grad))
        {
            try
            {
                parameter.requires_grad = requires_grad;
                changed.Push(parameter);
            }
            catch (ExternalException error)
            {
                while (changed.TryPop(out var other))
                    other.requires_grad = !requires_grad;
                throw new InvalidOperationException(
                    $"{error.Message.Split('\n')[0].TrimEnd('.')}. '{name}' of {PythonText.ClassName(module)} is one that cannot, of {Require.Describe(parameter)}. Cast it, make it outside of inference mode, or set the others' one by one.", error);
            }
        }
        return module;
    }

    /// <summary>Forgets the parameters' gradients.</summary>
    /// <param name="set_to_none">Whether there is none afterwards, or one of zeros. Default: true.</param>
    public void zero_grad(bool set_to_none = true)
    {
        using var noGrad = no_grad();
        foreach (var parameter in parameters())
        {
            using var grad = parameter.grad;
            if (grad is null)
                continue;
            if (set_to_none)
            {
                parameter.grad = null;
                continue;
            }
            using var zero = zeros_like(grad); // a new one: the old may be part of a graph
            parameter.grad = zero;
        }
    }

    /// <summary>Sets the module and all below it to training mode, or out of it.</summary>
    /// <param name="mode">Whether to training mode. Default: true.</param>
    /// <returns>The module.</returns>
    public T train(bool mode = true)
    {
        module.train(mode);
        foreach (var owner in modules())
        {
            var told = owner.named_children().Select(entry => entry.module).ToHashSet(ReferenceEqualityComparer.Instance);
            foreach (var child in Traversal.NamedChildren(owner).Select(entry => entry.module).Where(child => !told.Contains(child)))
                child.train(mode); // TorchSharp's lists tell only what was in them when they were attached
        }
        return module;
    }

    /// <summary>Sets the module and all below it to evaluation mode.</summary>
    /// <returns>The module.</returns>
    public T eval() => train(false);

    /// <summary>Cannot be had: TorchSharp has no <c>torch.compile</c>.</summary>
    /// <param name="args">PyTorch's arguments.</param>
    /// <exception cref="NotSupportedException">Always.</exception>
    public void compile(params object?[] args) => throw new NotSupportedException(
        "TorchSharp has no torch.compile. Call the module as it is: the forward of Darts.Norm's layers runs fused kernels already.");

    /// <summary>Cannot be had: in Python a type variable, for the dictionary that <c>state_dict</c> adds to.</summary>
    /// <returns>Nothing.</returns>
    /// <exception cref="NotSupportedException">Always.</exception>
    public Type T_destination() => throw new NotSupportedException(
        "T_destination is a type variable of Python's type hints, for the dictionary that state_dict adds to. Use StateDict, or a Dictionary<string, Tensor>.");

    // Hooks

    /// <summary>Calls a hook before forward.</summary>
    /// <inheritdoc cref="register_forward_pre_hook(ForwardPreHook, bool, bool)"/>
    public RemovableHandle register_forward_pre_hook(Action<nn.Module, object?[]> hook, bool prepend = false, bool with_kwargs = false)
    {
        Require.NotNull(hook, "a function");
        return register_forward_pre_hook(
            (module, args) =>
            {
                hook(module, args);
                return null;
            },
            prepend,
            with_kwargs);
    }

    /// <summary>Calls a hook before forward, which may replace the arguments.</summary>
    /// <param name="hook">Gets the module and its arguments.</param>
    /// <param name="prepend">Whether it comes before the hooks that there are. Default: false.</param>
    /// <param name="with_kwargs">False: this hook takes none.</param>
    /// <returns>Removes the hook.</returns>
    /// <remarks>Hooks run on <c>call</c>, as in TorchSharp, not on <c>forward</c>.</remarks>
    public RemovableHandle register_forward_pre_hook(ForwardPreHook hook, bool prepend = false, bool with_kwargs = false)
    {
        RequireWithoutKwargs(with_kwargs, "(module, args, kwargs)");
        return Add(Record.ForwardPreHooks, hook, prepend);
    }

    /// <param name="hook">Gets the module, its arguments, and an empty dictionary: .NET has no keyword arguments that a callee would see.</param>
    /// <param name="prepend">Whether it comes before the hooks that there are. Default: false.</param>
    /// <param name="with_kwargs">True: this hook takes them.</param>
    /// <inheritdoc cref="register_forward_pre_hook(ForwardPreHook, bool, bool)"/>
    public RemovableHandle register_forward_pre_hook(ForwardPreHookWithKwargs hook, bool prepend = false, bool with_kwargs = true)
    {
        Require.NotNull(hook, "a function");
        RequireWithKwargs(with_kwargs);
        return Add(Record.ForwardPreHooks, Hook, prepend);

        object? Hook(nn.Module module, object?[] args)
        {
            if (hook(module, args, new Dictionary<string, object?>()) is not var (given, kwargs))
                return null;
            return kwargs is null or { Count: 0 }
                ? given
                : throw new NotSupportedException($"A forward pre-hook returned the keyword arguments {PythonText.List(kwargs.Keys)}, and a module of .NET takes none. Return its arguments in their order.");
        }
    }

    /// <summary>Calls a hook after forward.</summary>
    /// <inheritdoc cref="register_forward_hook(ForwardHook, bool, bool, bool)"/>
    public RemovableHandle register_forward_hook(Action<nn.Module, object?[], object?> hook, bool prepend = false, bool with_kwargs = false, bool always_call = false)
    {
        Require.NotNull(hook, "a function");
        return register_forward_hook(
            (module, args, output) =>
            {
                hook(module, args, output);
                return null;
            },
            prepend,
            with_kwargs,
            always_call);
    }

    /// <summary>Calls a hook after forward, which may replace the output.</summary>
    /// <param name="hook">Gets the module, its arguments and its output.</param>
    /// <param name="prepend">Whether it comes before the hooks that there are. Default: false.</param>
    /// <param name="with_kwargs">False: this hook takes none.</param>
    /// <param name="always_call">Must be false.</param>
    /// <returns>Removes the hook.</returns>
    /// <exception cref="NotSupportedException"><paramref name="always_call"/>: TorchSharp runs no hook where forward throws.</exception>
    /// <remarks>Hooks run on <c>call</c>, as in TorchSharp, not on <c>forward</c>.</remarks>
    public RemovableHandle register_forward_hook(ForwardHook hook, bool prepend = false, bool with_kwargs = false, bool always_call = false)
    {
        RequireWithoutKwargs(with_kwargs, "(module, args, kwargs, output)");
        RequireNotAlways(always_call);
        return Add(Record.ForwardHooks, hook, prepend);
    }

    /// <param name="hook">Gets the module, its arguments, an empty dictionary (.NET has no keyword arguments that a callee would see), and its output.</param>
    /// <param name="prepend">Whether it comes before the hooks that there are. Default: false.</param>
    /// <param name="with_kwargs">True: this hook takes them.</param>
    /// <param name="always_call">Must be false.</param>
    /// <inheritdoc cref="register_forward_hook(ForwardHook, bool, bool, bool)"/>
    public RemovableHandle register_forward_hook(ForwardHookWithKwargs hook, bool prepend = false, bool with_kwargs = true, bool always_call = false)
    {
        Require.NotNull(hook, "a function");
        RequireWithKwargs(with_kwargs);
        RequireNotAlways(always_call);
        return Add(Record.ForwardHooks, (module, args, output) => hook(module, args, new Dictionary<string, object?>(), output), prepend);
    }

    /// <summary>Calls a hook in the backward pass, before the module's own backward.</summary>
    /// <inheritdoc cref="register_full_backward_pre_hook(BackwardPreHook, bool)"/>
    public RemovableHandle register_full_backward_pre_hook(Action<nn.Module, Tensor?[]> hook, bool prepend = false)
    {
        Require.NotNull(hook, "a function");
        return register_full_backward_pre_hook(
            (module, grad_output) =>
            {
                hook(module, grad_output);
                return null;
            },
            prepend);
    }

    /// <summary>Calls a hook in the backward pass, before the module's own backward; it may replace the gradients of the outputs.</summary>
    /// <param name="hook">Gets the module and the gradients of its outputs.</param>
    /// <param name="prepend">Whether it comes before the hooks that there are. Default: false.</param>
    /// <returns>Removes the hook.</returns>
    public RemovableHandle register_full_backward_pre_hook(BackwardPreHook hook, bool prepend = false) => Add(Record.BackwardPreHooks, hook, prepend);

    /// <summary>Calls a hook in the backward pass, after the module's own backward.</summary>
    /// <inheritdoc cref="register_full_backward_hook(BackwardHook, bool)"/>
    public RemovableHandle register_full_backward_hook(Action<nn.Module, Tensor?[], Tensor?[]> hook, bool prepend = false) =>
        register_full_backward_hook(Silent(hook), prepend);

    /// <summary>Calls a hook in the backward pass, after the module's own backward; it may replace the gradients of the inputs.</summary>
    /// <param name="hook">Gets the module, the gradients of its inputs and those of its outputs.</param>
    /// <param name="prepend">Whether it comes before the hooks that there are. Default: false.</param>
    /// <returns>Removes the hook.</returns>
    /// <exception cref="InvalidOperationException">The module has hooks of <see cref="register_backward_hook(BackwardHook)"/>.</exception>
    /// <remarks>
    /// While a module has backward hooks, forward gets views of its inputs and the caller a view of its output: changing one in place is an error. Where no input needs a gradient, the hook
    /// runs before the module's own backward. What a hook throws comes out of <c>backward()</c> as the inner exception of an ExternalException.
    /// </remarks>
    public RemovableHandle register_full_backward_hook(BackwardHook hook, bool prepend = false) => AddBackward(hook, prepend, full: true);

    /// <inheritdoc cref="register_backward_hook(BackwardHook)"/>
    public RemovableHandle register_backward_hook(Action<nn.Module, Tensor?[], Tensor?[]> hook) => register_backward_hook(Silent(hook));

    /// <summary>PyTorch's deprecated hook. It gets what a full one gets; in PyTorch, the gradients of the module's last operation.</summary>
    /// <param name="hook">Gets the module, the gradients of its inputs and those of its outputs.</param>
    /// <returns>Removes the hook.</returns>
    /// <exception cref="InvalidOperationException">The module has full backward hooks.</exception>
    public RemovableHandle register_backward_hook(BackwardHook hook) => AddBackward(hook, prepend: false, full: false);

    // Text

    /// <summary>What stands between the parentheses of the module's own text.</summary>
    /// <returns>What its <see cref="IExtraRepr"/> gives; for TorchSharp's modules PyTorch's text, as far as they tell what they were made with.</returns>
    public string extra_repr() => ModuleText.ExtraRepr(module);

    /// <summary>The network as PyTorch prints it.</summary>
    /// <returns>The module's name, <see cref="extra_repr"/>, and the modules below, indented; equal neighbours of a list as one.</returns>
    public string text() => ModuleText.Of(module);

    /// <summary>Python's <c>repr</c>.</summary>
    /// <returns><see cref="text"/>.</returns>
    public override string ToString() => text();

    private T Cast(ScalarType dtype)
    {
        Conversion.Cast(module, dtype);
        return module;
    }

    private IExtraState ExtraState(string caller) =>
        module as IExtraState ?? throw new InvalidOperationException(
            $"Reached a code path in Module.{caller}() that should never be called. Please file an issue at https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml to report this bug.");

    private RemovableHandle Add<THook>(HookList<THook> hooks, THook hook, bool prepend, [CallerMemberName] string caller = "")
        where THook : Delegate
    {
        Require.NotNull(hook, "a function", caller: caller);
        ForwardHooks.Install(module);
        return hooks.Add(hook, prepend);
    }

    private RemovableHandle AddBackward(BackwardHook hook, bool prepend, bool full, [CallerMemberName] string caller = "")
    {
        if (Record.HasFullBackwardHooks == !full)
            throw new InvalidOperationException("Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one of them.");
        var handle = Add(Record.BackwardHooks, hook, prepend, caller);
        Record.HasFullBackwardHooks = full;
        return handle;
    }

    private static BackwardHook Silent(Action<nn.Module, Tensor?[], Tensor?[]> hook, [CallerMemberName] string caller = "")
    {
        Require.NotNull(hook, "a function", caller: caller);
        return (module, grad_input, grad_output) =>
        {
            hook(module, grad_input, grad_output);
            return null;
        };
    }

    private static void RequireWithoutKwargs(bool with_kwargs, string signature)
    {
        if (with_kwargs)
            throw new ArgumentTypeException($"with_kwargs needs a hook that takes them, {signature}, but this one does not. Add kwargs to its parameters.");
    }

    private static void RequireWithKwargs(bool with_kwargs)
    {
        if (!with_kwargs)
            throw new ArgumentTypeException("A hook that takes kwargs needs with_kwargs: true. Pass it, or leave kwargs out of the hook's parameters.");
    }

    private static void RequireNotAlways(bool always_call)
    {
        if (always_call)
            throw new NotSupportedException("TorchSharp runs no hook where forward throws, so always_call cannot be had. Put try and finally around the call.");
    }
}
