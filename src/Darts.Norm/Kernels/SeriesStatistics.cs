using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>mean</c> and <c>stdev = √(var + eps)</c> of each component of a series, in float64, over the values that are not missing.</summary>
/// <remarks>
/// A level far from zero costs no digits: differences to the first value are summed, or for float64 values what each addition loses.
/// </remarks>
/// <param name="groups">The batch.</param>
/// <param name="statistics">Where the statistics of all series go: three planes of (batch, components): mean, what it lost by rounding, stdev.</param>
/// <param name="measure">What to measure.</param>
internal readonly unsafe struct SeriesStatistics<T>(SeriesGroups groups, double* statistics, Measure measure) : IDisposable
    where T : IElement
{
    // Runs of columns: for float64 values a second one after the first, of what rounding lost.
    private readonly Doubles _centers = new(Doubles.Padded<T>(groups.Columns));
    private readonly Doubles _sums = new(Doubles.Padded<T>(groups.Columns));
    private readonly Doubles _squares = new(Doubles.Padded<T>(groups.Columns));
    private readonly Doubles _counts = T.HasGaps ? new(groups.Columns) : default;
    private readonly Doubles _gathered = new(groups.Gathered);
    private readonly long _run = Lanes.Padded(groups.Columns);
    private readonly long _plane = groups.Batch * groups.Width;

    /// <summary>Writes the statistics of a series.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Measure(long series)
    {
        _sums.Clear();
        _squares.Clear();
        if (T.HasGaps)
            _counts.Clear();
        var to = statistics + (series * groups.Width);
        if (T.FitsInDouble)
            MeasureOnce(series, to);
        else
            MeasureTwice(series, to);
        for (long c = 0; c < groups.Width; c++)
        {
            if (!IsOrdinary(to[c], to[(2 * _plane) + c]))
                MeasureInRange(series, c, to + c);
            if (measure.SubtractLast)
                (to[c], to[_plane + c]) = Last(series, c);
        }
    }

    // For dtypes that leave float64 digits to spare: no losses to sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MeasureOnce(long series, double* to)
    {
        var first = Read(series, 0);
        var i = 0L;
        for (; i < first.Whole; i += Lanes.Count)
            first[i].Store(_centers.At + i);
        if (i < first.Length)
            first.Tail.Store(_centers.At + i);
        for (long c = 0; T.HasGaps && c < groups.Width; c++)
            _centers.At[c] = FirstObserved(series, c);
        Repeat(_centers.At);
        long group = 0;
        for (; group < groups.CountAtATime; group += SeriesGroups.AtATime)
            AddUp(Read(series, group), Read(series, group + 1), Read(series, group + 2), Read(series, group + 3));
        for (; group < groups.Count; group++)
            AddUp(Read(series, group));
        Fold(_sums.At);
        Fold(_squares.At);
        FoldCounts();
        for (var c = WriteWhole(to); c < groups.Width; c++)
        {
            var mean = _sums.At[c] / Count(c);
            // Float64 has 29 digits more than a float32: enough for what cancels here in any series that fits in memory.
            var variance = Math.Max((_squares.At[c] / Count(c)) - (mean * mean), 0);
            Write(to + c, Count(c), _centers.At[c] + mean, 0, variance);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MeasureTwice(long series, double* to)
    {
        for (long group = 0; group < groups.Count; group++)
        {
            var x = Read(series, group);
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
                AddValue(x[i], x[i].Observed(), i);
            if (i < x.Length)
                AddValue(x.Tail, x.OnRow(x.Tail.Observed()), i);
        }
        Fold(_sums.At);
        FoldCounts();
        for (long c = 0; c < groups.Width; c++)
            (_centers.At[c], _centers.At[_run + c]) = Sum.Divide(_sums.At[c], _sums.At[_run + c], Count(c));
        Repeat(_centers.At);
        Repeat(_centers.At + _run);
        for (long group = 0; group < groups.Count; group++)
        {
            var x = Read(series, group);
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
                AddSquare(Centered(x[i], i), i);
            if (i < x.Length)
                AddSquare(x.OnRow(Centered(x.Tail, i)), i);
        }
        Fold(_squares.At);
        for (long c = 0; c < groups.Width; c++)
            Write(to + c, Count(c), _centers.At[c], _centers.At[_run + c], (_squares.At[c] + _squares.At[_run + c]) / Count(c));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddValue(Lanes x, Lanes observed, long i)
    {
        Sum.AddAt<T>(_sums.At, _run, i, T.HasGaps ? x & observed : x);
        if (T.HasGaps)
            AddCount(observed, i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes Centered(Lanes x, long i)
    {
        var v = x - Lanes.Load(_centers.At + i) - Lanes.Load(_centers.At + _run + i);
        return T.HasGaps ? v & x.Observed() : v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddSquare(Lanes t, long i) => Sum.AddAt<T>(_squares.At, _run, i, t * t);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddUp(Row<T> x)
    {
        for (long i = 0; i < x.Whole; i += Lanes.Count)
        {
            AddMoments(Difference(x[i], Lanes.Load(_centers.At + i)), i);
            if (T.HasGaps)
                AddCount(x[i].Observed(), i);
        }
        if (x.Whole < x.Length)
        {
            AddMoments(x.OnRow(Difference(x.Tail, Lanes.Load(_centers.At + x.Whole))), x.Whole);
            if (T.HasGaps)
                AddCount(x.OnRow(x.Tail.Observed()), x.Whole);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddUp(Row<T> a, Row<T> b, Row<T> c, Row<T> d)
    {
        for (long i = 0; i < a.Whole; i += Lanes.Count)
        {
            var first = Lanes.Load(_centers.At + i);
            var (av, bv, cv, dv) = (a[i], b[i], c[i], d[i]);
            AddMoments(Difference(av, first), Difference(bv, first), Difference(cv, first), Difference(dv, first), i);
            if (T.HasGaps)
                AddCounts(av, bv, cv, dv, i);
        }
        if (a.Whole < a.Length)
        {
            var (at, bt, ct, dt) = (a.Tail, b.Tail, c.Tail, d.Tail);
            var first = Lanes.Load(_centers.At + a.Whole);
            AddMoments(
                a.OnRow(Difference(at, first)), b.OnRow(Difference(bt, first)), c.OnRow(Difference(ct, first)), d.OnRow(Difference(dt, first)), a.Whole);
            if (T.HasGaps)
                AddCounts(at, bt, ct, dt, a.Whole);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes Difference(Lanes x, Lanes center) => T.HasGaps ? (x - center) & x.Observed() : x - center;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddCount(Lanes observed, long i) => Lanes.Tally(Lanes.Load(_counts.At + i), observed).Store(_counts.At + i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddCounts(Lanes a, Lanes b, Lanes c, Lanes d, long i) =>
        AddCount(Lanes.Tally(Lanes.Tally(a.Observed(), b.Observed()), Lanes.Tally(c.Observed(), d.Observed())), i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddMoments(Lanes t, long i)
    {
        (Lanes.Load(_sums.At + i) + t).Store(_sums.At + i);
        (Lanes.Load(_squares.At + i) + (t * t)).Store(_squares.At + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddMoments(Lanes a, Lanes b, Lanes c, Lanes d, long i)
    {
        (Lanes.Load(_sums.At + i) + a + b + c + d).Store(_sums.At + i);
        (Lanes.Load(_squares.At + i) + (a * a) + (b * b) + (c * c) + (d * d)).Store(_squares.At + i);
    }

    /// <summary>Adds the columns of a component together, the later half of the steps to the earlier until one is left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Fold(double* columns)
    {
        for (var steps = groups.Columns / groups.Width; steps > 1; steps -= steps / 2)
        {
            var length = steps / 2 * groups.Width;
            var from = columns + (steps * groups.Width) - length;
            if (T.FitsInDouble)
                Sum.AddTo(columns, from, length);
            for (long i = 0; !T.FitsInDouble && i < length; i++)
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
            Sum.AddTo((long*)_counts.At, (long*)_counts.At + (steps * groups.Width) - length, length);
        }
    }

    /// <summary>How many values of a component are not missing.</summary>
    private double Count(long component) => T.HasGaps ? -((long*)_counts.At)[component] : groups.Steps;

    /// <summary>Writes the first time step's columns under the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Repeat(double* columns)
    {
        for (var written = groups.Width; written < groups.Columns; written *= 2)
        {
            var more = Math.Min(written, groups.Columns - written) * sizeof(double);
            Buffer.MemoryCopy(columns, columns + written, more, more);
        }
    }

    private void Write(double* to, double count, double mean, double low, double variance) =>
        (to[0], to[_plane], to[2 * _plane]) = count == 0 ? (0, 0, 1) : (mean, low, Math.Max(Math.Sqrt(variance + measure.Eps), measure.LeastStdev));

    /// <summary>The same for whole vectors of components. How many components those are.</summary>
    private long WriteWhole(double* to)
    {
        var (sums, squares, centers, counts) = (_sums, _squares, _centers, _counts);
        var (eps, least) = (Vector256.Create(measure.Eps), Vector256.Create(measure.LeastStdev));
        var c = 0L;
        for (; c <= groups.Width - Vector256<double>.Count; c += Vector256<double>.Count)
        {
            var count = T.HasGaps ? Vector256.ConvertToDouble(-Vector256.Load((long*)counts.At + c)) : Vector256.Create((double)groups.Steps);
            var isEmpty = Vector256.Equals(count, Vector256<double>.Zero);
            var mean = Vector256.Load(sums.At + c) / count;
            var variance = Vector256.Max(Vector256<double>.Zero, (Vector256.Load(squares.At + c) / count) - (mean * mean));
            var stdev = Vector256.Max(least, Vector256.Sqrt(variance + eps));
            Vector256.ConditionalSelect(isEmpty, Vector256<double>.Zero, Vector256.Load(centers.At + c) + mean).Store(to + c);
            Vector256<double>.Zero.Store(to + _plane + c);
            Vector256.ConditionalSelect(isEmpty, Vector256<double>.One, stdev).Store(to + (2 * _plane) + c);
        }
        return c;
    }

    private Row<T> Read(long series, long group) => groups.Read<T>(series, group, (byte*)_gathered.At);

    /// <summary>Whether nothing overflowed, and nothing vanished that eps does not outweigh.</summary>
    private bool IsOrdinary(double mean, double stdev) =>
        double.IsFinite(mean) && (T.FitsInDouble || measure.Eps > Range.LeastSquare ? stdev < double.PositiveInfinity : Range.HoldsSquares(stdev * stdev));

    /// <summary>One component that is not: by a scale that keeps its squares in range.</summary>
    private void MeasureInRange(long series, long component, double* to)
    {
        double largest = 0, sum = 0;
        for (long step = 0; step < groups.Steps; step++)
        {
            if (!TryAt(series, step, component, out var x))
                continue;
            sum += x;
            largest = Math.Max(largest, Math.Abs(x));
        }
        var count = Count(component);
        if (!double.IsFinite(largest))
        {
            (to[0], to[_plane], to[2 * _plane]) = (sum / count, 0, double.NaN);
            return;
        }
        var scale = Range.Scale(Math.Max(largest, Math.Sqrt(measure.Eps)));
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
            var t = (x * scale) - mean - low;
            Sum.Add<Float64>(ref squares, ref squaresLost, t * t);
        }
        var variance = (squares + squaresLost) / count;
        var stdev = variance == 0 ? Math.Sqrt(measure.Eps) : Math.Sqrt(variance + (measure.Eps * scale * scale)) / scale; // eps itself may vanish in a scale for values near the largest
        (to[0], to[_plane], to[2 * _plane]) = (mean / scale, low / scale, Math.Max(stdev, measure.LeastStdev));
    }

    /// <summary>A value of the component that is not missing; zero where all are.</summary>
    private double FirstObserved(long series, long component)
    {
        for (long step = 0; step < groups.Steps; step++)
        {
            if (TryAt(series, step, component, out var x))
                return x;
        }
        return 0;
    }

    /// <summary>The component's value at the last time that has one, where several are pooled at a time their mean, and what it lost by rounding; zero where all are missing.</summary>
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
        var scale = largest > double.MaxValue / groups.StepsAtATime ? Range.Scale(largest) : 1; // else the sum might overflow
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

    public void Dispose()
    {
        _centers.Dispose();
        _sums.Dispose();
        _squares.Dispose();
        _counts.Dispose();
        _gathered.Dispose();
    }
}

/// <summary>How the statistics of a series are taken.</summary>
/// <param name="Eps">Added to the variance.</param>
/// <param name="LeastStdev">The least stdev.</param>
/// <param name="SubtractLast">Whether the last value stands for the mean.</param>
internal readonly record struct Measure(double Eps, double LeastStdev = 0, bool SubtractLast = false);
