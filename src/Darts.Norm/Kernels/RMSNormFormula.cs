using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = x / max(rms(x), eps)</c>.</summary>
internal readonly unsafe struct RMSNormFormula : IRowFormula
{
    public static bool Centers => false;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure<T>(Row<T> x, double eps, RowStatistics* to)
        where T : IElement
    {
        var meanSquare = MeanSquare(x, 1);
        if (!T.FitsInDouble && !Range.HoldsSquares(meanSquare))
        {
            MeasureInRange(x, eps, to);
            return;
        }
        // No branch here: it would wait for the root, and the rows after it with it.
        var rms = Math.Sqrt(meanSquare);
        *to = new(1 / Math.Max(rms, Range.Divisor(eps)), Center: rms, Square: meanSquare);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Inverse(Vector256<double> meanSquare, double eps) =>
        Vector256<double>.One / Vector256.Max(Vector256.Create(Range.Divisor(eps)), Vector256.Sqrt(meanSquare));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center<T>(Lanes x, RowStatistics s)
        where T : IElement => T.FitsInDouble ? x : x * s.Scale;

    public static bool FlowsThrough(RowStatistics s, double eps) => !(s.Center < eps);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double MeanSquare<T>(Row<T> x, double scale)
        where T : IElement
    {
        Lanes sum = default, lost = default;
        AddSquare<T>(x.Tail, scale, ref sum, ref lost);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            AddSquare<T>(x[i], scale, ref sum, ref lost);
        return Sum.Total<T>(sum, lost) / x.Length;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSquare<T>(Lanes x, double scale, ref Lanes sum, ref Lanes lost)
        where T : IElement
    {
        var v = T.FitsInDouble ? x : x * scale;
        Sum.Add<T>(ref sum, ref lost, v * v);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MeasureInRange<T>(Row<T> x, double eps, RowStatistics* to)
        where T : IElement
    {
        var scale = Range.Scale(Math.Max(Range.Largest(x), eps));
        var meanSquare = MeanSquare(x, scale);
        var (rms, least) = (Math.Sqrt(meanSquare), eps * scale);
        *to = new(1 / Math.Max(rms, least), Center: rms / scale, Scale: scale, Square: meanSquare);
    }
}
