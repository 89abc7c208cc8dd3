using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a few rows, for dtypes that float64 has digits to spare for.</summary>
/// <remarks>Each step takes all rows before the next begins: what a row sums up is waited for while the next is summed up.</remarks>
internal static unsafe class RowGradients<TFormula, T>
    where TFormula : IRowFormula
    where T : IElement
{
    /// <summary>So many times its spread a row's mean leaves products with its values digits enough,</summary>
    private const double Far = 1024;

    /// <summary>and so many of them.</summary>
    private const long Long = 4096;

    /// <summary>Whether the forward pass leaves rows' squares to this one, as it adds them up in float32.</summary>
    public static bool MeasuresAgain
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.IsSingle && !TFormula.Centers;
    }

    /// <summary>What each row's gradient loses to its statistics, and these where they are measured again.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Project(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, double* weight, double eps, RowStatistics* statistics, Loss* lost)
    {
        const int Most = RowNormalization<TFormula>.RowsTogether;
        RowSum* sums = stackalloc RowSum[Most], dots = stackalloc RowSum[Most], squares = stackalloc RowSum[Most];
        for (var r = 0; r < count; r++)
        {
            var (x, go) = (new Row<T>(rows[r], length, end), new Row<T>(gradRows[r], length, gradEnd));
            if (IsNear(statistics[r], length) && weight is null)
                AddUp(x, go, null, hasWeight: false, 0, isFar: false, sums + r, dots + r, squares + r, lost + r);
            else if (IsNear(statistics[r], length))
                AddUp(x, go, weight, hasWeight: true, 0, isFar: false, sums + r, dots + r, squares + r, lost + r);
            else
                AddUpFar(x, go, weight, statistics[r].Center, sums + r, dots + r, squares + r, lost + r);
        }
        double* mean = stackalloc double[Most], along = stackalloc double[Most], square = stackalloc double[Most];
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            if (TFormula.Centers)
                RowSum.Totals(sums + r).Store(mean + r);
            RowSum.Totals(dots + r).Store(along + r);
            if (MeasuresAgain)
                RowSum.Totals(squares + r).Store(square + r);
        }
        var fraction = 1.0 / length;
        for (var r = 0; r < count; r++)
        {
            if (MeasuresAgain)
                statistics[r] = TFormula.Of(square[r] / length, 0, eps);
            var s = statistics[r];
            if (TFormula.Centers)
                along[r] -= mean[r] * (IsNear(s, length) ? s.Center : s.CenterLow);
            lost[r].Mean = TFormula.Centers ? mean[r] * fraction * s.Inverse : 0;
            lost[r].Along = TFormula.FlowsThrough(s, eps) ? along[r] * fraction * s.Inverse * s.Inverse * s.Inverse : 0; // in this order: zero stays zero however large the inverse
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsNear(RowStatistics s, long length) => !TFormula.Centers || (Math.Abs(s.Center * s.Inverse) < Far && length <= Long);

    /// <summary>The gradients that come in times the weight, and their products with the values; or of a row far from zero, with what these differ from its center.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUp(
        Row<T> x, Row<T> go, double* weight, bool hasWeight, double center, bool isFar, RowSum* sums, RowSum* dots, RowSum* squares, Loss* lost)
    {
        var c = Vector256.Create(center);
        var (tail, gradTail) = (x.Tail, go.Tail); // sums that are alive while they are read would not stay in registers
        RowSum sum = default, dot = default, square = default;
        if (x.Whole < x.Length)
            Add(isFar ? x.OnRow(tail - c) : tail, hasWeight ? gradTail * Lanes.Load(weight + x.Whole) : gradTail, ref sum, ref dot, ref square);
        var bits = (int*)go.Start;
        var largest = default(Vector256<int>);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
        {
            Add(isFar ? x[i] - c : x[i], hasWeight ? go[i] * Lanes.Load(weight + i) : go[i], ref sum, ref dot, ref square);
            if (T.IsSingle && TFormula.Centers)
                largest = Vector256.Max(largest, Vector256.Max(Vector256.Load(bits + i) & Vector256.Create(int.MaxValue), Vector256.Load(bits + i + 8) & Vector256.Create(int.MaxValue)));
        }
        if (TFormula.Centers)
            *sums = sum;
        *dots = dot;
        if (MeasuresAgain)
            *squares = square;
        if (T.IsSingle && TFormula.Centers)
            lost->Largest = Largest(largest);
    }

    // A method of its own: beside calls nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddUpFar(Row<T> x, Row<T> go, double* weight, double center, RowSum* sums, RowSum* dots, RowSum* squares, Loss* lost) =>
        AddUp(x, go, weight, weight is not null, center, isFar: true, sums, dots, squares, lost);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Lanes v, Lanes g, ref RowSum sum, ref RowSum dot, ref RowSum square)
    {
        if (TFormula.Centers)
            sum.Add(g);
        dot.Add(g * v);
        if (MeasuresAgain)
            square.Add(v * v);
    }

    /// <summary>Of the bits of magnitudes, which as integers have the same order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest(Vector256<int> v)
    {
        var four = Vector128.Max(v.GetLower(), v.GetUpper());
        var two = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return BitConverter.Int32BitsToSingle(Math.Max(two.GetElement(0), two.GetElement(1)));
    }

    /// <summary>The rows' part of the parameters' gradients alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Accumulate(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, RowStatistics* statistics, double* weightSums, double* biasSums)
    {
        var (none, ahead) = (default(Loss), count * length);
        for (var r = 0; r < count; r++)
        {
            var row = new RowGradient<TFormula>(statistics[r], &none, null, weightSums, biasSums);
            Each(row, statistics[r].CenterLow != 0, new(rows[r], length, end), new(gradRows[r], length, gradEnd), default, writes: false, streams: false, ahead);
        }
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c>, and the rows' part of the parameters' gradients, <c>go · x̂</c> and <c>go</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, byte* to, byte* toEnd, RowStatistics* statistics, Loss* lost, double* weight, double* weightSums, double* biasSums, bool streams)
    {
        var ahead = count * length;
        for (var r = 0; r < count; r++, to += length * T.Size)
        {
            var row = new RowGradient<TFormula>(statistics[r], lost + r, weight, weightSums, biasSums);
            Each(row, statistics[r].CenterLow != 0, new(rows[r], length, end), new(gradRows[r], length, gradEnd), new(to, length, toEnd), writes: true, streams, ahead);
        }
    }

    /// <summary>The same of one row, where <see cref="SingleGradients{TFormula}"/> writes the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void WriteRow(Row<T> x, Row<T> go, Row<T> gx, RowStatistics* statistics, Loss* lost, double* weight, double* weightSums, double* biasSums, long ahead) =>
        Each(new RowGradient<TFormula>(*statistics, lost, weight, weightSums, biasSums), statistics->CenterLow != 0, x, go, gx, writes: true, streams: false, ahead);

    /// <param name="row">What becomes of a row's values.</param>
    /// <param name="isFar">Whether its center's low part shows.</param>
    /// <param name="x">The values.</param>
    /// <param name="go">The gradients that come in.</param>
    /// <param name="gx">Those that go out.</param>
    /// <param name="writes">Whether they do.</param>
    /// <param name="streams">Whether past the caches.</param>
    /// <param name="ahead">After so many values the next rows begin, in most tensors.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Each(RowGradient<TFormula> row, bool isFar, Row<T> x, Row<T> go, Row<T> gx, bool writes, bool streams, long ahead)
    {
        if (T.IsSingle && isFar)
            EachValue(row, isFar: true, x, go, gx, writes, streams, ahead);
        else
            EachValue(row, isFar: false, x, go, gx, writes, streams, ahead);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void EachValue(RowGradient<TFormula> row, bool isFar, Row<T> x, Row<T> go, Row<T> gx, bool writes, bool streams, long ahead)
    {
        var i = 0L;
        for (; i < x.Whole; i += Lanes.Count)
        {
            Row<T>.Prefetch(x, go, i + ahead);
            var (values, gradients) = (x[i], go[i]);
            row.Accumulate(values, gradients, i, isFar);
            if (writes)
                gx.Set(i, row.Of(values, gradients, i), streams);
        }
        if (i < x.Length)
            Tail(row, isFar, x, go, gx, writes);
    }

    /// <summary>The values beyond whole groups of a row whose others it writes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void WriteTail(Row<T> x, Row<T> go, Row<T> gx, RowStatistics* statistics, Loss* lost, double* weight, double* weightSums, double* biasSums) =>
        Tail(new RowGradient<TFormula>(*statistics, lost, weight, weightSums, biasSums), statistics->CenterLow != 0, x, go, gx, writes: true);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tail(RowGradient<TFormula> row, bool isFar, Row<T> x, Row<T> go, Row<T> gx, bool writes)
    {
        var (values, gradients) = (x.Tail, go.Tail);
        row.Accumulate(values, gradients, x.Whole, isFar);
        if (writes)
            gx.SetTail(row.Of(values, gradients, x.Whole));
    }
}
