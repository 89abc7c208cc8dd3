namespace Darts.Norm;

/// <summary>The level and scale of each series of a batch, in float64, shared by whoever holds them.</summary>
/// <remarks>
/// A call in flight on another thread may still read statistics that the layer has already replaced: each holder counts,
/// and the last to release them frees the tensors. Not a <see cref="Tensor"/> field of the module, or it would be saved as a buffer.
/// </remarks>
internal sealed class RINormStatistics
{
    private readonly Tensor _values;
    private readonly object _lock = new();
    private Tensor? _mean;
    private Tensor? _stdev;
    private int _holders = 1;
    private int _reader; // the thread that was shown a tensor; Several if more were

    private const int Several = -1;

    /// <param name="values">Mean and stdev stacked along the first axis; owned from here on.</param>
    /// <param name="dtype">The dtype that <see cref="Mean"/> and <see cref="Stdev"/> show.</param>
    public RINormStatistics(Tensor values, ScalarType dtype)
    {
        _values = values.DetachFromDisposeScope();
        Dtype = dtype;
        Shape = values.shape[1..];
    }

    public ScalarType Dtype { get; }

    /// <summary>(batch, 1, ..., 1, components).</summary>
    public IReadOnlyList<long> Shape { get; }

    public Device Device => _values.device;

    /// <summary>The mean in <see cref="Dtype"/>, alive as long as the statistics.</summary>
    public Tensor Mean => Shown(0, ref _mean);

    /// <summary>The stdev in <see cref="Dtype"/>, alive as long as the statistics.</summary>
    public Tensor Stdev => Shown(1, ref _stdev);

    /// <summary>Mean and stdev for a computation; they belong to the caller's scope.</summary>
    public (Tensor mean, Tensor stdev) Values() => (_values.select(0, 0), _values.select(0, 1));

    /// <summary>A copy that shows another dtype or lies on another device. Tensors that were shown follow to it.</summary>
    public RINormStatistics To(ScalarType dtype, Device device)
    {
        using var noGrad = no_grad();
        var moved = new RINormStatistics(_values.to(device, copy: true), dtype);
        if (!InPlace.IsPossible(_values, device))
            return moved;
        lock (_lock)
        {
            (moved._mean, moved._stdev, moved._reader) = (_mean, _stdev, _reader);
            (_mean, _stdev) = (null, null);
            moved.Refresh(0, moved._mean);
            moved.Refresh(1, moved._stdev);
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
            _values.Dispose();
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
        using var view = _values.select(0, row);
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
