using System.Runtime.InteropServices;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Loads a state dictionary into a network with PyTorch's checks, hooks and texts, all or nothing.</summary>
/// <remarks>
/// Nothing is written before everything is checked, except that hooks and <c>set_extra_state</c> see what PyTorch shows them: what was read so far is written before one runs,
/// and taken back where the loading fails.
/// </remarks>
internal sealed class StateLoading : IDisposable
{
    /// <summary>The key, in <see cref="Exception.Data"/> of a loading's error, of the errors that restoring the old state ended in.</summary>
    private const string NotTakenBack = "not taken back";

    private readonly List<string> _missing = [];
    private readonly List<string> _unexpected = [];
    private readonly List<string> _errors = [];
    private readonly Queue<Action> _pending = new();
    private readonly Stack<Action> _undo = new();
    private readonly List<Tensor> _own = []; // no DisposeScope: it would take what a hook makes and keeps
    private readonly bool _isGradEnabled = is_grad_enabled();
    private readonly IDictionary<string, IDictionary<string, object>>? _metadata;
    private readonly Replace? _replace;
    private readonly bool _withExtraState;
    private bool _isSnapshotTaken;

    /// <summary>Puts data in the place of the module's parameter or buffer, and answers how to take that back; what that needs is given to <paramref name="own"/>.</summary>
    public delegate Action Replace(nn.Module module, string name, Tensor old, Tensor data, Action<Tensor> own);

    private StateLoading(IDictionary<string, IDictionary<string, object>>? metadata, Replace? replace, bool withExtraState) =>
        (_metadata, _replace, _withExtraState) = (metadata, replace, withExtraState);

    /// <param name="module">The module that takes the values.</param>
    /// <param name="source">Values by key.</param>
    /// <param name="strict">Whether missing and unexpected keys are errors.</param>
    /// <param name="replace">Null to copy values; otherwise the module takes the dictionary's tensors, with their dtype and device, by this where a tensor cannot become another in place.</param>
    /// <param name="skip">Keys to leave alone.</param>
    /// <param name="withExtraState">Whether the values are to have the extra state: TorchSharp's own <c>state_dict</c> and <c>save</c> don't.</param>
    public static IncompatibleKeys Load(
        nn.Module module, IEnumerable<KeyValuePair<string, Tensor>> source, bool strict, Replace? replace, ICollection<string> skip, bool withExtraState = true)
    {
        using var loading = new StateLoading((source as StateDict)?.metadata, replace, withExtraState);
        using var noGrad = no_grad();
        try
        {
            loading.Load(module, new(source.Where(entry => !skip.Contains(entry.Key))), "", module, skip, 0);
            loading.RequireNoFault(module, strict);
            loading.Write();
            loading.RequireNoFault(module, strict);
        }
        catch (Exception error)
        {
            loading.Undo(error);
            throw;
        }
        return new(loading._missing, loading._unexpected);
    }

    public void Dispose() => _own.ForEach(tensor => tensor.Dispose());

    private void Load(nn.Module module, StateDict state, string prefix, nn.Module root, ICollection<string> skip, int depth)
    {
        var localMetadata = new Dictionary<string, object>();
        if (_metadata is not null && _metadata.TryGetValue(prefix.Length == 0 ? "" : prefix[..^1], out var saved))
            localMetadata = new(saved);
        if (_replace is not null)
            localMetadata["assign_to_params_buffers"] = true;
        foreach (var hook in ModuleRecord.Find(module)?.LoadStateDictPreHooks.Hooks ?? [])
            Run(root, () => hook(module, state, prefix, localMetadata, true, _missing, _unexpected, _errors));

        LoadOwn(module, state, prefix, root, skip);
        var parts = state.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal)).ToLookup(entry => FirstOf(entry.Key[prefix.Length..]));
        foreach (var (name, child) in Registry.Children(module, depth))
        {
            var below = $"{prefix}{name}.";
            Load(child, new(parts[FirstOf(name)].Where(entry => entry.Key.StartsWith(below, StringComparison.Ordinal))), below, root, skip, depth + 1);
        }

        var keys = new IncompatibleKeys(_missing, _unexpected);
        foreach (var hook in ModuleRecord.Find(module)?.LoadStateDictPostHooks.Hooks ?? [])
            Run(root, () => hook(module, keys));
    }

    private void LoadOwn(nn.Module module, StateDict state, string prefix, nn.Module root, ICollection<string> skip)
    {
        var own = new HashSet<string>();
        foreach (var (name, parameter) in Registry.Parameters(module))
            LoadTensor(name, parameter, value => Assign(module, name, parameter, value));
        foreach (var (name, buffer, persistent) in Registry.Buffers(module).Where(entry => entry.persistent))
            LoadTensor(name, buffer, value => Assign(module, name, buffer, value));

        var extraKey = prefix + StateSaving.ExtraState;
        if (module is IExtraState extra)
        {
            if (state.TryGetValue(extraKey, out var extraState))
                SetExtraState(extra, extraState, extraKey, root);
            else if (_withExtraState)
                _missing.Add(extraKey);
        }
        else if (state.ContainsKey(extraKey))
        {
            _unexpected.Add(extraKey);
        }

        var children = Registry.Children(module).Select(entry => entry.name).Concat(ModuleRecord.Find(module)?.NullModules ?? []).ToHashSet();
        foreach (var key in state.Keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal) && key != extraKey))
        {
            var name = key[prefix.Length..]; // with dots, as "out_proj.weight" of TorchSharp's MultiheadAttention, if it is not a child's
            if (!own.Contains(name) && !(name.Contains('.', StringComparison.Ordinal) && children.Contains(FirstOf(name))))
                _unexpected.Add(key);
        }

        void LoadTensor(string name, Tensor target, Action<Tensor> assign)
        {
            own.Add(name);
            var key = prefix + name;
            if (!state.TryGetValue(key, out var value))
            {
                if (!skip.Contains(key))
                    _missing.Add(key);
                return;
            }
            if (value is not null && !value.IsInvalid && target.dim() == 0 && value.dim() == 1 && value.size(0) > 0)
                value = Own(value[0]); // as PyTorch did for files of version 0.3
            if (Fault(key, value, target) is { } fault)
                _errors.Add(fault);
            else
                _pending.Enqueue(() => Try(key, value!, target, _replace is null ? value => Copy(target, value) : assign));
        }
    }

    private static string FirstOf(string path) => path.Split('.', 2)[0];

    private string? Fault(string key, Tensor? value, Tensor target)
    {
        if (value is null)
            return $"While copying the parameter named \"{key}\", expected torch.Tensor or Tensor-like object from checkpoint but received <class 'NoneType'>";
        if (value.IsInvalid)
            return $"no value for {key}: the tensor is disposed.";
        if (!value.shape.AsSpan().SequenceEqual(target.shape))
            return $"size mismatch for {key}: copying a param with shape {PythonText.TorchSize(value)} from checkpoint, the shape in current model is {PythonText.TorchSize(target)}.";
        if (value.is_sparse != target.is_sparse)
            return Failed(key, value, target, "copy_() between dense and sparse Tensors is not implemented! Convert it first: to_dense(), or to_sparse()");
        if (_replace is not null)
        {
            return target is Parameter { requires_grad: true } && !is_floating_point(value) && !is_complex(value)
                ? Failed(key, value, target, "Only Tensors of floating point and complex dtype can require gradients")
                : null;
        }
        if (value.is_quantized() && !target.is_quantized())
            return Failed(key, value, target, "Copying from quantized Tensor to non-quantized Tensor is not allowed, please use dequantize to get a float Tensor from a quantized Tensor");
        if (InPlace.WhyNot(target) is { } why)
            return Failed(key, value, target, why);
        if (is_complex(value) && !is_complex(target))
            return $"dtype mismatch for {key}: a {value.dtype} value does not fit into a {target.dtype} parameter. Convert it first: {Require.Converted(value, "value")}.";
        if ((value.device_type == DeviceType.META) != (target.device_type == DeviceType.META))
            return $"no values for {key}: it is on {value.device} in the dictionary and on {target.device} in this layer, and the meta device holds none. Pass assign: true to pytorch().load_state_dict, or move the layer with to_empty first.";
        return null;
    }

    // Faults that only libtorch knows of.
    private void Try(string key, Tensor value, Tensor target, Action<Tensor> write)
    {
        try
        {
            write(value);
        }
        catch (ExternalException error)
        {
            _errors.Add(Failed(key, value, target, TorchScript.Told(error)));
        }
    }

    private static string Failed(string key, Tensor value, Tensor target, string why) =>
        $"While copying the parameter named \"{key}\", whose dimensions in the model are {PythonText.TorchSize(target)} and whose dimensions in the checkpoint are {PythonText.TorchSize(value)}, an exception occurred : ('{why}',).";

    private void Copy(Tensor target, Tensor value)
    {
        if (!_isSnapshotTaken && target.device_type != DeviceType.META)
        {
            var old = Own(target.clone());
            _undo.Push(() => target.copy_(old));
        }
        target.copy_(value);
    }

    // The module's tensor object stays where it can, so that an optimizer and the other names of a tied parameter go on with it.
    private void Assign(nn.Module module, string name, Tensor target, Tensor value)
    {
        var data = Own(value.detach());
        if (InPlace.IsPossible(target, value.device))
        {
            var (old, grad) = (Own(target.detach()), target.grad);
            if (grad is not null)
                Own(grad);
            _undo.Push(() => InPlace.SetData(target, old, grad));
            InPlace.SetData(target, data, grad: null);
        }
        else
        {
            _undo.Push(_replace!(module, name, target, data, _own.Add));
        }
    }

    private void SetExtraState(IExtraState extra, Tensor state, string key, nn.Module root)
    {
        if (state is null || state.IsInvalid)
        {
            _errors.Add($"no value for {key}: the tensor is null or disposed.");
            return;
        }
        Run(root, () =>
        {
            var old = Own(StateSaving.ExtraStateOf(extra));
            _undo.Push(() => extra.set_extra_state(old));
            extra.set_extra_state(state);
        });
    }

    // Somebody else's code: it must see what was loaded so far, and may change any tensor of the network.
    private void Run(nn.Module root, Action action)
    {
        if (!_isSnapshotTaken)
        {
            foreach (var tensor in Traversal.Modules(root).SelectMany(Registry.Tensors).Where(tensor => tensor.device_type != DeviceType.META && InPlace.WhyNot(tensor) is null))
            {
                var old = Own(tensor.clone());
                _undo.Push(() => tensor.copy_(old));
            }
            _isSnapshotTaken = true;
        }
        Write();
        using var mode = set_grad_enabled(_isGradEnabled);
        action();
    }

    private void Write()
    {
        while (_pending.TryDequeue(out var write))
            write();
    }

    private void Undo(Exception cause)
    {
        List<Exception> failures = [];
        while (_undo.TryPop(out var undo))
        {
            try
            {
                undo();
            }
            catch (Exception error)
            {
                failures.Add(error);
            }
        }
        if (failures.Count > 0 && cause.Data is { IsReadOnly: false } data) // the first error keeps its type
            data[NotTakenBack] = new AggregateException("The loading failed, and so did a set_extra_state that was to take the old state back.", failures);
    }

    private Tensor Own(Tensor tensor)
    {
        _own.Add(tensor);
        return tensor;
    }

    private void RequireNoFault(nn.Module module, bool strict)
    {
        if (strict && _unexpected.Count > 0)
            _errors.Insert(0, $"Unexpected key(s) in state_dict: {Quote(_unexpected)}. ");
        if (strict && _missing.Count > 0)
            _errors.Insert(0, $"Missing key(s) in state_dict: {Quote(_missing)}. ");
        if (_errors.Count > 0)
            throw new InvalidOperationException($"Error(s) in loading state_dict for {PythonText.ClassName(module)}:\n\t{string.Join("\n\t", _errors)}");
    }

    private static string Quote(IEnumerable<string> keys) => string.Join(", ", keys.Select(key => $"\"{key}\""));
}
