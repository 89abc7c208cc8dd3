using Darts.Norm.Kernels;

namespace Darts.Norm;

/// <summary>The level and scale of each series of a batch, as <see cref="RINorm.normalize"/> took them.</summary>
/// <remarks>
/// <para>
/// Kept in Float64, shown in the dtype of the input. They belong to whoever got them and live until <see cref="Dispose"/>, whatever
/// DisposeScope they were made in. Any number of threads may use them at once; one that still computes with them when another disposes them finishes its call.
/// </para>
/// <para>Shape: (batch, 1, ..., 1, components), with as many axes as the input. Units: those of the input.</para>
/// <example>
/// <code>
/// var (normalised, statistics) = rin.normalize(past);
/// using (statistics)
///     forecast = rin.inverse(network.call(normalised), statistics);
/// </code>
/// </example>
/// </remarks>
public sealed class RINormStatistics : IDisposable
{
    private readonly object _lock = new();
    private Tensor? _mean;
    private Tensor? _stdev;
    private int _holders = 1; // a call in flight on another thread holds what the owner may dispose meanwhile: the last to release frees
    private int _isDisposed;
    private int _reader; // the thread that was shown a tensor; Several if more were

    private const int Several = -1;

    private const int Planes = 4;

    private const uint ShownLast = 4;

    [ThreadStatic]
    private static Tensor[]? _shownLast; // to this thread: TorchSharp does not keep a tensor alive while libtorch reads it, and another thread may drop these meanwhile

    [ThreadStatic]
    private static uint _shownCount;

    /// <param name="values"><see cref="Values"/>. Owned from here on.</param>
    /// <param name="dtype">The dtype that <see cref="mean"/> and <see cref="stdev"/> show.</param>
    internal RINormStatistics(Tensor values, ScalarType dtype)
        : this(values, dtype, values.shape[1..])
    {
    }

    private RINormStatistics(Tensor values, ScalarType dtype, long[] shape)
    {
        Values = values.DetachFromDisposeScope();
        this.dtype = dtype;
        Shape = shape;
    }

    /// <summary>The level: the mean, or with <see cref="RINorm.subtract_last"/> the last value. Not to be disposed.</summary>
    public Tensor mean => With(held => held.Mean);

    /// <summary>The scale: √(var + eps), but no less than <see cref="RINorm.min_stdev"/>. Not to be disposed.</summary>
    public Tensor stdev => With(held => held.Stdev);

    /// <summary>The dtype that <see cref="mean"/> and <see cref="stdev"/> show.</summary>
    public ScalarType dtype { get; }

    /// <summary>Where they lie.</summary>
    public Device device => With(held => held.Device);

    /// <summary>(batch, 1, ..., 1, components).</summary>
    public long[] shape => [.. Shape];

    internal IReadOnlyList<long> Shape { get; }

    /// <summary>As <see cref="mean"/>, for one who holds these.</summary>
    internal Tensor Mean => Shown(0, ref _mean);

    /// <summary>As <see cref="stdev"/>, for one who holds these.</summary>
    internal Tensor Stdev => Shown(2, ref _stdev);

    /// <summary>As <see cref="device"/>, for one who holds these.</summary>
    internal Device Device => Values.device;

    /// <summary>Stacked along the first axis: mean, what it lost by rounding, stdev, and what that lost (zero where the series are Float32).</summary>
    internal Tensor Values { get; }

    /// <summary>The statistics of some of the batch's series.</summary>
    /// <param name="range">Which of them: <c>statistics[..16]</c>, <c>statistics[^1..]</c>.</param>
    /// <returns>Statistics of their own, to be disposed.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range goes beyond the batch.</exception>
    public RINormStatistics this[Range range]
    {
        get
        {
            var (start, end) = (range.Start.GetOffset((int)Shape[0]), range.End.GetOffset((int)Shape[0]));
            return narrow(start, end - start);
        }
    }

    /// <summary>The statistics of some of the batch's series.</summary>
    /// <param name="start">The first of them.</param>
    /// <param name="length">How many.</param>
    /// <returns>Statistics of their own, to be disposed.</returns>
    /// <exception cref="ArgumentOutOfRangeException">They go beyond the batch.</exception>
    public RINormStatistics narrow(long start, long length)
    {
        if (start < 0 || length < 0 || start > Shape[0] - length)
            throw new ArgumentOutOfRangeException(
                nameof(start), start, $"narrow takes series within the batch of {Shape[0]}, but was asked for {length} from {start} on. Ask for series of this batch.");
        return Copied(values => values.narrow(1, start, length).clone(), dtype);
    }

    /// <summary>A copy on another device.</summary>
    /// <param name="device">Where to.</param>
    /// <returns>Statistics of their own, to be disposed.</returns>
    public RINormStatistics to(Device device)
    {
        Require.NotNull(device, "a device", "Name one: torch.CPU, say.");
        return Copied(values => values.to(device, copy: true), dtype);
    }

    /// <summary>A copy that shows another dtype. Nothing is lost: they stay in Float64 inside.</summary>
    /// <param name="dtype">Float16, BFloat16, Float32 or Float64.</param>
    /// <returns>Statistics of their own, to be disposed.</returns>
    public RINormStatistics to(ScalarType dtype) => Copied(values => values.clone(), Require.FloatingPoint(dtype, nameof(RINormStatistics)));

    /// <summary>Frees them, when nobody computes with them any more.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            Drop();
    }

    /// <summary>The dtype that these give with an input and parameters.</summary>
    internal ScalarType Promote(ScalarType input, Tensor? affine_weight, Tensor? affine_bias)
    {
        var joined = Joined(input, dtype);
        if (affine_weight is not null)
            joined = Joined(joined, affine_weight.dtype);
        return affine_bias is null ? joined : Joined(joined, affine_bias.dtype);

        static ScalarType Joined(ScalarType a, ScalarType b) => a == b ? a : promote_types(a, b);
    }

    /// <summary>Statistics of the series of <paramref name="x"/>, still to be taken where kernels do it on the way, on the CPU.</summary>
    internal static RINormStatistics Of(Tensor x, StatisticsOptions options, MissingValues gaps)
    {
        if (x.device_type != DeviceType.CPU || x.numel() == 0)
            return new(Formulas.SeriesStatistics(x, options, gaps), x.dtype);
        var shape = new long[x.dim()];
        shape.AsSpan().Fill(1);
        (shape[0], shape[^1]) = (x.size(0), x.size(-1)); // a shape takes longer to ask for
        return new(TensorMemory.New([Planes, .. shape], ScalarType.Float64), x.dtype, shape);
    }

    /// <summary>What was kept of <see cref="Values"/>, as these were.</summary>
    internal unsafe Tensor Copy(Float64Buffer kept)
    {
        var copy = TensorMemory.New([Planes, .. Shape], ScalarType.Float64);
        var bytes = copy.numel() * sizeof(double);
        Buffer.MemoryCopy(kept.At, TensorMemory.Start(copy), bytes, bytes);
        return copy;
    }

    /// <summary>A copy that shows another dtype or lies on another device. Tensors that were shown follow to it.</summary>
    internal RINormStatistics Moved(ScalarType dtype, Device device)
    {
        using var noGrad = no_grad();
        var moved = new RINormStatistics(Values.to(device, copy: true), dtype);
        if (!InPlace.IsPossible(Values, device))
            return moved;
        lock (_lock)
        {
            (moved._mean, moved._stdev, moved._reader) = (_mean, _stdev, _reader);
            (_mean, _stdev) = (null, null);
            moved.Refresh(0, moved._mean);
            moved.Refresh(2, moved._stdev);
        }
        return moved;
    }

    /// <summary>Keeps them from being freed until <see cref="Release"/>.</summary>
    /// <exception cref="ObjectDisposedException">They are disposed.</exception>
    internal RINormStatistics Hold() =>
        Volatile.Read(ref _isDisposed) == 0 && TryHold()
            ? this
            : throw new ObjectDisposedException(nameof(RINormStatistics), "The statistics of RINorm must be used before they are disposed, but Dispose was called. Dispose them after the last inverse.");

    internal bool TryHold()
    {
        for (var holders = Volatile.Read(ref _holders); holders > 0; holders = Volatile.Read(ref _holders))
        {
            if (Interlocked.CompareExchange(ref _holders, holders + 1, holders) == holders)
                return true;
        }
        return false;
    }

    internal void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
            Values.Dispose();
    }

    // Ends the owner's hold, and the tensors that were shown.
    private void Drop()
    {
        lock (_lock)
        {
            if (_reader == Environment.CurrentManagedThreadId) // else another thread may be computing with them: left to the garbage collector
            {
                _mean?.Dispose();
                _stdev?.Dispose();
            }
            (_mean, _stdev) = (null, null);
        }
        Release();
    }

    private Tensor Shown(long row, ref Tensor? shown)
    {
        lock (_lock)
        {
            var thread = Environment.CurrentManagedThreadId;
            _reader = _reader == 0 || _reader == thread ? thread : Several;
            if (shown is null || shown.IsInvalid)
                shown = Row(row).DetachFromDisposeScope();
            return (_shownLast ??= new Tensor[ShownLast])[_shownCount++ % ShownLast] = shown;
        }
    }

    private RINormStatistics Copied(Func<Tensor, Tensor> copy, ScalarType shown) => With(held =>
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return new RINormStatistics(copy(held.Values).MoveToOuterDisposeScope(), shown);
    });

    private T With<T>(Func<RINormStatistics, T> use)
    {
        Hold();
        try
        {
            return use(this);
        }
        finally
        {
            Release();
        }
    }

    private Tensor Row(long row)
    {
        using var noGrad = no_grad();
        using var view = Values.select(0, row);
        return view.to(dtype, copy: true);
    }

    private void Refresh(long row, Tensor? shown)
    {
        if (shown is null || shown.IsInvalid)
            return;
        using var data = Row(row);
        InPlace.SetData(shown, data, grad: null);
    }
}
