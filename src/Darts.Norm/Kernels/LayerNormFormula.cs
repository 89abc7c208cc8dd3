using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = (x - mean(x)) / √(var(x) + eps)</c>.</summary>
/// <remarks>A level far from zero costs no digits: differences to the row's first value are summed, or for float64 values what each addition loses.</remarks>
internal readonly unsafe struct LayerNormFormula : IRowFormula
{
    public static bool Centers => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure<T>(Row<T> x, double eps, RowStatistics* to)
        where T : IElement
    {
        if (T.FitsInDouble)
            MeasureOnce(x, eps, to);
        else
            MeasureTwice(x, eps, to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Inverse(Vector256<double> meanSquare, double eps) =>
        Vector256<double>.One / Vector256.Sqrt(meanSquare + Vector256.Create(eps));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center<T>(Lanes x, RowStatistics s)
        where T : IElement => T.FitsInDouble ? x - s.Center : (x * s.Scale) - s.Center - s.CenterLow;

    public static bool FlowsThrough(RowStatistics s, double eps) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MeasureOnce<T>(Row<T> x, double eps, RowStatistics* to)
        where T : IElement
    {
        var first = x.First;
        Lanes sum = default, squares = default;
        AddMoments(x.OnRow(x.Tail - first), ref sum, ref squares);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            AddMoments(x[i] - first, ref sum, ref squares);
        var mean = sum.Sum() / x.Length;
        // Float64 has 29 digits more than a float32: enough for what cancels here in any row that fits in memory.
        var variance = Math.Max((squares.Sum() / x.Length) - (mean * mean), 0);
        *to = new(1 / Math.Sqrt(variance + eps), first + mean);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddMoments(Lanes t, ref Lanes sum, ref Lanes squares)
    {
        sum += t;
        squares += t * t;
    }

    /// <summary>The two-pass form: the mean first, as two numbers, then the squares about it.</summary>
    private static void MeasureTwice<T>(Row<T> x, double eps, RowStatistics* to)
        where T : IElement
    {
        var (mean, low, variance) = Moments(x, 1);
        if (Range.HoldsSquares(variance) || (variance < 1 && eps > Range.LeastSquare))
        {
            *to = new(1 / Math.Sqrt(variance + eps), mean, low, Square: variance + eps);
            return;
        }
        var scale = Range.Scale(Math.Max(Range.Largest(x), Math.Sqrt(eps)));
        (mean, low, variance) = Moments(x, scale);
        variance += eps * scale * scale;
        *to = new(1 / Math.Sqrt(variance), mean, low, scale, variance);
    }

    /// <summary>Mean, what it lost by rounding, and variance of the scaled row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static (double mean, double low, double variance) Moments<T>(Row<T> x, double scale)
        where T : IElement
    {
        Lanes sum = default, lost = default;
        Sum.Add<T>(ref sum, ref lost, x.Tail * scale);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            Sum.Add<T>(ref sum, ref lost, x[i] * scale);
        var (total, rest) = Sum.TotalAndRest(sum, lost);
        var (mean, low) = Sum.Divide(total, rest, x.Length);

        (sum, lost) = (default, default);
        AddSquare<T>(x.OnRow((x.Tail * scale) - mean - low), ref sum, ref lost);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            AddSquare<T>((x[i] * scale) - mean - low, ref sum, ref lost);
        return (mean, low, Sum.Total<T>(sum, lost) / x.Length);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSquare<T>(Lanes t, ref Lanes sum, ref Lanes lost)
        where T : IElement => Sum.Add<T>(ref sum, ref lost, t * t);
}
