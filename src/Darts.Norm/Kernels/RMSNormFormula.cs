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
    public static void Measure<T>(Row<T> x, double eps, RowStatistics* to)
        where T : IElement
    {
        if (T.IsSingle)
        {
            *to = Of(SumOfSquares(x) / x.Length, eps);
            return;
        }
        MeasureExactly(new(x.Start, x.Length, x.End), eps, to);
    }

    private static void MeasureExactly(Row<Float64> x, double eps, RowStatistics* to)
    {
        var (meanSquare, lost) = MeanSquare(x, 1);
        if (Range.HoldsSquares(meanSquare))
            *to = Of(meanSquare, lost, eps, 1, 1);
        else
            MeasureInRange(x, eps, to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double SumOfSquares<T>(Row<T> x)
        where T : IElement
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
    private static RowStatistics Of(double meanSquare, double eps)
    {
        // No branch here: it would wait for the root, and the rows after it with it.
        var rms = Math.Sqrt(meanSquare);
        return new(1 / Math.Max(rms, Range.Divisor(eps)), rms);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Inverse(Vector256<double> meanSquare, double eps) =>
        Vector256<double>.One / Vector256.Max(Vector256.Create(Range.Divisor(eps)), Vector256.Sqrt(meanSquare));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center(Lanes x, RowStatistics s) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Centered<TWide>(TWide x, RowStatistics s)
        where TWide : struct, IWide<TWide> => x * TWide.Create(s.Scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Center<TWide>(TWide x, RowStatistics s)
        where TWide : struct, IWide<TWide> => new(x * TWide.Create(s.Scale), default);

    public static bool FlowsThrough(RowStatistics s, double eps) => !(s.Center < eps);

    private static (double meanSquare, double lost) MeanSquare(Row<Float64> x, double scale)
    {
        var (total, rest) = DoubleMoments.Squares(x, scale, 0, 0);
        return Sum.Divide(total, rest, x.Length);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MeasureInRange(Row<Float64> x, double eps, RowStatistics* to)
    {
        var largest = Range.Largest(x);
        var vanishes = Range.Vanishes(largest, eps);
        var scale = Range.Scale(vanishes ? largest : Math.Max(largest, eps));
        if (scale < 1)
            scale *= Room;
        var (meanSquare, lost) = MeanSquare(x, scale);
        *to = vanishes ? RowStatistics.OfEps(Sum.Inverse(eps, 0), Math.Sqrt(meanSquare) / scale, 0, scale) : Of(meanSquare, lost, eps * scale, scale, 1 / scale);
    }

    /// <summary>Of float64 values times a scale.</summary>
    /// <param name="meanSquare">Of the scaled row.</param>
    /// <param name="lost">What that lost by rounding.</param>
    /// <param name="least">What the row is divided by at least.</param>
    /// <param name="scale">A power of two.</param>
    /// <param name="back">One over it.</param>
    private static RowStatistics Of(double meanSquare, double lost, double least, double scale, double back)
    {
        var (rms, rmsLost) = Sum.Root(meanSquare, lost);
        least = Range.Divisor(least);
        var (inverse, inverseLost) = rms < least ? Sum.Inverse(least, 0) : Sum.Inverse(rms, rmsLost);
        return new(inverse, rms * back, 0, scale, meanSquare, inverseLost);
    }
}
