using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>mean</c> and <c>stdev = √(var + eps)</c> of each component of a series, in float64, over the values that are not missing.</summary>
/// <remarks>
/// A level far from zero costs no digits: differences to the mean, as a float32, are summed then, or for float64 values what each addition loses.
/// </remarks>
/// <param name="groups">The batch.</param>
/// <param name="statistics">Where the statistics of all series go: four planes of (batch, components): mean, what it lost by rounding, stdev, and of float64 values what that lost.</param>
/// <param name="options">How to take them.</param>
/// <param name="gathered">Room for what <paramref name="groups"/> gather.</param>
/// <param name="room">Room for so many values: <see cref="Room"/>.</param>
internal readonly unsafe struct SeriesStatistics<T>(SeriesGroups groups, double* statistics, StatisticsOptions options, byte* gathered, double* room)
    where T : IElement
{
    /// <summary>So many times as large as the variance, the square of a mean leaves it digits enough.</summary>
    private const double Far = 4096;

    // Runs of columns: for float64 values a second one after the first, of what rounding lost.
    private readonly double* _sums = room;
    private readonly double* _squares = room + Float64Buffer.Padded<T>(groups.Columns);
    private readonly double* _counts = room + (2 * Float64Buffer.Padded<T>(groups.Columns));
    private readonly double* _centers = room + (2 * Float64Buffer.Padded<T>(groups.Columns)) + (T.HasGaps ? Lanes.Padded(groups.Columns) : 0);
    private readonly long _run = Lanes.Padded(groups.Columns);
    private readonly long _plane = groups.Batch * groups.Width;

    public static long Room(SeriesGroups groups) => (3 * Float64Buffer.Padded<T>(groups.Columns)) + (T.HasGaps ? Lanes.Padded(groups.Columns) : 0);

    /// <summary>Writes the statistics of a series.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Measure(long series)
    {
        var to = statistics + (series * groups.Width);
        if (T.IsSingle)
            MeasureOnce(series, to);
        else
            MeasureTwice(series, to);
        for (long c = 0; !T.IsSingle && c < groups.Width; c++) // float64 holds the squares of narrower values
        {
            var stdev = to[(2 * _plane) + c];
            if (!Magnitude.HoldsSquares(stdev * stdev))
                MeasureInRange(series, c, to + c);
        }
        for (long c = 0; options.SubtractLast && c < groups.Width; c++)
            (to[c], to[_plane + c]) = Last(series, c);
    }

    // For dtypes that leave float64 digits to spare: no losses to sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MeasureOnce(long series, double* to)
    {
        AddUp(series, isFar: false);
        if (!WriteNear(to))
            return;
        for (long c = 0; c < groups.Width; c++)
            _centers[c] = (float)to[c]; // of so few digits that differences to it are exact
        groups.Repeat(_centers, _run, 1);
        AddUp(series, isFar: true);
        for (long c = 0; c < groups.Width; c++)
        {
            if (!double.IsNaN(to[(2 * _plane) + c]) || !double.IsFinite(to[c]))
                continue;
            var rest = _sums[c] / Count(c);
            var (mean, low) = Sum.TwoSum(_centers[c], rest);
            Write(to + c, Count(c), mean, Math.Max((_squares[c] / Count(c)) - (rest * rest), 0), low);
        }
    }

    private void AddUp(long series, bool isFar)
    {
        new Span<double>(_sums, (int)(_centers - _sums)).Clear();
        var chunk = groups.Chunk;
        for (long group = 0; group < groups.Count; group += chunk)
        {
            var x = groups.Read<T>(series, group, chunk, gathered);
            if (isFar)
                AddUpFar(x, groups.Columns, _centers, _sums, _squares, _counts);
            else
                AddUpNear(x, groups.Columns, _sums, _squares, _counts);
        }
        Fold(_sums);
        Fold(_squares);
        FoldCounts();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MeasureTwice(long series, double* to)
    {
        new Span<double>(_sums, (int)(_centers - _sums)).Clear();
        var chunk = groups.Chunk;
        for (long group = 0; group < groups.Count; group += chunk)
            AddValues(groups.Read<T>(series, group, chunk, gathered));
        Fold(_sums);
        FoldCounts();
        for (long c = 0; c < groups.Width; c++)
            (_centers[c], _centers[_run + c]) = Sum.Divide(_sums[c], _sums[_run + c], Count(c));
        groups.Repeat(_centers, _run, 1);
        for (long group = 0; group < groups.Count; group += chunk)
            AddSquares(groups.Read<T>(series, group, chunk, gathered));
        Fold(_squares);
        for (long c = 0; c < groups.Width; c++)
        {
            var (variance, lost) = Variance(_squares[c], _squares[_run + c], Count(c), _centers[_run + c]);
            Write(to + c, Count(c), _centers[c], variance, _centers[_run + c], lost);
        }
    }

    private void AddValues(Row<T> x)
    {
        if (Vector512.IsHardwareAccelerated)
            AddValues<Float64x8>((double*)x.Start, x.Length);
        else
            AddValues<Float64x4>((double*)x.Start, x.Length);
    }

    private void AddSquares(Row<T> x)
    {
        if (Vector512.IsHardwareAccelerated)
            AddSquares<Float64x8>((double*)x.Start, x.Length);
        else
            AddSquares<Float64x4>((double*)x.Start, x.Length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddValues<TVector>(double* x, long length)
        where TVector : struct, IFloat64Vector<TVector>
    {
        for (var columns = groups.Columns; length > 0; length -= columns, x += columns)
        {
            var (i, count) = (0L, Math.Min(columns, length));
            for (; i <= count - TVector.Count; i += TVector.Count)
                AddValue(TVector.Load(x + i), _sums + i, _run, _counts + i);
            if (i < count)
                AddLastValue<TVector>(x + i, count - i, _sums + i, _run, _counts + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddSquares<TVector>(double* x, long length)
        where TVector : struct, IFloat64Vector<TVector>
    {
        for (var columns = groups.Columns; length > 0; length -= columns, x += columns)
        {
            var (i, count) = (0L, Math.Min(columns, length));
            for (; i <= count - TVector.Count; i += TVector.Count)
                AddSquare(TVector.Load(x + i), TVector.Load(_centers + i), _squares + i, _run);
            if (i < count)
                AddLastSquare<TVector>(x + i, count - i, _centers + i, _squares + i, _run);
        }
    }

    // A method of its own, as the one below: what may call another keeps nothing in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddLastValue<TVector>(double* x, long count, double* sums, long run, double* counts)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var last = stackalloc double[TVector.Count];
        new Span<double>(last, TVector.Count).Fill(T.HasGaps ? double.NaN : 0);
        Buffer.MemoryCopy(x, last, count * sizeof(double), count * sizeof(double));
        AddValue(TVector.Load(last), sums, run, counts);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddLastSquare<TVector>(double* x, long count, double* centers, double* squares, long run)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var last = stackalloc double[2 * TVector.Count]; // of zeros, whose differences are zero
        Buffer.MemoryCopy(x, last, count * sizeof(double), count * sizeof(double));
        Buffer.MemoryCopy(centers, last + TVector.Count, count * sizeof(double), count * sizeof(double));
        AddSquare(TVector.Load(last), TVector.Load(last + TVector.Count), squares, run);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddValue<TVector>(TVector x, double* sums, long run, double* counts)
        where TVector : struct, IFloat64Vector<TVector>
    {
        if (T.HasGaps)
            TVector.Tally(TVector.Load(counts), x.Observed()).Store(counts);
        Sum.AddAt(sums, run, T.HasGaps ? x & x.Observed() : x, default);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSquare<TVector>(TVector x, TVector center, double* squares, long run)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var square = Pair<TVector>.Difference(x, center).Squared();
        if (T.HasGaps)
            square = new(square.High & x.Observed(), square.Low & x.Observed());
        Sum.AddAt(squares, run, square.High, square.Low);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddUpNear(Row<T> x, long columns, double* sums, double* squares, double* counts) => AddUp(x, columns, null, sums, squares, counts);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddUpFar(Row<T> x, long columns, double* centers, double* sums, double* squares, double* counts) => AddUp(x, columns, centers, sums, squares, counts);

    /// <summary>The values, or where there are centers the differences to these. Adds groups one after the other, four at a time: their sums pass through registers once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUp(Row<T> x, long columns, double* centers, double* sums, double* squares, double* counts)
    {
        long at = 0;
        for (; at <= x.Length - (SeriesGroups.AtATime * columns); at += SeriesGroups.AtATime * columns)
        {
            var i = 0L;
            for (; i <= columns - Lanes.Count; i += Lanes.Count)
            {
                var last = at + (3 * columns) + i;
                if (Vector512.IsHardwareAccelerated && centers is null)
                    AddFour<Float64x8>((float*)x.Start + at + i, columns, sums + i, squares + i, counts + i);
                else if (centers is null)
                    AddFour<Float64x4>((float*)x.Start + at + i, columns, sums + i, squares + i, counts + i);
                else
                    AddFour(x[at + i], x[at + columns + i], x[last - columns], x[last], i, centers, sums, squares, counts);
                for (var next = last + columns; next <= last + (SeriesGroups.AtATime * columns); next += columns)
                    x.Prefetch(next);
            }
            if (i < columns)
                AddLastFour(x, at + i, columns, i, centers, sums, squares, counts);
        }
        for (; at < x.Length; at += columns)
        {
            var (i, length) = (0L, Math.Min(columns, x.Length - at));
            for (; i <= length - Lanes.Count; i += Lanes.Count)
                Add(Difference(x[at + i], centers, i), x[at + i].Observed(), i, centers, sums, squares, counts);
            if (i < length)
                AddLast(x, at + i, length - i, i, centers, sums, squares, counts);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFour(Lanes a, Lanes b, Lanes c, Lanes d, long i, double* centers, double* sums, double* squares, double* counts)
    {
        if (T.HasGaps)
            AddCount(counts + i, Lanes.Tally(Lanes.Tally(a.Observed(), b.Observed()), Lanes.Tally(c.Observed(), d.Observed())));
        (a, b) = (Difference(a, centers, i), Difference(b, centers, i));
        (c, d) = (Difference(c, centers, i), Difference(d, centers, i));
        (Lanes.Load(sums + i) + ((a + b) + (c + d))).Store(sums + i);
        var square = Lanes.Load(squares + i);
        square = PlusSquare(PlusSquare(square, a, centers), b, centers);
        PlusSquare(PlusSquare(square, c, centers), d, centers).Store(squares + i);
    }

    /// <summary>The same of float32 without a center.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFour<TVector>(float* x, long columns, double* sums, double* squares, double* counts)
        where TVector : struct, IFloat64Vector<TVector>
    {
        for (var i = 0; i < Lanes.Count; i += TVector.Count)
        {
            TVector a = TVector.Widen(x + i), b = TVector.Widen(x + columns + i), c = TVector.Widen(x + (2 * columns) + i), d = TVector.Widen(x + (3 * columns) + i);
            if (T.HasGaps)
            {
                TVector ofA = a.Observed(), ofB = b.Observed(), ofC = c.Observed(), ofD = d.Observed();
                TVector.Tally(TVector.Load(counts + i), TVector.Tally(TVector.Tally(ofA, ofB), TVector.Tally(ofC, ofD))).Store(counts + i);
                (a, b, c, d) = (a & ofA, b & ofB, c & ofC, d & ofD);
            }
            (TVector.Load(sums + i) + ((a + b) + (c + d))).Store(sums + i);
            var square = TVector.AddProduct(b, b, TVector.AddProduct(a, a, TVector.Load(squares + i)));
            TVector.AddProduct(d, d, TVector.AddProduct(c, c, square)).Store(squares + i);
        }
    }

    // A method of its own, as the one below: what may call another keeps nothing in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddLastFour(Row<T> x, long at, long columns, long i, double* centers, double* sums, double* squares, double* counts) =>
        AddFour(x[at], x[at + columns], x[at + (2 * columns)], x.Part(at + (3 * columns)), i, centers, sums, squares, counts);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Lanes t, Lanes observed, long i, double* centers, double* sums, double* squares, double* counts)
    {
        (Lanes.Load(sums + i) + t).Store(sums + i);
        PlusSquare(Lanes.Load(squares + i), t, centers).Store(squares + i);
        if (T.HasGaps)
            AddCount(counts + i, observed);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddLast(Row<T> x, long at, long count, long i, double* centers, double* sums, double* squares, double* counts)
    {
        var part = x.Part(at);
        Add(Difference(part, centers, i).First(count), part.Observed().First(count), i, centers, sums, squares, counts);
    }

    /// <summary>To the center, if there is one; zero where a value is missing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes Difference(Lanes x, double* centers, long i)
    {
        var t = centers is null ? x : x - Lanes.Load(centers + i);
        return T.HasGaps ? t & x.Observed() : t;
    }

    /// <summary>The square of a value, which has few digits, is exact; that of a difference is not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes PlusSquare(Lanes squares, Lanes t, double* centers) => centers is null ? Lanes.AddProduct(t, t, squares) : squares + (t * t);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddCount(double* counts, Lanes observed) => Lanes.Tally(Lanes.Load(counts), observed).Store(counts);

    /// <summary>Adds the columns of a component together, the later half of the steps to the earlier until one is left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Fold(double* columns)
    {
        for (var steps = groups.Columns / groups.Width; steps > 1; steps -= steps / 2)
        {
            var length = steps / 2 * groups.Width;
            var from = columns + (steps * groups.Width) - length;
            if (T.IsSingle)
                Sum.AddTo(columns, from, length);
            for (long i = 0; !T.IsSingle && i < length; i++)
            {
                Sum.Add<T>(ref columns[i], ref columns[_run + i], from[i]);
                columns[_run + i] += from[_run + i];
            }
        }
    }

    private void FoldCounts()
    {
        for (var steps = T.HasGaps ? groups.Columns / groups.Width : 1; steps > 1; steps -= steps / 2)
        {
            var length = steps / 2 * groups.Width;
            Sum.AddTo((long*)_counts, (long*)_counts + (steps * groups.Width) - length, length);
        }
    }

    /// <summary>How many values of a component are not missing.</summary>
    private double Count(long component) => T.HasGaps ? -((long*)_counts)[component] : groups.Steps;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Write(double* to, double count, double mean, double variance, double low = 0, double varianceLow = 0)
    {
        (to[0], to[_plane]) = count == 0 ? (0, 0) : (mean, low);
        (to[2 * _plane], to[3 * _plane]) = count == 0 ? (1, 0) : Stdev(variance, varianceLow, options.Eps);
    }

    /// <summary><c>√(variance + eps)</c>, these times the square of a scale, but no less than the least one; and of float64 values what it lost by rounding.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private (double stdev, double lost) Stdev(double variance, double varianceLow, double eps, double scale = 1)
    {
        var (square, rest) = Sum.TwoSum(variance, eps);
        var root = Math.Sqrt(square);
        var stdev = Math.Max(root / scale, options.MinStdev);
        var lost = T.IsSingle || stdev != root / scale ? 0 : (Math.FusedMultiplyAdd(-root, root, square) + rest + varianceLow) / (2 * root * scale);
        return (stdev, double.IsFinite(lost) ? lost : 0);
    }

    /// <summary>The variance, and what it lost by rounding, from the sum of the squares of differences to a mean without what that lost.</summary>
    private static (double variance, double lost) Variance(double squares, double lost, double count, double low)
    {
        var (meanSquare, rest) = Sum.Divide(squares, lost, count);
        var (variance, loss) = Sum.TwoSum(meanSquare, -(low * low));
        return (variance, loss + (rest - Math.FusedMultiplyAdd(low, low, -(low * low))));
    }

    /// <summary>The statistics of all components from the sums of their values. Whether that costs some of them digits, far from zero: their stdev is NaN, as of those that are not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool WriteNear(double* to)
    {
        double* sums = _sums, squares = _squares, counts = _counts;
        var (eps, least) = (Vector256.Create(options.Eps), Vector256.Create(options.MinStdev));
        var (c, areFar, farthest) = (0L, Vector256<double>.Zero, Sum.Farthest(Far, groups.Count));
        for (; c <= groups.Width - Vector256<double>.Count; c += Vector256<double>.Count)
        {
            var count = T.HasGaps ? Vector256.ConvertToDouble(-Vector256.Load((long*)counts + c)) : Vector256.Create((double)groups.Steps);
            var isEmpty = Vector256.Equals(count, Vector256<double>.Zero);
            var mean = Vector256.Load(sums + c) / count;
            var variance = (Vector256.Load(squares + c) / count) - (mean * mean);
            var isFar = Vector256.GreaterThan(mean * mean, variance * farthest);
            areFar |= isFar;
            var stdev = Vector256.Max(least, Vector256.Sqrt(variance + eps));
            Vector256.ConditionalSelect(isEmpty, Vector256<double>.Zero, mean).Store(to + c);
            Vector256<double>.Zero.Store(to + _plane + c);
            Vector256<double>.Zero.Store(to + (3 * _plane) + c);
            Vector256.ConditionalSelect(isEmpty, Vector256<double>.One, Vector256.ConditionalSelect(isFar, Vector256.Create(double.NaN), stdev)).Store(to + (2 * _plane) + c);
        }
        var isAnyFar = areFar != Vector256<double>.Zero;
        for (; c < groups.Width; c++)
        {
            var mean = _sums[c] / Count(c);
            var variance = (_squares[c] / Count(c)) - (mean * mean);
            var isFar = mean * mean > variance * farthest;
            isAnyFar |= isFar;
            Write(to + c, Count(c), mean, isFar ? double.NaN : variance);
        }
        return isAnyFar;
    }

    /// <summary>One component whose squares overflowed, or vanished and eps does not outweigh them: by a scale that keeps them in range.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MeasureInRange(long series, long component, double* to)
    {
        double largest = 0;
        for (long step = 0; step < groups.Steps; step++)
        {
            if (TryAt(series, step, component, out var x))
                largest = Math.Max(largest, Math.Abs(x));
            if (!double.IsNaN(largest))
                continue;
            Write(to, 1, double.NaN, double.NaN);
            return;
        }
        var count = Count(component);
        var scale = Magnitude.Scale(Math.Max(largest, Math.Sqrt(options.Eps)));
        double total = 0, lost = 0, squares = 0, squaresLost = 0;
        for (long step = 0; step < groups.Steps; step++)
        {
            if (TryAt(series, step, component, out var x))
                Sum.Add<Float64>(ref total, ref lost, x * scale);
        }
        var (mean, low) = Sum.Divide(total, lost, count);
        for (long step = 0; step < groups.Steps; step++)
        {
            if (!TryAt(series, step, component, out var x))
                continue;
            var (t, rest) = Sum.TwoSum(x * scale, -mean);
            Sum.Add<Float64>(ref squares, ref squaresLost, t * t);
            squaresLost += Math.FusedMultiplyAdd(t, t, -(t * t)) + (2 * t * rest);
        }
        var (variance, varianceLow) = Variance(squares, squaresLost, count, low);
        (to[0], to[_plane]) = (mean / scale, low / scale);
        (to[2 * _plane], to[3 * _plane]) = variance == 0 ? Stdev(0, 0, options.Eps) : Stdev(variance, varianceLow, options.Eps * scale * scale, scale); // eps itself may vanish in a scale for values near the largest
    }

    /// <summary>The component's value at the last time that has one, where several are pooled at a time their mean, and what it lost by rounding; zero where all are missing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private (double value, double lost) Last(long series, long component)
    {
        var at = groups.Steps - 1;
        double largest = 0;
        var count = 0L;
        for (; at >= 0 && (count == 0 || (at + 1) % groups.StepsAtATime != 0); at--)
        {
            if (!TryAt(series, at, component, out var x))
                continue;
            if (groups.StepsAtATime == 1)
                return (x, 0);
            largest = Math.Max(largest, Math.Abs(x));
            count++;
        }
        double sum = 0, lost = 0;
        var scale = largest > double.MaxValue / groups.StepsAtATime ? Magnitude.Scale(largest) : 1; // else the sum might overflow
        while (++at < groups.Steps)
        {
            if (TryAt(series, at, component, out var x))
                Sum.Add<Float64>(ref sum, ref lost, x * scale);
        }
        var (value, rest) = count == 0 ? default : Sum.Divide(sum, lost, count);
        return (value / scale, rest / scale);
    }

    /// <summary>A value, unless it is missing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryAt(long series, long step, long component, out double value)
    {
        value = groups.At<T>(series, step, component);
        return !T.HasGaps || !double.IsNaN(value);
    }
}
