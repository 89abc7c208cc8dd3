using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = x / max(rms(x), eps)</c>.</summary>
internal readonly unsafe struct RMSNormFormula : IRowFormula
{
    public static bool Centers => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Measure(Row<Float32> x, double eps, RowStatistics* to)
    {
        var root = Math.Sqrt(SumOfSquares(x) / x.Length);
        *to = new(1 / Math.Max(root, Magnitude.Divisor(eps)), root); // no branch on the root: the next rows would wait for it
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
    public static Pair<Float64x4> Square(Pair<Float64x4> meanSquare, double eps) => meanSquare;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> Divisor(Pair<Float64x4> root, double eps)
    {
        var least = Float64x4.Create(Magnitude.Divisor(eps));
        var isLess = Float64x4.AreLess(root.High, least);
        return new(Float64x4.Select(isLess, least, root.High), Float64x4.Select(isLess, default, root.Low));
    }

    public static double Scaled(double eps, double scale) => eps * scale;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center(Lanes x, RowStatistics s) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> Center<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector> => new(x * TVector.Create(s.Scale), default);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> FlowsThrough(Vector256<double> center, double eps) => ~Vector256.LessThan(center, Vector256.Create(eps));
}
