using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = (x - mean(x)) / √(var(x) + eps)</c>.</summary>
/// <remarks>A level far from zero costs no digits: differences to the row's first value are summed, or for float64 values what each addition loses.</remarks>
internal readonly unsafe struct LayerNormFormula : IRowFormula
{
    public static bool Centers => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Measure(Row<Float32> x, double eps, RowStatistics* to)
    {
        var first = x.First;
        Lanes sum = default, squares = default;
        AddMoments(x.OnRow(x.Tail - first), ref sum, ref squares);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            AddMoments(x[i] - first, ref sum, ref squares);
        var mean = sum.Sum() / x.Length;
        // Float64 has 29 digits more than a float32: enough for what cancels here in any row that fits in memory.
        var variance = Math.Max((squares.Sum() / x.Length) - (mean * mean), 0);
        var (center, lost) = Sum.TwoSum(first, mean);
        *to = new(1 / Math.Sqrt(variance + eps), center, lost);
    }

    public static void MeasureFour(double** x, int count, long length, double eps, RowStatistics* to)
    {
        var variances = stackalloc double[4];
        MeasureFour(x, count, length, eps, 1, variances, to);
        for (var r = 0; r < count; r++)
        {
            // Where eps is all there is, the mean of values too small has lost digits.
            if (!Range.HoldsSquares(variances[r]) && !(variances[r] < 1 && eps > Range.LeastEps && Math.Abs(to[r].Center) > Range.LeastSquare))
                MeasureInRange(x + r, length, eps, to + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Inverse(Vector256<double> meanSquare, double eps) =>
        Vector256<double>.One / Vector256.Sqrt(meanSquare + Vector256.Create(eps));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center(Lanes x, RowStatistics s) => x - s.Center - s.CenterLow;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Centered<TWide>(TWide x, RowStatistics s)
        where TWide : struct, IWide<TWide> => (x * TWide.Create(s.Scale)) - TWide.Create(s.Center) - TWide.Create(s.CenterLow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Center<TWide>(TWide x, RowStatistics s)
        where TWide : struct, IWide<TWide>
    {
        var v = Pair<TWide>.Difference(x * TWide.Create(s.Scale), TWide.Create(s.Center));
        return new(v.High, v.Low - TWide.Create(s.CenterLow));
    }

    public static bool FlowsThrough(RowStatistics s, double eps) => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddMoments(Lanes t, ref Lanes sum, ref Lanes squares)
    {
        sum += t;
        squares += t * t;
    }

    /// <summary>Of rows times a scale, the variances among the rest.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MeasureFour(double** x, int count, long length, double eps, double scale, double* variances, RowStatistics* to)
    {
        var sums = stackalloc double[4 * DoubleMoments.Room];
        double* means = stackalloc double[4], lows = stackalloc double[4], squares = stackalloc double[4], inverses = stackalloc double[4], inverseLows = stackalloc double[4];
        var n = FourWide.Create(length);
        for (var r = 0; r < count; r++)
            DoubleMoments.AddValues(x[r], length, scale, sums + (r * DoubleMoments.Room));
        var mean = Pair<FourWide>.Divide(DoubleMoments.Totals(sums), n);
        mean.High.Store(means);
        mean.Low.Store(lows);
        for (var r = 0; r < count; r++)
            DoubleMoments.AddSquares(x[r], length, scale, means[r], lows[r], sums + (r * DoubleMoments.Room));
        var variance = Pair<FourWide>.Divide(DoubleMoments.Totals(sums), n);
        var square = Pair<FourWide>.Sum(variance.High, FourWide.Create(eps));
        var inverse = Pair<FourWide>.Inverse(Pair<FourWide>.Root(new(square.High, square.Low + variance.Low)));
        variance.High.Store(variances);
        square.High.Store(squares);
        inverse.High.Store(inverses);
        inverse.Low.Store(inverseLows);
        for (var r = 0; r < count; r++)
            to[r] = new(inverses[r], means[r], lows[r], scale, squares[r], inverseLows[r]);
    }

    /// <summary>A row whose squares overflow or vanish, by a scale.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MeasureInRange(double** x, long length, double eps, RowStatistics* to)
    {
        var (largest, root) = (Range.Largest(new Row<Float64>((byte*)*x, length, (byte*)(*x + length))), Math.Sqrt(eps));
        var vanishes = Range.Vanishes(largest, root);
        var scale = Range.Scale(vanishes ? largest : Math.Max(largest, root));
        var variances = stackalloc double[4];
        MeasureFour(x, 1, length, eps * scale * scale, scale, variances, to);
        if (!vanishes && variances[0] != 0)
            return;
        var (rootOfEps, lost) = Sum.Root(eps, 0);
        *to = RowStatistics.OfEps(Sum.Inverse(rootOfEps, lost), to->Center, to->CenterLow, scale);
    }
}
