using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = (x - mean(x)) / √(var(x) + eps)</c>.</summary>
/// <remarks>A level far from zero costs no digits: <see cref="Measure"/> sums differences to the mean, rounded to float32, and for rows of float64 what each addition loses is summed as well.</remarks>
internal readonly unsafe struct LayerNormFormula : IRowFormula
{
    public static bool Centers => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Measure(Row<Float32> x, double eps, RowStatistics* to)
    {
        var total = x.Tail;
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            total += x[i];
        double level = (float)(total.Sum() / x.Length); // rounded to float32, so that float64 holds the differences to it
        Lanes sum = default, squares = default;
        AddMoments(x.OnRow(x.Tail - level), ref sum, ref squares);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            AddMoments(x[i] - level, ref sum, ref squares);
        var rest = sum.Sum() / x.Length;
        var variance = Math.Max((squares.Sum() / x.Length) - (rest * rest), 0);
        var (center, lost) = Sum.TwoSum(level, rest);
        *to = new(1 / Math.Sqrt(variance + eps), center, lost);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Inverse(Vector256<double> meanSquare, double eps) =>
        Vector256<double>.One / Vector256.Sqrt(meanSquare + Vector256.Create(eps));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> Square(Pair<Float64x4> meanSquare, double eps)
    {
        var square = Pair<Float64x4>.Sum(meanSquare.High, Float64x4.Create(eps));
        return new(square.High, square.Low + meanSquare.Low);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> Divisor(Pair<Float64x4> root, double eps) => root;

    public static double Scaled(double eps, double scale) => eps * scale * scale;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Center(Lanes x, RowStatistics s) => x - s.Center - s.CenterLow;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> Center<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var v = Pair<TVector>.Difference(x * TVector.Create(s.Scale), TVector.Create(s.Center));
        return new(v.High, v.Low - TVector.Create(s.CenterLow));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> FlowsThrough(Vector256<double> center, double eps) => Vector256<double>.AllBitsSet;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddMoments(Lanes t, ref Lanes sum, ref Lanes squares)
    {
        sum += t;
        squares += t * t;
    }
}
