using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = (x - mean(x)) / √(var(x) + eps)</c>.</summary>
/// <remarks>A level far from zero costs no digits: of the float32 rows that <see cref="Float32Rows{TFormula}"/> does not take, differences to the first value are summed, and of float64 rows what each addition loses.</remarks>
internal readonly unsafe struct LayerNormFormula : IRowFormula
{
    public static bool Centers => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Measure(Row<Float32> x, double eps, RowStatistics* to)
    {
        var total = x.Tail;
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            total += x[i];
        double level = (float)(total.Sum() / x.Length); // of so few digits that differences to it are exact
        Lanes sum = default, squares = default;
        AddMoments(x.OnRow(x.Tail - level), ref sum, ref squares);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            AddMoments(x[i] - level, ref sum, ref squares);
        var rest = sum.Sum() / x.Length;
        var variance = Math.Max((squares.Sum() / x.Length) - (rest * rest), 0);
        var (center, lost) = Sum.TwoSum(level, rest);
        *to = new(1 / Math.Sqrt(variance + eps), center, lost);
    }

    public static void MeasureFour(double** x, int count, long length, double eps, RowStatistics* to)
    {
        var variances = stackalloc double[4];
        MeasureFour(x, count, length, eps, 1, variances, to);
        for (var r = 0; r < count; r++)
        {
            // Where eps is all there is, the mean of values too small has lost digits.
            if (!Magnitude.HoldsSquares(variances[r]) && !(variances[r] < 1 && eps > Magnitude.LeastEps && Math.Abs(to[r].Center) > Magnitude.LeastSquare))
                MeasureInRange(x + r, length, eps, to + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Inverse(Vector256<double> meanSquare, double eps) =>
        Vector256<double>.One / Vector256.Sqrt(meanSquare + Vector256.Create(eps));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center(Lanes x, RowStatistics s) => x - s.Center - s.CenterLow;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Centered<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector> => (x * TVector.Create(s.Scale)) - TVector.Create(s.Center) - TVector.Create(s.CenterLow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> Center<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var v = Pair<TVector>.Difference(x * TVector.Create(s.Scale), TVector.Create(s.Center));
        return new(v.High, v.Low - TVector.Create(s.CenterLow));
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
        var sums = stackalloc double[4 * Float64Moments.Room];
        double* means = stackalloc double[4], lows = stackalloc double[4], squares = stackalloc double[4], inverses = stackalloc double[4], inverseLows = stackalloc double[4];
        var n = Float64x4.Create(length);
        for (var r = 0; r < count; r++)
            Float64Moments.AddValues(x[r], length, scale, sums + (r * Float64Moments.Room));
        var mean = Pair<Float64x4>.Divide(Float64Moments.Totals(sums), n);
        mean.High.Store(means);
        mean.Low.Store(lows);
        for (var r = 0; r < count; r++)
            Float64Moments.AddSquares(x[r], length, scale, means[r], lows[r], sums + (r * Float64Moments.Room));
        var variance = Pair<Float64x4>.Divide(Float64Moments.Totals(sums), n);
        var square = Pair<Float64x4>.Sum(variance.High, Float64x4.Create(eps));
        var inverse = Pair<Float64x4>.Inverse(Pair<Float64x4>.Root(new(square.High, square.Low + variance.Low)));
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
        var (largest, root) = (Magnitude.Largest(*x, length), Math.Sqrt(eps));
        var vanishes = Magnitude.Vanishes(largest, root);
        var scale = Magnitude.Scale(vanishes ? largest : Math.Max(largest, root));
        var variances = stackalloc double[4];
        MeasureFour(x, 1, length, eps * scale * scale, scale, variances, to);
        if (!vanishes && variances[0] != 0)
            return;
        var (rootOfEps, lost) = Sum.Root(eps, 0);
        *to = RowStatistics.OfEps(Sum.Inverse(rootOfEps, lost), to->Center, to->CenterLow, scale);
    }
}
