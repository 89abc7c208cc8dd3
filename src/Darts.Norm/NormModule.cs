using System.Runtime.CompilerServices;
using Darts.Norm.Kernels;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>
/// What the four layers share: parameters that survive scopes, casts and moves, loading that checks before it writes, and PyTorch's text.
/// </summary>
/// <remarks>
/// <para>
/// Casts and moves (<c>to</c>, <c>half</c>, <c>cpu</c>, ...) change the parameters in place, as in PyTorch: an optimizer
/// that was built before goes on training the layer. (TorchSharp's own modules get new <see cref="Parameter"/> objects.)
/// </para>
/// <para>
/// How exact the results are: outputs within 4 units in the last place of their row's or series' largest value, gradients within 8 of their formula's largest term. Statistics and sums are
/// Float64. Results of Float32 are written in Float32 wherever that stays within these bounds, else in Float64 and rounded once; half precision is computed as Float32 and rounded at the end.
/// The exceptions stand in docs/numerics.md.
/// </para>
/// <para>Use after <c>Dispose</c>: <see cref="ObjectDisposedException"/>.</para>
/// </remarks>
public abstract class NormModule : nn.Module<Tensor, Tensor>, IExtraRepr
{
    // Parameters that a move replaced, with their replacements: layers that share one go on sharing.
    private static readonly ConditionalWeakTable<Parameter, Parameter> Replacements = [];

    private readonly Device _parameterDevice;
    private readonly ScalarType _parameterDtype;
    private volatile bool _disposed;
    private int _calls; // in flight
    private int _freed;

    private protected NormModule(string name, Device? device, ScalarType? dtype)
        : base(name)
    {
        _parameterDevice = device ?? get_default_device();
        _parameterDtype = Require.FloatingPoint(dtype ?? get_default_dtype(), name);
        _deviceType = _parameterDevice.type;
        _deviceIndex = _parameterDevice.type == DeviceType.CUDA ? _parameterDevice.index : -1;
    }

    /// <summary>A flag of PyTorch's classes without a meaning in .NET.</summary>
    public static bool call_super_init => false;

    /// <summary>A flag of PyTorch's classes without a meaning in .NET.</summary>
    public static bool dump_patches => false;

    /// <summary>What stands between the parentheses of the layer's text.</summary>
    /// <returns>PyTorch's text: the arguments of a LayerNorm, nothing for the others.</returns>
    public virtual string extra_repr() => "";

    /// <summary>The layer's text, as PyTorch prints it.</summary>
    /// <returns>The class name and <see cref="extra_repr"/> in parentheses.</returns>
    public override string ToString() => ModuleText.Of(this);

    /// <summary>The layer's parameters and persistent buffers by name.</summary>
    /// <param name="destination">A dictionary to add to; a new one by default.</param>
    /// <param name="prefix">Put before each key, with a dot between; Python's spelling that ends in the dot is taken as well.</param>
    /// <returns>The dictionary. The tensors are the layer's own, not copies.</returns>
    /// <exception cref="ObjectDisposedException">The layer, or a parameter of it, is disposed.</exception>
    public override Dictionary<string, Tensor> state_dict(Dictionary<string, Tensor>? destination = null, string? prefix = null)
    {
        RequireNotDisposed();
        RequireLiving(); // TorchSharp leaves out what is disposed
        return base.state_dict(destination, prefix?.TrimEnd('.'));
    }

    /// <summary>Copies values from a state dictionary, all or none: every key and shape is checked before anything is written.</summary>
    /// <param name="source">Values by key. Other floating-point dtypes are converted.</param>
    /// <param name="strict">Whether missing and unexpected keys are errors. A wrong shape always is.</param>
    /// <param name="skip">Keys to leave alone.</param>
    /// <returns>The keys that <paramref name="source"/> lacks, and those that this layer lacks.</returns>
    /// <exception cref="InvalidOperationException">With PyTorch's text, every fault listed; nothing was written.</exception>
    public override (IList<string> missing_keys, IList<string> unexpected_keyes) load_state_dict(
        Dictionary<string, Tensor> source, bool strict = true, IList<string>? skip = null)
    {
        RequireNotDisposed();
        Require.NotNull(source, "a state dictionary");
        var keys = StateLoading.Load(this, source, strict, replace: null, skip ?? [], withExtraState: false);
        return (keys.missing_keys, keys.unexpected_keys);
    }

    /// <summary>Writes the layer's parameters and persistent buffers to a file, in the form that <c>load</c> reads.</summary>
    /// <remarks>TorchSharp's own, which a network's <c>save</c> is, refuses a parameter that is not contiguous, halfway through the file.</remarks>
    /// <param name="location">The file's path. A file that is there is overwritten.</param>
    /// <param name="skip">Keys to leave out.</param>
    /// <returns>This layer.</returns>
    /// <exception cref="InvalidOperationException">A tensor has no values, being on the meta device, or is not dense; the file is as it was.</exception>
    /// <exception cref="ObjectDisposedException">The layer, or a parameter of it, is disposed; the file is as it was.</exception>
    public new nn.Module save(string location, IList<string>? skip = null)
    {
        Require.NotNull(location, "the path of a file");
        return Save(() => new BinaryWriter(File.Create(location)), skip);
    }

    /// <summary>Writes the layer's parameters and persistent buffers, in the form that <c>load</c> reads, and closes the stream.</summary>
    /// <param name="stream">Where to write to.</param>
    /// <param name="skip">Keys to leave out.</param>
    /// <returns>This layer.</returns>
    /// <exception cref="InvalidOperationException">A tensor has no values, being on the meta device, or is not dense; nothing was written.</exception>
    /// <exception cref="ObjectDisposedException">The layer, or a parameter of it, is disposed; nothing was written.</exception>
    public new nn.Module save(Stream stream, IList<string>? skip = null)
    {
        Require.NotNull(stream, "a stream to write to");
        return Save(() => new BinaryWriter(stream), skip);
    }

    /// <summary>Writes the layer's parameters and persistent buffers, in the form that <c>load</c> reads.</summary>
    /// <param name="writer">Where to write to; it stays open.</param>
    /// <param name="skip">Keys to leave out.</param>
    /// <returns>This layer.</returns>
    /// <exception cref="InvalidOperationException">A tensor has no values, being on the meta device, or is not dense; nothing was written.</exception>
    /// <exception cref="ObjectDisposedException">The layer, or a parameter of it, is disposed; nothing was written.</exception>
    public new nn.Module save(BinaryWriter writer, IList<string>? skip = null)
    {
        Require.NotNull(writer, "a writer");
        using var scope = NewDisposeScope();
        save_state_dict(writer, Savable(), skip);
        return this;
    }

    private NormModule Save(Func<BinaryWriter> open, IList<string>? skip)
    {
        using var scope = NewDisposeScope();
        var state = Savable(); // before a file is overwritten
        using var writer = open();
        save_state_dict(writer, state, skip);
        return this;
    }

    // TorchSharp writes the memory behind a tensor: copies have it in order, and no sign that is to be changed on reading.
    private Dictionary<string, Tensor> Savable()
    {
        using var noGrad = no_grad();
        var state = state_dict();
        foreach (var (key, tensor) in state)
        {
            if (!Require.IsDense(tensor))
                throw new InvalidOperationException($"{GetType().Name}.save writes dense tensors, but '{key}' is of another layout, {Require.Describe(tensor)}. Assign a dense one first: layer.{key} = torch.nn.Parameter(...).");
        }
        return state.ToDictionary(entry => entry.Key, entry => entry.Value.device_type != DeviceType.META
            ? entry.Value.cpu().clone().contiguous()
            : throw new InvalidOperationException(
                $"{GetType().Name}.save must have values to write, but '{entry.Key}' is on the meta device, which holds none. Move the layer with to_empty, and load or reset its parameters first."));
    }

    /// <summary>Reads what <c>save</c> wrote, all or none, with the checks of <see cref="load_state_dict"/>.</summary>
    /// <param name="reader">Where to read from. What follows the weights stays unread.</param>
    /// <param name="strict">Whether missing and unexpected keys are errors. A wrong shape always is.</param>
    /// <param name="skip">Keys to leave alone.</param>
    /// <param name="loadedParameters">Receives each key that was read, and whether the layer has it.</param>
    /// <returns>This layer.</returns>
    /// <exception cref="EndOfStreamException">The bytes end before the weights do; nothing was written.</exception>
    /// <exception cref="InvalidDataException">The bytes are no weights: nothing was written, nor memory taken for what is not there.</exception>
    /// <exception cref="InvalidOperationException">The weights do not fit the layer; nothing was written.</exception>
    public override nn.Module load(
        BinaryReader reader, bool strict = true, IList<string>? skip = null, Dictionary<string, bool>? loadedParameters = null)
    {
        RequireNotDisposed();
        Require.NotNull(reader, "a reader of what save wrote");
        return Load(() => StateFile.Read(reader), strict, skip, loadedParameters);
    }

    /// <summary>Reads a file that <c>save</c> wrote, all or none, with the checks of <see cref="load_state_dict"/>.</summary>
    /// <param name="location">The file's path. Nothing may follow the weights.</param>
    /// <param name="strict">Whether missing and unexpected keys are errors. A wrong shape always is.</param>
    /// <param name="skip">Keys to leave alone.</param>
    /// <param name="loadedParameters">Receives each key that was read, and whether the layer has it.</param>
    /// <returns>This layer.</returns>
    /// <exception cref="IOException">The file is not there, cannot be read or ends before the weights do; nothing was written.</exception>
    /// <exception cref="InvalidDataException">The file holds no weights, or something else besides: nothing was written, nor memory taken for what is not there.</exception>
    /// <exception cref="InvalidOperationException">The weights do not fit the layer; nothing was written.</exception>
    public override nn.Module load(
        string location, bool strict = true, IList<string>? skip = null, Dictionary<string, bool>? loadedParameters = null)
    {
        RequireNotDisposed();
        Require.NotNull(location, "the path of a file");
        return Load(() => StateFile.Read(location), strict, skip, loadedParameters);
    }

    private NormModule Load(Func<Dictionary<string, Tensor>> read, bool strict, IList<string>? skip, Dictionary<string, bool>? loadedParameters)
    {
        using var scope = NewDisposeScope();
        var source = read();
        var (_, unexpected) = load_state_dict(source, strict, skip);
        var own = state_dict();
        foreach (var key in source.Keys)
            loadedParameters?[key] = skip?.Contains(key) == true ? own.ContainsKey(key) : !unexpected.Contains(key);
        return this;
    }

    /// <summary>The buffers by name. (TorchSharp's own modules never list one that is not persistent.)</summary>
    /// <param name="recurse">Whether to list those of submodules as well.</param>
    /// <param name="include_nonpersistent">Whether to list those that stay out of <see cref="state_dict"/>.</param>
    /// <returns>Name and buffer, each buffer once.</returns>
    public override IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_nonpersistent = true)
    {
        var seen = new HashSet<IntPtr>();
        foreach (var (name, (buffer, persistent)) in _internal_buffers)
        {
            if ((persistent || include_nonpersistent) && !buffer.IsInvalid && seen.Add(buffer.Handle))
                yield return (name, buffer);
        }
        if (!recurse)
            yield break;
        foreach (var (childName, child) in _internal_submodules)
        {
            foreach (var (name, buffer) in child.named_buffers(true, include_nonpersistent))
            {
                if (seen.Add(buffer.Handle))
                    yield return ($"{childName}.{name}", buffer);
            }
        }
    }

    /// <summary>The parameter of this name.</summary>
    /// <param name="target">A key of <see cref="state_dict"/>.</param>
    /// <returns>The layer's own parameter.</returns>
    /// <exception cref="MissingMemberException">There is none. (TorchSharp's own modules answer null.)</exception>
    public override Parameter get_parameter(string target)
    {
        RequireNotDisposed();
        return base.get_parameter(Require.NotNull(target, "the name of a parameter")) ?? throw new MissingMemberException($"{GetType().Name} has no attribute `{target}`");
    }

    /// <summary>The buffer of this name.</summary>
    /// <param name="target">A key of <see cref="state_dict"/>.</param>
    /// <returns>The layer's own buffer.</returns>
    /// <exception cref="MissingMemberException">There is none. (TorchSharp's own modules answer null.)</exception>
    public override Tensor get_buffer(string target)
    {
        RequireNotDisposed();
        return base.get_buffer(Require.NotNull(target, "the name of a buffer")) ?? throw new MissingMemberException($"{GetType().Name} has no attribute `{target}`");
    }

    /// <inheritdoc/>
    protected override nn.Module _to(Device device, ScalarType dtype, bool non_blocking)
    {
        RequireMovable(device.type);
        return base._to(device, dtype, non_blocking);
    }

    /// <inheritdoc/>
    protected override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking)
    {
        RequireMovable(deviceType);
        base._to(deviceType, deviceIndex, non_blocking);
        // The base does nothing where it believes the layer to be; an assigned parameter or RINorm's statistics may be elsewhere.
        _toEpilog(deviceType, _deviceIndex, non_blocking);
        return this;
    }

    /// <inheritdoc/>
    protected override nn.Module _to(ScalarType dtype, bool non_blocking)
    {
        RequireNotDisposed();
        return base._to(dtype, non_blocking);
    }

    /// <summary>Takes along what the layer keeps beside parameters and buffers.</summary>
    internal virtual void MoveKept(ScalarType? dtype, Device? device)
    {
    }

    /// <inheritdoc/>
    protected override void _toEpilog(ScalarType? dtype, Device? device, bool non_blocking)
    {
        using var scope = NewDisposeScope();
        foreach (var key in _internal_params.Keys.ToList())
        {
            if (_internal_params[key].IsInvalid && Replacements.TryGetValue(_internal_params[key], out var replacement))
                ConditionallyRegisterParameter(key, replacement);
        }
        RequireLiving();
        var keys = _internal_params.Keys.ToList();
        var parameters = _internal_params.Values.ToList();
        foreach (var parameter in parameters.Where(parameter => InPlace.IsPossible(parameter, device)))
            InPlace.Convert(parameter, dtype, device, non_blocking);
        var passing = _internal_buffers.Keys.Where(name => !_internal_buffers[name].Item2).ToList();
        base._toEpilog(dtype, device, non_blocking);
        foreach (var name in passing) // the base makes every buffer that it converts persistent
            _internal_buffers[name] = (_internal_buffers[name].Item1, false);
        foreach (var (key, before) in keys.Zip(parameters))
        {
            if (ReferenceEquals(_internal_params[key], before))
                continue;
            Replacements.AddOrUpdate(before, _internal_params[key]);
            before.Dispose(); // an optimizer that holds it must fail, not train it in vain
        }
        MoveKept(dtype, device);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        if (!disposing)
            base.Dispose(disposing);
        else
            FreeUnlessInFlight();
    }

    // The last of a call in flight on another thread and Dispose frees what the call may still read.
    private void FreeUnlessInFlight()
    {
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _calls) == 0 && Interlocked.Exchange(ref _freed, 1) == 0)
            base.Dispose(true);
    }

    /// <summary>Keeps the parameters alive until it is disposed, whoever disposes the layer meanwhile.</summary>
    private protected InFlight Enter()
    {
        Interlocked.Increment(ref _calls);
        if (_disposed)
        {
            Leave();
            RequireNotDisposed();
        }
        return new(this);
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _calls) == 0 && _disposed)
            FreeUnlessInFlight();
    }

    private protected readonly ref struct InFlight(NormModule layer)
    {
        public void Dispose() => layer.Leave();
    }

    // The registry of nn.Module is the one place that holds a parameter: no field can go stale when it is replaced.
    private protected Parameter? ParameterNamed(string key)
    {
        RequireNotDisposed();
        return _internal_params.TryGetValue(key, out var parameter) ? parameter : null;
    }

    private protected void Assign(string key, Parameter? value, ReadOnlySpan<long> shape)
    {
        RequireNotDisposed();
        if (value is not null)
            Require.ParameterLike(value, _internal_params.TryGetValue(key, out var old) ? old : null, shape, GetType().Name, key);
        ConditionallyRegisterParameter(key, value?.DetachFromDisposeScope() as Parameter);
    }

    private protected Parameter NewParameter(ReadOnlySpan<long> shape)
    {
        using var _ = no_grad();
        try
        {
            return (Parameter)nn.Parameter(empty(shape, _parameterDtype, _parameterDevice)).DetachFromDisposeScope();
        }
        catch (System.Runtime.InteropServices.ExternalException error)
        {
            var what = $"a parameter of size {Require.Size(shape)}, dtype {_parameterDtype}, on {_parameterDevice}: {error.Message.Split('\n')[0]}";
            throw TensorMemory.IsShortage(error)
                ? new InsufficientMemoryException($"{GetName()} could not allocate {what}", error)
                : new ArgumentException($"{GetName()} needs a device that this libtorch has, but could not make {what}", error);
        }
    }

    private protected bool IsDisposed => _disposed;

    internal void RequireNotDisposed()
    {
        if (_disposed)
            throw new ObjectDisposedException(
                GetType().FullName, $"{GetType().Name} must be used before it is disposed, but Dispose was called. Dispose it after its last use, or make a new one.");
    }

    private void RequireLiving()
    {
        foreach (var (key, parameter) in _internal_params)
            Require.Living(parameter, GetType().Name, key);
    }

    private void RequireMovable(DeviceType target)
    {
        RequireNotDisposed();
        if (target == DeviceType.META)
            return;
        foreach (var (key, parameter) in _internal_params)
        {
            if (!parameter.IsInvalid && parameter.device_type == DeviceType.META)
                throw new InvalidOperationException(
                    $"Cannot move {GetType().Name} from the meta device to {target}: a meta tensor has no values, and '{key}' is one. "
                    + "Make the layer anew on the target device, then load_state_dict.");
        }
    }
}
