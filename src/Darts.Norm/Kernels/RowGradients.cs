using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a few rows, for dtypes that float64 has digits to spare for.</summary>
internal static unsafe class RowGradients<TFormula, T>
    where TFormula : IRowFormula
    where T : IElement
{
    /// <summary>The rows' part of the parameters' gradients, <c>go · x̂</c> and <c>go</c>, and where <paramref name="loses"/>, what each row's gradient loses to its statistics.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Reduce(GradientRows<T> rows, double* weight, double eps, GradientStatistics* statistics, double* weightSums, double* biasSums, bool loses)
    {
        RowSum* sums = stackalloc RowSum[GradientStatistics.Most], dots = stackalloc RowSum[GradientStatistics.Most];
        var largest = stackalloc Vector256<int>[GradientStatistics.Most];
        var isFar = TFormula.Centers && new ReadOnlySpan<long>(statistics->CenterLow, rows.Count).ContainsAnyExcept(0);
        var hasAll = weight is not null && weightSums is not null && biasSums is not null == TFormula.Centers;
        if (!loses)
            AddParameters(rows, statistics, weightSums, biasSums, sums, dots, largest);
        else if (hasAll && !isFar)
            AddAll(rows, weight, statistics, weightSums, biasSums, sums, dots, largest);
        else if (weight is null && biasSums is null && !isFar) // no parameter
            AddAlone(rows, statistics, sums, dots, largest);
        else
            AddSome(rows, weight, statistics, weightSums, biasSums, sums, dots, largest);
        if (rows.Length % Lanes.Count != 0)
        {
            var done = T.IsWide ? AddTailsWide(rows, weight, statistics, weightSums, biasSums, sums, dots, largest) : 0;
            if (done < rows.Count)
                AddTails(rows, done, weight, statistics, weightSums, biasSums, sums, dots, largest);
        }
        if (!loses)
            return;
        var n = Vector256.Create((double)rows.Length);
        for (var r = 0; r < rows.Count; r += Vector256<double>.Count)
        {
            var inverse = Vector256.Load(statistics->Inverse + r);
            if (TFormula.Centers)
                (RowSum.Totals(sums + r) / n * inverse).Store(statistics->Mean + r);
            (RowSum.Totals(dots + r) / n * inverse * inverse).Store(statistics->Along + r); // in this order: zero stays zero however large the inverse
            if (T.IsSingle)
                Largest(largest + r).AsSingle().Store(statistics->Largest + r);
        }
        for (var r = 0; r < rows.Count; r++)
        {
            if (!TFormula.FlowsThrough(new(statistics->Inverse[r], statistics->Center[r]), eps))
                statistics->Along[r] = 0;
        }
    }

    // A method for each set of parameters: asking among the values would take as long as they do, and beside calls nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddAll(GradientRows<T> rows, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest) =>
        Add(rows, weight, statistics, weightSums, biasSums, sums, dots, largest, hasWeight: true, hasWeightSums: true, hasBiasSums: TFormula.Centers, isFar: false, loses: true);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddAlone(GradientRows<T> rows, GradientStatistics* statistics, RowSum* sums, RowSum* dots, Vector256<int>* largest) =>
        Add(rows, null, statistics, null, null, sums, dots, largest, hasWeight: false, hasWeightSums: false, hasBiasSums: false, isFar: false, loses: true);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddSome(GradientRows<T> rows, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest) =>
        Add(rows, weight, statistics, weightSums, biasSums, sums, dots, largest, weight is not null, weightSums is not null, biasSums is not null, isFar: T.IsSingle, loses: true); // what is zero can be subtracted as well

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddParameters(GradientRows<T> rows, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest) =>
        Add(rows, null, statistics, weightSums, biasSums, sums, dots, largest, hasWeight: false, weightSums is not null, biasSums is not null, isFar: T.IsSingle, loses: false);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(
        GradientRows<T> rows, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest,
        bool hasWeight, bool hasWeightSums, bool hasBiasSums, bool isFar, bool loses)
    {
        var r = 0;
        for (; T.IsWide && r < rows.Count - 1; r += 2)
            AddTwo(rows, r, weight, statistics, weightSums, biasSums, sums, dots, largest, hasWeight, hasWeightSums, hasBiasSums, isFar, loses);
        for (; r < rows.Count; r++)
            AddOne(rows, r, weight, statistics, weightSums, biasSums, sums, dots, largest, hasWeight, hasWeightSums, hasBiasSums, isFar, loses);
    }

    /// <summary>Two rows of float32, so that the sums over the rows are read and written once for both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTwo(
        GradientRows<T> rows, int r, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest,
        bool hasWeight, bool hasWeightSums, bool hasBiasSums, bool isFar, bool loses)
    {
        float* x = (float*)rows.X(r).Start, go = (float*)rows.GradOutput(r).Start, x2 = (float*)rows.X(r + 1).Start, go2 = (float*)rows.GradOutput(r + 1).Start;
        var (center, low, inverse) = (Vector512.Create(statistics->Center[r]), Vector512.Create(statistics->CenterLow[r]), Vector512.Create(statistics->Inverse[r]));
        var (center2, low2, inverse2) = (Vector512.Create(statistics->Center[r + 1]), Vector512.Create(statistics->CenterLow[r + 1]), Vector512.Create(statistics->Inverse[r + 1]));
        Vector512<double> sum = default, sumHigh = default, dot = default, sum2 = default, sumHigh2 = default, dot2 = default;
        Vector512<int> magnitudes = default, magnitudes2 = default;
        var (whole, ahead) = (rows.Length & -Lanes.Count, rows.Count * rows.Length);
        for (var i = 0L; i < whole; i += Lanes.Count)
        {
            Memory.Prefetch(x + i + ahead);
            Memory.Prefetch(go + i + ahead);
            Memory.Prefetch(x2 + i + ahead);
            Memory.Prefetch(go2 + i + ahead);
            Vector512<double> g = Float32.WidenEight(go + i), h = Float32.WidenEight(go + i + 8), g2 = Float32.WidenEight(go2 + i), h2 = Float32.WidenEight(go2 + i + 8);
            Vector512<double> t = Term(Float32.WidenEight(x + i), g, center, low, inverse, isFar), u = Term(Float32.WidenEight(x + i + 8), h, center, low, inverse, isFar);
            Vector512<double> t2 = Term(Float32.WidenEight(x2 + i), g2, center2, low2, inverse2, isFar), u2 = Term(Float32.WidenEight(x2 + i + 8), h2, center2, low2, inverse2, isFar);
            if (hasWeightSums)
            {
                (Vector512.Load(weightSums + i) + t + t2).Store(weightSums + i);
                (Vector512.Load(weightSums + i + 8) + u + u2).Store(weightSums + i + 8);
            }
            if (hasBiasSums)
            {
                (Vector512.Load(biasSums + i) + g + g2).Store(biasSums + i);
                (Vector512.Load(biasSums + i + 8) + h + h2).Store(biasSums + i + 8);
            }
            if (!loses)
                continue;
            if (hasWeight)
            {
                Vector512<double> w = Vector512.Load(weight + i), w2 = Vector512.Load(weight + i + 8);
                dot += (t * w) + (u * w2);
                dot2 += (t2 * w) + (u2 * w2);
                if (TFormula.Centers)
                {
                    (sum, sumHigh) = (Lanes.AddProduct(g, w, sum), Lanes.AddProduct(h, w2, sumHigh));
                    (sum2, sumHigh2) = (Lanes.AddProduct(g2, w, sum2), Lanes.AddProduct(h2, w2, sumHigh2));
                }
            }
            else
            {
                dot += t + u;
                dot2 += t2 + u2;
                if (TFormula.Centers)
                {
                    (sum, sumHigh) = (sum + g, sumHigh + h);
                    (sum2, sumHigh2) = (sum2 + g2, sumHigh2 + h2);
                }
            }
            magnitudes = Vector512.Max(magnitudes, Vector512.Load((int*)go + i) & Vector512.Create(int.MaxValue));
            magnitudes2 = Vector512.Max(magnitudes2, Vector512.Load((int*)go2 + i) & Vector512.Create(int.MaxValue));
        }
        RowSum.Store(sum + sumHigh, sums + r);
        RowSum.Store(sum2 + sumHigh2, sums + r + 1);
        RowSum.Store(dot, dots + r);
        RowSum.Store(dot2, dots + r + 1);
        largest[r] = Vector256.Max(magnitudes.GetLower(), magnitudes.GetUpper());
        largest[r + 1] = Vector256.Max(magnitudes2.GetLower(), magnitudes2.GetUpper());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<double> Term(Vector512<double> x, Vector512<double> go, Vector512<double> center, Vector512<double> low, Vector512<double> inverse, bool isFar)
    {
        if (TFormula.Centers)
            x -= center;
        if (TFormula.Centers && isFar)
            x -= low;
        return x * inverse * go; // in this order: zero stays zero however large the inverse
    }

    /// <summary>One row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddOne(
        GradientRows<T> rows, int r, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest,
        bool hasWeight, bool hasWeightSums, bool hasBiasSums, bool isFar, bool loses)
    {
        var (x, go) = (rows.X(r), rows.GradOutput(r));
        var (center, low, inverse) = (Vector256.Create(statistics->Center[r]), Vector256.Create(statistics->CenterLow[r]), Vector256.Create(statistics->Inverse[r]));
        Lanes sum = default;
        Vector256<double> dot = default, dotHigh = default;
        var magnitudes = default(Vector256<int>);
        var ahead = rows.Count * rows.Length;
        for (var i = 0L; i < x.Whole; i += Lanes.Count)
        {
            Row<T>.Prefetch(x, go, i + ahead);
            var (g, v) = (go[i], x[i]);
            if (TFormula.Centers)
                v -= center;
            if (TFormula.Centers && isFar)
                v -= low;
            v = v * inverse * g;
            if (hasWeightSums)
                (Lanes.Load(weightSums + i) + v).Store(weightSums + i);
            if (hasBiasSums)
                (Lanes.Load(biasSums + i) + g).Store(biasSums + i);
            if (!loses)
                continue;
            var w = hasWeight ? Lanes.Load(weight + i) : default;
            if (TFormula.Centers)
                sum = hasWeight ? Lanes.AddProduct(g, w, sum) : sum + g;
            if (hasWeight)
                v *= w;
            dot += v.A + v.C;
            dotHigh += v.B + v.D;
            if (T.IsSingle)
            {
                var bits = (int*)go.Start + i;
                magnitudes = Vector256.Max(magnitudes, Vector256.Max(Vector256.Load(bits) & Vector256.Create(int.MaxValue), Vector256.Load(bits + 8) & Vector256.Create(int.MaxValue)));
            }
        }
        sums[r] = RowSum.Of(sum);
        RowSum.Store(dot, dotHigh, dots + r);
        largest[r] = magnitudes;
    }

    /// <summary>The same of the columns beyond whole groups.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTails(
        GradientRows<T> rows, int first, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest)
    {
        var i = rows.Length & -Lanes.Count;
        for (var r = first; r < rows.Count; r++)
        {
            var (g, v) = (rows.GradOutput(r).Tail, rows.X(r).Tail);
            if (TFormula.Centers)
                v = v - Vector256.Create(statistics->Center[r]) - Vector256.Create(statistics->CenterLow[r]);
            v = v * Vector256.Create(statistics->Inverse[r]) * g; // zero behind the row, as the gradient is
            if (weightSums is not null)
                (Lanes.Load(weightSums + i) + v).Store(weightSums + i);
            if (biasSums is not null)
                (Lanes.Load(biasSums + i) + g).Store(biasSums + i);
            if (TFormula.Centers)
                sums[r].Add(weight is null ? g : g * Lanes.Load(weight + i));
            dots[r].Add(weight is null ? v : v * Lanes.Load(weight + i));
            if (!T.IsSingle)
                continue;
            var rest = Vector256.Max(Vector256.Max(Vector256.Abs(g.A), Vector256.Abs(g.B)), Vector256.Max(Vector256.Abs(g.C), Vector256.Abs(g.D)));
            largest[r] = Vector256.Max(largest[r], Float32.Narrow(rest).AsInt32().ToVector256());
        }
    }

    /// <summary>The same of float32 rows up to the first that ends with its memory, whose number it gives.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static int AddTailsWide(
        GradientRows<T> rows, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest)
    {
        var i = rows.Length & -Lanes.Count;
        var mask = Singles.WideMask(rows.Length - i);
        Vector512<double> weightSum = default, weightSumHigh = default, biasSum = default, biasSumHigh = default;
        var (w, w2) = weight is null ? (Vector512.Create(1.0), Vector512.Create(1.0)) : (Vector512.Load(weight + i), Vector512.Load(weight + i + 8));
        if (weightSums is not null)
            (weightSum, weightSumHigh) = (Vector512.Load(weightSums + i), Vector512.Load(weightSums + i + 8));
        if (biasSums is not null)
            (biasSum, biasSumHigh) = (Vector512.Load(biasSums + i), Vector512.Load(biasSums + i + 8));
        var r = 0;
        for (; r < rows.Count; r++)
        {
            float* x = (float*)rows.X(r).Start + i, go = (float*)rows.GradOutput(r).Start + i;
            if (x + Lanes.Count > (float*)rows.X(r).End || go + Lanes.Count > (float*)rows.GradOutput(r).End)
                break;
            Vector512<float> values = Vector512.Load(x) & mask, gradients = Vector512.Load(go) & mask;
            var (center, low, inverse) = (Vector512.Create(statistics->Center[r]), Vector512.Create(statistics->CenterLow[r]), Vector512.Create(statistics->Inverse[r]));
            Vector512<double> g = Float32.Widen(gradients.GetLower()), h = Float32.Widen(gradients.GetUpper()); // zero behind the row, and with them the terms
            Vector512<double> v = Term(Float32.Widen(values.GetLower()), g, center, low, inverse, isFar: true), u = Term(Float32.Widen(values.GetUpper()), h, center, low, inverse, isFar: true);
            (weightSum, weightSumHigh) = (weightSum + v, weightSumHigh + u);
            (biasSum, biasSumHigh) = (biasSum + g, biasSumHigh + h);
            if (TFormula.Centers)
                RowSum.Store(RowSum.LoadWide(sums + r) + ((g * w) + (h * w2)), sums + r);
            RowSum.Store(RowSum.LoadWide(dots + r) + ((v * w) + (u * w2)), dots + r);
            var magnitudes = gradients.AsInt32() & Vector512.Create(int.MaxValue);
            largest[r] = Vector256.Max(largest[r], Vector256.Max(magnitudes.GetLower(), magnitudes.GetUpper()));
        }
        if (weightSums is not null)
        {
            weightSum.Store(weightSums + i);
            weightSumHigh.Store(weightSums + i + 8);
        }
        if (biasSums is not null)
        {
            biasSum.Store(biasSums + i);
            biasSumHigh.Store(biasSums + i + 8);
        }
        return r;
    }

    /// <summary>Of four rows' bits of magnitudes, which as integers have the same order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Largest(Vector256<int>* rows)
    {
        var (a, b, c, d) = (Fours(rows[0]), Fours(rows[1]), Fours(rows[2]), Fours(rows[3]));
        if (!Sse2.IsSupported)
            return Vector128.Create(Largest(a), Largest(b), Largest(c), Largest(d));
        var (ab, cd) = (Vector128.Max(Sse2.UnpackLow(a, b), Sse2.UnpackHigh(a, b)).AsInt64(), Vector128.Max(Sse2.UnpackLow(c, d), Sse2.UnpackHigh(c, d)).AsInt64());
        return Vector128.Max(Sse2.UnpackLow(ab, cd).AsInt32(), Sse2.UnpackHigh(ab, cd).AsInt32());

        static Vector128<int> Fours(Vector256<int> v) => Vector128.Max(v.GetLower(), v.GetUpper());

        static int Largest(Vector128<int> v) => Math.Max(Math.Max(v.GetElement(0), v.GetElement(1)), Math.Max(v.GetElement(2), v.GetElement(3)));
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void WriteRow(Row<T> x, Row<T> go, Row<T> gx, GradientStatistics* statistics, int r, double* weight)
    {
        var row = new RowGradient<TFormula>(statistics, r, weight);
        for (var i = 0L; i < x.Whole; i += Lanes.Count)
            gx.Set(i, row.Of(x[i], go[i], i));
        if (x.Whole < x.Length)
            gx.SetTail(row.Of(x.Tail, go.Tail, x.Whole));
    }
}
