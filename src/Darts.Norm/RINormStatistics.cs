namespace Darts.Norm;

/// <summary>The level and scale of each series of a batch, in float64, shared by whoever holds them.</summary>
/// <remarks>
/// A call in flight on another thread may still read statistics that the layer has already replaced: each holder counts,
/// and the last to release them frees the tensors. Not a <see cref="Tensor"/> field of the module, or it would be saved as a buffer.
/// </remarks>
internal sealed class RINormStatistics
{
    private readonly object _lock = new();
    private Tensor? _mean;
    private Tensor? _stdev;
    private int _holders = 1;
    private int _reader; // the thread that was shown a tensor; Several if more were

    private const int Several = -1;

    /// <param name="values">Stacked along the first axis: mean, what it lost by rounding, stdev. Owned from here on.</param>
    /// <param name="dtype">The dtype that <see cref="Mean"/> and <see cref="Stdev"/> show.</param>
    public RINormStatistics(Tensor values, ScalarType dtype)
    {
        Values = values.DetachFromDisposeScope();
        Dtype = dtype;
        Shape = values.shape[1..];
    }

    public ScalarType Dtype { get; }

    /// <summary>(batch, 1, ..., 1, components).</summary>
    public IReadOnlyList<long> Shape { get; }

    public Device Device => Values.device;

    /// <summary>The mean in <see cref="Dtype"/>, alive as long as the statistics.</summary>
    public Tensor Mean => Shown(0, ref _mean);

    /// <summary>The stdev in <see cref="Dtype"/>, alive as long as the statistics.</summary>
    public Tensor Stdev => Shown(2, ref _stdev);

    /// <summary>Stacked along the first axis: mean, what it lost by rounding, stdev.</summary>
    public Tensor Values { get; }

    /// <summary>The dtype that these give with an input and parameters.</summary>
    public ScalarType Promote(ScalarType input, Tensor? affine_weight, Tensor? affine_bias)
    {
        var dtype = Joined(input, Dtype);
        return affine_weight is null ? dtype : Joined(Joined(dtype, affine_weight.dtype), affine_bias!.dtype);

        static ScalarType Joined(ScalarType a, ScalarType b) => a == b ? a : promote_types(a, b);
    }

    /// <summary>Statistics of the series of <paramref name="x"/>, still to be taken where kernels do it on the way, on the CPU.</summary>
    public static RINormStatistics Of(Tensor x, double eps)
    {
        if (x.device_type != DeviceType.CPU || x.numel() == 0)
            return new(Formulas.SeriesStatistics(x, eps), x.dtype);
        var shape = x.shape;
        shape.AsSpan(1, shape.Length - 2).Fill(1);
        return new(empty([3, .. shape], ScalarType.Float64), x.dtype);
    }

    /// <summary>A copy that shows another dtype or lies on another device. Tensors that were shown follow to it.</summary>
    public RINormStatistics To(ScalarType dtype, Device device)
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

    public bool TryHold()
    {
        for (var holders = Volatile.Read(ref _holders); holders > 0; holders = Volatile.Read(ref _holders))
        {
            if (Interlocked.CompareExchange(ref _holders, holders + 1, holders) == holders)
                return true;
        }
        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
            Values.Dispose();
    }

    /// <summary>The layer lets go: its hold ends, and so do the tensors that were shown.</summary>
    public void Drop()
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
            return shown is null || shown.IsInvalid ? shown = Row(row).DetachFromDisposeScope() : shown;
        }
    }

    private Tensor Row(long row)
    {
        using var noGrad = no_grad();
        using var view = Values.select(0, row);
        return view.to(Dtype, copy: true);
    }

    private void Refresh(long row, Tensor? shown)
    {
        if (shown is null || shown.IsInvalid)
            return;
        using var data = Row(row);
        InPlace.SetData(shown, data);
    }
}
