using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>A batch of series, read in groups of time steps: of few components, as many steps as fill whole <see cref="Lanes"/>.</summary>
/// <remarks>Column i of a group belongs to component i mod Width, in every group of every series.</remarks>
internal readonly unsafe struct SeriesGroups
{
    /// <summary>From this many values on, a time step is a group by itself.</summary>
    private const long Wide = 4 * Lanes.Count;

    /// <summary>From this many values on, a longer group is no faster.</summary>
    private const long LongGroup = 8 * Lanes.Count;

    /// <summary>How many values of each of three tensors stay in the nearest cache.</summary>
    private const long NearValues = 2048;

    private readonly Rows _rows;
    private readonly Rows _mask;
    private readonly bool _isMasked;
    private readonly bool _isMaskedByRow;
    private readonly bool _maskLiesTogether;
    private readonly long _together;
    private readonly bool _lieTogether;

    /// <param name="tensor">(batch, ..., last axes). Replaced by a packed copy, in the caller's scope, where the last axes do not lie side by side.</param>
    /// <param name="width">The number of values of a time step: the last axes' sizes multiplied.</param>
    /// <param name="mask">False where a value is missing, which is read as NaN; null where none is. Of the tensor's shape, or with a last axis of 1. Replaced as the tensor is.</param>
    public SeriesGroups(ref Tensor tensor, long width, ref Tensor? mask)
    {
        _rows = new(ref tensor, width);
        Batch = tensor.size(0);
        Steps = _rows.Count / Batch;
        StepsAtATime = Steps / tensor.size(1);
        Width = width;
        _isMasked = mask is not null;
        _together = Together(width, Steps);
        _lieTogether = _rows.LieTogether(Steps);
        if (!_isMasked)
            return;
        _isMaskedByRow = width > 1 && mask!.size(-1) == 1;
        _mask = new(ref mask!, _isMaskedByRow ? 1 : width);
        _maskLiesTogether = _mask.LieTogether(Steps);
    }

    /// <inheritdoc cref="SeriesGroups(ref Tensor, long, ref Tensor?)"/>
    public SeriesGroups(ref Tensor tensor, long width)
    {
        Tensor? none = null;
        this = new(ref tensor, width, ref none);
    }

    public long Batch { get; }

    /// <summary>The time steps of a series. Where more axes than time are pooled, each of their rows counts as a step.</summary>
    public long Steps { get; }

    /// <summary>How many steps belong to one time: more than one where more axes than time are pooled.</summary>
    public long StepsAtATime { get; }

    /// <summary>The values of a step.</summary>
    public long Width { get; }

    /// <summary>The values of a whole group.</summary>
    public long Columns => Width * _together;

    /// <summary>The number of groups of a series.</summary>
    public long Count => (Steps + _together - 1) / _together;

    /// <summary>How many groups are added up at a time, so that sums in memory are loaded and stored once for all of them.</summary>
    public const int AtATime = 4;

    /// <summary>Whether values are of half precision, which are read and written by way of float32.</summary>
    public bool IsHalf => _rows.IsHalf;

    /// <summary>How many groups are read at a time.</summary>
    public long Chunk => IsInPlace || IsHalf ? AtATime * Math.Max(1, NearValues / (AtATime * Columns)) : AtATime;

    /// <summary>The room, in float64 values, that <see cref="Read"/> needs to gather <see cref="Chunk"/> groups and their mask.</summary>
    public long Gathered => IsInPlace ? 0 : Lanes.Padded(Widened + (_isMasked ? (Columns * Chunk / sizeof(double)) + 2 : 0));

    /// <summary>The room, in float64 values, for the results of <see cref="Chunk"/> groups that <see cref="Narrow"/> rounds.</summary>
    public long Narrowed => IsHalf ? Lanes.Padded(Widened) : 0;

    private long Widened => IsHalf ? ((Columns * Chunk) + 1) / 2 : Columns * Chunk;

    private bool IsInPlace => _lieTogether && !_isMasked && !IsHalf;

    /// <summary>Reads groups that follow each other. The last of a series may be shorter.</summary>
    /// <param name="series">Which series.</param>
    /// <param name="group">The first group.</param>
    /// <param name="count">The most groups, at most <see cref="Chunk"/>: fewer at the series' end.</param>
    /// <param name="gathered">Room for <see cref="Gathered"/> values.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public Row<T> Read<T>(long series, long group, long count, byte* gathered)
        where T : IElement
    {
        var (row, steps) = Place(series, group, count);
        if (IsInPlace)
            return new(_rows[row], steps * Width, _rows.End);
        var end = gathered + (Chunk * Columns * T.Size);
        Gather<T>(row, steps, gathered, end);
        return new(gathered, steps * Width, end);
    }

    /// <summary>Copies a series to a contiguous tensor of this shape, with NaN where values are missing; not of half precision.</summary>
    /// <param name="series">Which series.</param>
    /// <param name="start">The tensor's first value.</param>
    /// <param name="gathered">Room for <see cref="Gathered"/> values.</param>
    public void Copy<T>(long series, byte* start, byte* gathered)
        where T : IElement
    {
        for (long group = 0; group < Count; group += AtATime)
        {
            var (row, steps) = Place(series, group, AtATime);
            Gather<T>(row, steps, start + (row * Width * T.Size), gathered);
        }
    }

    /// <summary>Repeats the first <see cref="Width"/> numbers of each run to the run's end.</summary>
    /// <param name="to">The runs, side by side.</param>
    /// <param name="run">How many numbers a run has.</param>
    /// <param name="count">How many runs.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Repeat<TNumber>(TNumber* to, long run, int count)
        where TNumber : unmanaged
    {
        // Read from the start of a run, not from what was just written: a load waits for a store that overlaps it.
        var most = Math.Min(Width + Vector256<TNumber>.Count, run);
        for (var columns = to; columns < to + (count * run); columns += run)
        {
            for (var i = Width; i < most; i++)
                columns[i] = columns[i - Width];
        }
        var step = Vector256<TNumber>.Count % Width;
        for (var columns = to; columns < to + (count * run); columns += run)
        {
            var (i, from) = (most, step);
            for (; i <= run - Vector256<TNumber>.Count; i += Vector256<TNumber>.Count)
            {
                Vector256.Load(columns + from).Store(columns + i);
                from += step;
                if (from >= Width)
                    from -= Width;
            }
            for (; i < run; i++)
                columns[i] = columns[i - Width];
        }
    }

    /// <summary>One value. Where it is masked, the NaN that <see cref="Mask.Copy"/> writes.</summary>
    public double At<T>(long series, long step, long component)
        where T : IElement
    {
        var row = (series * Steps) + step;
        if (_isMasked && _mask[row][_isMaskedByRow ? 0 : component] == 0)
            return BitConverter.UInt64BitsToDouble(ulong.MaxValue);
        var at = _rows[row] + (component * _rows.Size);
        return IsHalf ? HalfPrecision.Read(_rows.Half, at) : T.Read(at);
    }

    /// <summary>Where to write the results of groups: into a contiguous tensor of this shape and dtype, or for half precision into <paramref name="narrowed"/>.</summary>
    /// <param name="start">The tensor's first value.</param>
    /// <param name="series">Which series.</param>
    /// <param name="group">The first group.</param>
    /// <param name="count">The most groups.</param>
    /// <param name="narrowed">Room for <see cref="Narrowed"/> values.</param>
    /// <param name="keepsTheNext">Whether the groups after it hold values that are still to be read.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public Row<T> Write<T>(byte* start, long series, long group, long count, byte* narrowed, bool keepsTheNext = false)
        where T : IElement
    {
        var (row, steps) = Place(series, group, count);
        if (IsHalf)
            return new(narrowed, steps * Width, narrowed + (Chunk * Columns * T.Size));
        var to = start + (row * Width * T.Size);
        return new(to, steps * Width, keepsTheNext ? to + (steps * Width * T.Size) : start + ((series + 1) * Steps * Width * T.Size));
    }

    /// <summary>Rounds results of half precision, which <see cref="Write"/> had put into <paramref name="narrowed"/>, into the tensor.</summary>
    /// <inheritdoc cref="Write"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Narrow(byte* start, long series, long group, long count, byte* narrowed)
    {
        if (IsHalf)
            NarrowHalf(start, series, group, count, narrowed);
    }

    private void NarrowHalf(byte* start, long series, long group, long count, byte* narrowed)
    {
        var (row, steps) = Place(series, group, count);
        HalfPrecision.Narrow(_rows.Half, (float*)narrowed, start + (row * Width * HalfPrecision.Size), steps * Width);
    }

    /// <summary>Reads the results of groups that were written.</summary>
    /// <inheritdoc cref="Write"/>
    public Row<T> Results<T>(byte* start, long series, long group, long count, byte* narrowed)
        where T : IElement
    {
        var (row, steps) = Place(series, group, count);
        if (IsHalf)
            HalfPrecision.Widen(_rows.Half, start + (row * Width * HalfPrecision.Size), (float*)narrowed, steps * Width);
        return Write<T>(start, series, group, count, narrowed);
    }

    private (long row, long steps) Place(long series, long group, long count)
    {
        var first = group * _together;
        return ((series * Steps) + first, Math.Min(count * _together, Steps - first));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Gather<T>(long row, long steps, byte* to, byte* roomForMask)
        where T : IElement
    {
        var from = _rows[row];
        if (IsHalf)
        {
            _rows.Widen(row, steps, _lieTogether, (float*)to);
            from = to;
        }
        else if (!_lieTogether)
        {
            for (long step = 0; step < steps; step++)
                Buffer.MemoryCopy(_rows[row + step], to + (step * Width * T.Size), Width * T.Size, Width * T.Size);
            from = to;
        }
        if (_isMasked)
            Mask.Copy<T>(from, MaskOf(row, steps, roomForMask), to, steps * Width);
    }

    private byte* MaskOf(long row, long steps, byte* room)
    {
        if (_maskLiesTogether && !_isMaskedByRow)
            return _mask[row];
        if (_maskLiesTogether)
        {
            Mask.Repeat(_mask[row], steps, Width, room);
            return room;
        }
        for (long step = 0; step < steps; step++)
        {
            if (_isMaskedByRow)
                Mask.Repeat(_mask[row + step], 1, Width, room + (step * Width));
            else
                Buffer.MemoryCopy(_mask[row + step], room + (step * Width), Width, Width);
        }
        return room;
    }

    /// <summary>The steps of a group: enough for whole lanes, and for a long group where the series is long.</summary>
    private static long Together(long width, long steps)
    {
        var least = width >= Wide ? 1 : Lanes.Count / Gcd(width, Lanes.Count);
        var most = Math.Min(LongGroup / (width * least), steps / (2 * AtATime * least));
        return least * Math.Max(1, most);
    }

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);
}
