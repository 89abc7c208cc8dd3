using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary><c>mean</c> and <c>stdev = √(var + eps)</c> of each component of a series, in float64.</summary>
/// <remarks>
/// A level far from zero costs no digits: differences to the first time step are summed, or for float64 values what each addition loses.
/// </remarks>
/// <param name="groups">The batch.</param>
/// <param name="statistics">Where the statistics of all series go: three planes of (batch, components): mean, what it lost by rounding, stdev.</param>
/// <param name="eps">The layer's.</param>
internal readonly unsafe struct SeriesStatistics<T>(SeriesGroups groups, double* statistics, double eps) : IDisposable
    where T : IElement
{
    // Runs of columns: for float64 values a second one after the first, of what rounding lost.
    private readonly Doubles _centers = new(Doubles.Padded<T>(groups.Columns));
    private readonly Doubles _sums = new(Doubles.Padded<T>(groups.Columns));
    private readonly Doubles _squares = new(Doubles.Padded<T>(groups.Columns));
    private readonly Doubles _gathered = new(groups.Gathered);
    private readonly long _run = Lanes.Padded(groups.Columns);
    private readonly long _plane = groups.Batch * groups.Width;

    /// <summary>Writes the statistics of a series.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Measure(long series)
    {
        _sums.Clear();
        _squares.Clear();
        var to = statistics + (series * groups.Width);
        if (T.FitsInDouble)
            MeasureOnce(series, to);
        else
            MeasureTwice(series, to);
        for (long c = 0; c < groups.Width; c++)
        {
            if (!IsOrdinary(to[c], to[(2 * _plane) + c]))
                MeasureInRange(series, c, to + c);
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
        Repeat(_centers.At);
        long group = 0;
        for (; group < groups.CountAtATime; group += SeriesGroups.AtATime)
            AddUp(Read(series, group), Read(series, group + 1), Read(series, group + 2), Read(series, group + 3));
        for (; group < groups.Count; group++)
            AddUp(Read(series, group));
        Fold(_sums.At);
        Fold(_squares.At);
        for (long c = 0; c < groups.Width; c++)
        {
            var mean = _sums.At[c] / groups.Steps;
            // Float64 has 29 digits more than a float32: enough for what cancels here in any series that fits in memory.
            var variance = Math.Max((_squares.At[c] / groups.Steps) - (mean * mean), 0);
            Write(to + c, _centers.At[c] + mean, 0, variance);
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
                Sum.AddAt<T>(_sums.At, _run, i, x[i]);
            if (i < x.Length)
                Sum.AddAt<T>(_sums.At, _run, i, x.Tail);
        }
        Fold(_sums.At);
        for (long c = 0; c < groups.Width; c++)
            (_centers.At[c], _centers.At[_run + c]) = Sum.Divide(_sums.At[c], _sums.At[_run + c], groups.Steps);
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
            Write(to + c, _centers.At[c], _centers.At[_run + c], (_squares.At[c] + _squares.At[_run + c]) / groups.Steps);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes Centered(Lanes x, long i) => x - Lanes.Load(_centers.At + i) - Lanes.Load(_centers.At + _run + i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddSquare(Lanes t, long i) => Sum.AddAt<T>(_squares.At, _run, i, t * t);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddUp(Row<T> x)
    {
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            AddMoments(x[i] - Lanes.Load(_centers.At + i), i);
        if (x.Whole < x.Length)
            AddMoments(x.OnRow(x.Tail - Lanes.Load(_centers.At + x.Whole)), x.Whole);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddUp(Row<T> a, Row<T> b, Row<T> c, Row<T> d)
    {
        for (long i = 0; i < a.Whole; i += Lanes.Count)
        {
            var first = Lanes.Load(_centers.At + i);
            AddMoments(a[i] - first, b[i] - first, c[i] - first, d[i] - first, i);
        }
        if (a.Whole < a.Length)
        {
            var (at, bt, ct, dt) = (a.Tail, b.Tail, c.Tail, d.Tail);
            var first = Lanes.Load(_centers.At + a.Whole);
            AddMoments(a.OnRow(at - first), b.OnRow(bt - first), c.OnRow(ct - first), d.OnRow(dt - first), a.Whole);
        }
    }

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

    /// <summary>Adds the columns of a component together.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Fold(double* columns)
    {
        for (var step = columns + groups.Width; step < columns + groups.Columns; step += groups.Width)
        {
            for (long c = 0; c < groups.Width; c++)
            {
                if (T.FitsInDouble)
                {
                    columns[c] += step[c];
                    continue;
                }
                Sum.Add<T>(ref columns[c], ref columns[_run + c], step[c]);
                columns[_run + c] += step[_run + c];
            }
        }
    }

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

    private void Write(double* to, double mean, double low, double variance) =>
        (to[0], to[_plane], to[2 * _plane]) = (mean, low, Math.Sqrt(variance + eps));

    private Row<T> Read(long series, long group) => groups.Read<T>(series, group, (byte*)_gathered.At);

    /// <summary>Whether nothing overflowed, and nothing vanished that eps does not outweigh.</summary>
    private bool IsOrdinary(double mean, double stdev) =>
        double.IsFinite(mean) && (T.FitsInDouble || eps > Range.LeastSquare ? stdev < double.PositiveInfinity : Range.HoldsSquares(stdev * stdev));

    /// <summary>One component that is not: by a scale that keeps its squares in range.</summary>
    private void MeasureInRange(long series, long component, double* to)
    {
        double largest = 0, sum = 0;
        for (long step = 0; step < groups.Steps; step++)
        {
            var x = At(series, step, component);
            sum += x;
            largest = Math.Max(largest, Math.Abs(x));
        }
        if (!double.IsFinite(largest))
        {
            (to[0], to[_plane], to[2 * _plane]) = (sum / groups.Steps, 0, double.NaN);
            return;
        }
        var scale = Range.Scale(Math.Max(largest, Math.Sqrt(eps)));
        double total = 0, lost = 0, squares = 0, squaresLost = 0;
        for (long step = 0; step < groups.Steps; step++)
            Sum.Add<Float64>(ref total, ref lost, At(series, step, component) * scale);
        var (mean, low) = Sum.Divide(total, lost, groups.Steps);
        for (long step = 0; step < groups.Steps; step++)
        {
            var t = (At(series, step, component) * scale) - mean - low;
            Sum.Add<Float64>(ref squares, ref squaresLost, t * t);
        }
        (to[0], to[_plane]) = (mean / scale, low / scale);
        to[2 * _plane] = Math.Sqrt(((squares + squaresLost) / groups.Steps) + (eps * scale * scale)) / scale;
    }

    private double At(long series, long step, long component)
    {
        var (group, column) = Math.DivRem((step * groups.Width) + component, groups.Columns);
        return Read(series, group).At(column);
    }

    public void Dispose()
    {
        _centers.Dispose();
        _sums.Dispose();
        _squares.Dispose();
        _gathered.Dispose();
    }
}
