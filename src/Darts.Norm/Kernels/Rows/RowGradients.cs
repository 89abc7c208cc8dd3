using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a few rows of float32.</summary>
internal static unsafe class RowGradients<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>
    /// Adds the rows' part to the parameters' gradients, <c>go · x̂</c> and <c>go</c>. If <paramref name="loses"/>, sets <see cref="GradientStatistics.Mean"/>,
    /// <see cref="GradientStatistics.Along"/> and <see cref="GradientStatistics.Largest"/> as well: what each row's gradient loses to its statistics.
    /// </summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Reduce(GradientRows rows, double* weight, double eps, GradientStatistics* statistics, double* weightSums, double* biasSums, bool loses)
    {
        RowSum* sums = stackalloc RowSum[GradientStatistics.Most], dots = stackalloc RowSum[GradientStatistics.Most];
        var largest = stackalloc Vector256<int>[GradientStatistics.Most];
        var isFar = TFormula.Centers && new ReadOnlySpan<long>(statistics->CenterLow, rows.Count).ContainsAnyExcept(0);
        var hasAll = weight is not null && weightSums is not null && biasSums is not null == TFormula.Centers;
        if (!loses)
            Add<OfParameters>(rows, null, statistics, weightSums, biasSums, sums, dots, largest);
        else if (hasAll && !isFar)
            Add<OfAll>(rows, weight, statistics, weightSums, biasSums, sums, dots, largest);
        else if (weight is null && biasSums is null && !isFar) // no parameter
            Add<OfInput>(rows, null, statistics, null, null, sums, dots, largest);
        else
            Add<OfSome>(rows, weight, statistics, weightSums, biasSums, sums, dots, largest);
        if (rows.Length % Lanes.Count != 0)
        {
            var done = Vector512.IsHardwareAccelerated ? AddTailsWide(rows, weight, statistics, weightSums, biasSums, sums, dots, largest) : 0;
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
            var along = RowSum.Totals(dots + r) / n * inverse * inverse; // in this order: zero stays zero however large the inverse
            (along & TFormula.FlowsThrough(Vector256.Load(statistics->Center + r), eps)).Store(statistics->Along + r);
            Float32.Largest(largest + r).Store(statistics->Largest + r);
        }
    }

    private static void Add<TAsked>(
        GradientRows rows, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest)
        where TAsked : IAsked
    {
        if (Vector512.IsHardwareAccelerated)
            AddTwo<TAsked>(rows, weight, statistics, weightSums, biasSums, sums, dots, largest);
        AddEach<TAsked>(rows, Vector512.IsHardwareAccelerated ? rows.Count & ~1 : 0, weight, statistics, weightSums, biasSums, sums, dots, largest);
    }

    /// <summary>Takes two rows at a time, so that the sums over the rows are read and written once for both. Of an odd number, the last row is left out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTwo<TAsked>(
        GradientRows rows, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest)
        where TAsked : IAsked
    {
        var (whole, ahead) = (rows.Length & -Lanes.Count, rows.Count * rows.Length);
        for (var r = 0; r < rows.Count - 1; r += 2)
        {
            float* x = (float*)rows.X(r).Start, go = (float*)rows.GradOutput(r).Start, x2 = (float*)rows.X(r + 1).Start, go2 = (float*)rows.GradOutput(r + 1).Start;
            var (center, low, inverse) = (Vector512.Create(statistics->Center[r]), Vector512.Create(statistics->CenterLow[r]), Vector512.Create(statistics->Inverse[r]));
            var (center2, low2, inverse2) = (Vector512.Create(statistics->Center[r + 1]), Vector512.Create(statistics->CenterLow[r + 1]), Vector512.Create(statistics->Inverse[r + 1]));
            Vector512<double> sum = default, sumHigh = default, dot = default, sum2 = default, sumHigh2 = default, dot2 = default;
            Vector512<int> magnitudes = default, magnitudes2 = default;
            for (var i = 0L; i < whole; i += Lanes.Count)
            {
                TensorMemory.Prefetch(x + i + ahead);
                TensorMemory.Prefetch(go + i + ahead);
                TensorMemory.Prefetch(x2 + i + ahead);
                TensorMemory.Prefetch(go2 + i + ahead);
                Vector512<double> g = Float32.WidenEight(go + i), h = Float32.WidenEight(go + i + 8), g2 = Float32.WidenEight(go2 + i), h2 = Float32.WidenEight(go2 + i + 8);
                Vector512<double> t = Term(Float32.WidenEight(x + i), g, center, low, inverse, TAsked.IsFar), u = Term(Float32.WidenEight(x + i + 8), h, center, low, inverse, TAsked.IsFar);
                Vector512<double> t2 = Term(Float32.WidenEight(x2 + i), g2, center2, low2, inverse2, TAsked.IsFar), u2 = Term(Float32.WidenEight(x2 + i + 8), h2, center2, low2, inverse2, TAsked.IsFar);
                if (TAsked.HasWeightSums(weightSums))
                {
                    (Vector512.Load(weightSums + i) + t + t2).Store(weightSums + i);
                    (Vector512.Load(weightSums + i + 8) + u + u2).Store(weightSums + i + 8);
                }
                if (TAsked.HasBiasSums(biasSums))
                {
                    (Vector512.Load(biasSums + i) + g + g2).Store(biasSums + i);
                    (Vector512.Load(biasSums + i + 8) + h + h2).Store(biasSums + i + 8);
                }
                if (!TAsked.Loses)
                    continue;
                if (TAsked.HasWeight(weight))
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

    /// <summary>Takes one row at a time, from <paramref name="first"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddEach<TAsked>(
        GradientRows rows, int first, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest)
        where TAsked : IAsked
    {
        var (whole, ahead) = (rows.Length & -Lanes.Count, rows.Count * rows.Length);
        for (var r = first; r < rows.Count; r++)
        {
            var (x, go) = (rows.X(r), rows.GradOutput(r));
            var (center, low, inverse) = (Vector256.Create(statistics->Center[r]), Vector256.Create(statistics->CenterLow[r]), Vector256.Create(statistics->Inverse[r]));
            Vector256<double> a = default, b = default, c = default, d = default, dot = default, dotHigh = default;
            var magnitudes = default(Vector256<int>);
            for (var i = 0L; i < whole; i += Lanes.Count)
            {
                Row<Float32>.Prefetch(x, go, i + ahead);
                // Loaded only as they are needed, as there are too few registers for all of them.
                float* v = (float*)x.Start + i, g = (float*)go.Start + i;
                Add<TAsked>(Float32.WidenFour(v), Float32.WidenFour(v + 8), Float32.WidenFour(g), Float32.WidenFour(g + 8), i, center, low, inverse, weight, weightSums, biasSums, ref a, ref c, ref dot);
                Add<TAsked>(Float32.WidenFour(v + 4), Float32.WidenFour(v + 12), Float32.WidenFour(g + 4), Float32.WidenFour(g + 12), i + 4, center, low, inverse, weight, weightSums, biasSums, ref b, ref d, ref dotHigh);
                magnitudes = Vector256.Max(magnitudes, Vector256.Max(Vector256.Load((int*)g) & Vector256.Create(int.MaxValue), Vector256.Load((int*)g + 8) & Vector256.Create(int.MaxValue)));
            }
            RowSum.Store(a + c, b + d, sums + r);
            RowSum.Store(dot, dotHigh, dots + r);
            largest[r] = magnitudes;
        }
    }

    /// <summary>Takes four values of a row, and the four that lie eight columns further.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TAsked>(
        Vector256<double> x, Vector256<double> x2, Vector256<double> go, Vector256<double> go2, long i, Vector256<double> center, Vector256<double> low, Vector256<double> inverse,
        double* weight, double* weightSums, double* biasSums, ref Vector256<double> sum, ref Vector256<double> sum2, ref Vector256<double> dot)
        where TAsked : IAsked
    {
        if (TFormula.Centers)
            (x, x2) = (x - center, x2 - center);
        if (TFormula.Centers && TAsked.IsFar)
            (x, x2) = (x - low, x2 - low);
        var (t, t2) = (x * inverse * go, x2 * inverse * go2);
        if (TAsked.HasWeightSums(weightSums))
        {
            (Vector256.Load(weightSums + i) + t).Store(weightSums + i);
            (Vector256.Load(weightSums + i + 8) + t2).Store(weightSums + i + 8);
        }
        if (TAsked.HasBiasSums(biasSums))
        {
            (Vector256.Load(biasSums + i) + go).Store(biasSums + i);
            (Vector256.Load(biasSums + i + 8) + go2).Store(biasSums + i + 8);
        }
        if (!TAsked.Loses)
            return;
        if (TAsked.HasWeight(weight))
        {
            var (w, w2) = (Vector256.Load(weight + i), Vector256.Load(weight + i + 8));
            dot += (t * w) + (t2 * w2);
            if (TFormula.Centers)
                (sum, sum2) = (Lanes.AddProduct(go, w, sum), Lanes.AddProduct(go2, w2, sum2));
        }
        else
        {
            dot += t + t2;
            if (TFormula.Centers)
                (sum, sum2) = (sum + go, sum2 + go2);
        }
    }

    /// <summary>Takes the columns beyond the whole groups, of the rows from <paramref name="first"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTails(
        GradientRows rows, int first, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest)
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
            var rest = Vector256.Max(Vector256.Max(Vector256.Abs(g.A), Vector256.Abs(g.B)), Vector256.Max(Vector256.Abs(g.C), Vector256.Abs(g.D)));
            largest[r] = Vector256.Max(largest[r], Float32.Narrow(rest).AsInt32().ToVector256());
        }
    }

    /// <summary>Takes the columns beyond the whole groups, up to the first row whose memory ends with it. Answers that row's number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static int AddTailsWide(
        GradientRows rows, double* weight, GradientStatistics* statistics, double* weightSums, double* biasSums, RowSum* sums, RowSum* dots, Vector256<int>* largest)
    {
        var i = rows.Length & -Lanes.Count;
        var mask = Float32Row.FirstOf(rows.Length - i);
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

    /// <summary>Writes a row's gradient in float64: <c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void WriteRow(Row<Float32> x, Row<Float32> go, Row<Float32> gx, GradientStatistics* statistics, int r, double* weight)
    {
        var row = new RowGradient<TFormula>(statistics, r, weight);
        for (var i = 0L; i < x.Whole; i += Lanes.Count)
            gx.Set(i, row.Of(x[i], go[i], i));
        if (x.Whole < x.Length)
            gx.SetTail(row.Of(x.Tail, go.Tail, x.Whole));
    }

    /// <summary>Which gradients are asked for, and which parameters there are. A type for each case, so that the loops are compiled without asking for each value.</summary>
    private interface IAsked
    {
        /// <summary>Whether what a center lost by rounding is subtracted too.</summary>
        public static abstract bool IsFar { get; }

        /// <summary>Whether the input's gradient is asked for, which loses something to its row's statistics.</summary>
        public static abstract bool Loses { get; }

        public static abstract bool HasWeight(double* weight);

        public static abstract bool HasWeightSums(double* sums);

        public static abstract bool HasBiasSums(double* sums);
    }

    /// <summary>All gradients of a layer with parameters, of rows whose centers lost nothing that shows.</summary>
    private readonly struct OfAll : IAsked
    {
        public static bool IsFar => false;

        public static bool Loses => true;

        public static bool HasWeight(double* weight) => true;

        public static bool HasWeightSums(double* sums) => true;

        public static bool HasBiasSums(double* sums) => TFormula.Centers;
    }

    /// <summary>The input's gradient of a layer without parameters, of rows whose centers lost nothing that shows.</summary>
    private readonly struct OfInput : IAsked
    {
        public static bool IsFar => false;

        public static bool Loses => true;

        public static bool HasWeight(double* weight) => false;

        public static bool HasWeightSums(double* sums) => false;

        public static bool HasBiasSums(double* sums) => false;
    }

    /// <summary>The parameters' gradients alone.</summary>
    private readonly struct OfParameters : IAsked
    {
        public static bool IsFar => true; // a zero may be subtracted as well

        public static bool Loses => false;

        public static bool HasWeight(double* weight) => false;

        public static bool HasWeightSums(double* sums) => sums is not null;

        public static bool HasBiasSums(double* sums) => sums is not null;
    }

    /// <summary>Every other case.</summary>
    private readonly struct OfSome : IAsked
    {
        public static bool IsFar => true;

        public static bool Loses => true;

        public static bool HasWeight(double* weight) => weight is not null;

        public static bool HasWeightSums(double* sums) => sums is not null;

        public static bool HasBiasSums(double* sums) => sums is not null;
    }
}
