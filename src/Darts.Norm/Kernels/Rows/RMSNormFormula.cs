using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = x / max(rms(x), eps)</c>.</summary>
internal readonly unsafe struct RMSNormFormula : IRowFormula
{
    /// <summary>More than the root of any length: small values beside large ones lose no more by the scale than by the inverse.</summary>
    private const double Room = 1L << 32;

    public static bool Centers => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Measure(Row<Float32> x, double eps, RowStatistics* to) =>
        *to = new(1 / Math.Max(Math.Sqrt(SumOfSquares(x) / x.Length), Magnitude.Divisor(eps)), 0); // no branch: it would wait for the root, and the rows after it with it

    public static void MeasureFour(double** x, int count, long length, double eps, RowStatistics* to)
    {
        MeasureFour(x, count, length, eps, 1, to);
        for (var r = 0; r < count; r++)
        {
            if (!Magnitude.HoldsSquares(to[r].Square))
                MeasureInRange(x + r, length, eps, to + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double SumOfSquares(Row<Float32> x)
    {
        var tail = x.Tail;
        var sum = tail * tail;
        for (long i = 0; i < x.Whole; i += Lanes.Count)
        {
            var v = x[i];
            sum += v * v;
        }
        return sum.Sum();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Inverse(Vector256<double> meanSquare, double eps) =>
        Vector256<double>.One / Vector256.Max(Vector256.Create(Magnitude.Divisor(eps)), Vector256.Sqrt(meanSquare));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center(Lanes x, RowStatistics s) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Centered<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector> => x * TVector.Create(s.Scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> Center<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector> => new(x * TVector.Create(s.Scale), default);

    public static bool FlowsThrough(RowStatistics s, double eps) => !(s.Center < eps);

    /// <summary>Of rows times a scale.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MeasureFour(double** x, int count, long length, double eps, double scale, RowStatistics* to)
    {
        var sums = stackalloc double[4 * Float64Moments.Room];
        double* squares = stackalloc double[4], roots = stackalloc double[4], inverses = stackalloc double[4], inverseLows = stackalloc double[4];
        for (var r = 0; r < count; r++)
            Float64Moments.AddSquares(x[r], length, scale, 0, 0, sums + (r * Float64Moments.Room));
        var (square, least) = (Pair<Float64x4>.Divide(Float64Moments.Totals(sums), Float64x4.Create(length)), Float64x4.Create(Magnitude.Divisor(eps * scale)));
        var root = Pair<Float64x4>.Root(square);
        var isLess = Float64x4.AreLess(root.High, least);
        var inverse = Pair<Float64x4>.Inverse(new(Float64x4.Select(isLess, least, root.High), Float64x4.Select(isLess, default, root.Low)));
        square.High.Store(squares);
        (root.High * Float64x4.Create(1 / scale)).Store(roots);
        inverse.High.Store(inverses);
        inverse.Low.Store(inverseLows);
        for (var r = 0; r < count; r++)
            to[r] = new(inverses[r], roots[r], 0, scale, squares[r], inverseLows[r]);
    }

    /// <summary>A row whose squares overflow or vanish, by a scale.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MeasureInRange(double** x, long length, double eps, RowStatistics* to)
    {
        var largest = Magnitude.Largest(*x, length);
        var vanishes = Magnitude.Vanishes(largest, eps);
        var scale = Magnitude.Scale(vanishes ? largest : Math.Max(largest, eps));
        if (scale < 1)
            scale *= Room;
        MeasureFour(x, 1, length, eps, scale, to);
        if (vanishes)
            *to = RowStatistics.OfEps(Sum.Inverse(eps, 0), to->Center, 0, scale);
    }
}
