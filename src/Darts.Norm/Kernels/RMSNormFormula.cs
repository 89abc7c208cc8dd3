using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = x / max(rms(x), eps)</c>.</summary>
internal readonly struct RMSNormFormula : IRowFormula
{
    private const double Clamped = 1;

    public static bool Centers => false;

    public static RowStatistics Measure<T>(Row<T> x, double eps)
        where T : IElement
    {
        var meanSquare = MeanSquare(x, 1);
        if (!T.FitsInDouble && !Range.HoldsSquares(meanSquare))
            return MeasureInRange(x, eps);
        var rms = Math.Sqrt(meanSquare);
        return rms < eps ? new(Range.Reciprocal(eps), Clamped) : new(Range.Reciprocal(rms), 0, Square: meanSquare);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center<T>(Lanes x, RowStatistics s)
        where T : IElement => T.FitsInDouble ? x : x * s.Scale;

    public static bool FlowsThrough(RowStatistics s) => s.Center != Clamped;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double MeanSquare<T>(Row<T> x, double scale)
        where T : IElement
    {
        Lanes sum = default, lost = default;
        var i = 0L;
        for (; i < x.Whole; i += Lanes.Count)
            AddSquare<T>(x[i], scale, ref sum, ref lost);
        if (i < x.Length)
            AddSquare<T>(x.Tail(i), scale, ref sum, ref lost);
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
    private static RowStatistics MeasureInRange<T>(Row<T> x, double eps)
        where T : IElement
    {
        var scale = Range.Scale(Math.Max(Range.Largest(x), eps));
        var meanSquare = MeanSquare(x, scale);
        var (rms, least) = (Math.Sqrt(meanSquare), eps * scale);
        return rms < least ? new(1 / least, Clamped, Scale: scale) : new(1 / rms, 0, Scale: scale, Square: meanSquare);
    }
}
