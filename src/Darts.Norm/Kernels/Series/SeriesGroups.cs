using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>
/// A batch of series, read time steps at a time: as many together as make whole groups of lanes where the components are few.
/// </summary>
/// <remarks>Column i of a group belongs to component i mod Width, in every group of every series.</remarks>
internal readonly unsafe struct SeriesGroups
{
    /// <summary>From so many components on, a time step alone keeps the lanes busy.</summary>
    private const long Wide = 4 * Lanes.Count;

    /// <summary>A group of so many values is long enough not to feel where it begins and ends.</summary>
    private const long LongGroup = 8 * Lanes.Count;

    /// <summary>So many values of each of three tensors stay in the nearest cache.</summary>
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
    /// <param name="mask">Of the tensor's shape, or with a last axis of 1, false where a value is missing: it is read as NaN. Null where all are there. Replaced as the tensor is.</param>
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

    /// <summary>The number of rows of <see cref="Width"/> values of a series.</summary>
    public long Steps { get; }

    /// <summary>How many of them belong to one time: more than one where more than the time axis is pooled.</summary>
    public long StepsAtATime { get; }

    public long Width { get; }

    /// <summary>The number of values of a whole group.</summary>
    public long Columns => Width * _together;

    /// <summary>The number of groups of a series.</summary>
    public long Count => (Steps + _together - 1) / _together;

    /// <summary>How many groups are added up at a time: their sums pass through registers once.</summary>
    public const int AtATime = 4;

    /// <summary>Whether values are of half precision, which are read and written by way of float32.</summary>
    public bool IsHalf => _rows.IsHalf;

    /// <summary>How many groups are read at a time.</summary>
    public long Chunk => IsInPlace || IsHalf ? AtATime * Math.Max(1, NearValues / (AtATime * Columns)) : AtATime;

    /// <summary>Room for the values that <see cref="Read"/> gathers, for <see cref="Chunk"/> groups, and for their mask, in float64 values.</summary>
    public long Gathered => IsInPlace ? 0 : Lanes.Padded(Widened + (_isMasked ? (Columns * Chunk / sizeof(double)) + 2 : 0));

    /// <summary>The same for the results that <see cref="Narrow"/> rounds.</summary>
    public long Narrowed => IsHalf ? Lanes.Padded(Widened) : 0;

    private long Widened => IsHalf ? ((Columns * Chunk) + 1) / 2 : Columns * Chunk;

    private bool IsInPlace => _lieTogether && !_isMasked && !IsHalf;

    /// <summary>Groups that follow each other, side by side; the last of a series may be shorter.</summary>
    /// <param name="series">Which series.</param>
    /// <param name="group">The first of them.</param>
    /// <param name="count">How many at most, and no more than <see cref="Chunk"/>.</param>
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

    /// <summary>Repeats the columns of a time step, the first numbers of each of <paramref name="count"/> runs, to the end of the run.</summary>
    /// <param name="to">The runs, side by side.</param>
    /// <param name="run">How many numbers a run has.</param>
    /// <param name="count">How many there are.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Repeat<TNumber>(TNumber* to, long run, int count)
        where TNumber : unmanaged
    {
        // Vectors are read where the columns begin, not where one before was written: a processor waits for what it has yet to store.
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

    /// <summary>One value; where it is masked the NaN that <see cref="Mask.Copy"/> writes.</summary>
    public double At<T>(long series, long step, long component)
        where T : IElement
    {
        var row = (series * Steps) + step;
        if (_isMasked && _mask[row][_isMaskedByRow ? 0 : component] == 0)
            return BitConverter.UInt64BitsToDouble(ulong.MaxValue);
        var at = _rows[row] + (component * _rows.Size);
        return IsHalf ? HalfPrecision.Read(_rows.Half, at) : T.Read(at);
    }

    /// <summary>Groups of a contiguous tensor of this shape and dtype; of half precision, where <see cref="Narrow"/> takes them from.</summary>
    /// <param name="start">The tensor's first value.</param>
    /// <param name="series">Which series.</param>
    /// <param name="group">The first of them.</param>
    /// <param name="count">How many at most.</param>
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

    /// <summary>Results of half precision are there.</summary>
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

    /// <summary>The results of groups that were written.</summary>
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

    /// <summary>Steps enough for whole groups of lanes, and for long groups where the series is long.</summary>
    private static long Together(long width, long steps)
    {
        var least = width >= Wide ? 1 : Lanes.Count / Gcd(width, Lanes.Count);
        var most = Math.Min(LongGroup / (width * least), steps / (2 * AtATime * least));
        return least * Math.Max(1, most);
    }

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);
}
