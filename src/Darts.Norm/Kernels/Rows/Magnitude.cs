using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Keeps squares of float64 values from overflowing and from vanishing.</summary>
internal static class Magnitude
{
    /// <summary>Above this, a mean square's terms were large enough for their rounding errors to be in range.</summary>
    public const double LeastSquare = 1e-240;

    /// <summary>Above this, what smaller mean squares lost does not show beside eps.</summary>
    public const double LeastEps = 1e-304;

    private const double LargestSquare = 1e290;

    /// <summary>The exponent of 2⁴⁶⁵, about 10¹⁴⁰. A factor between that and its inverse leaves room to be multiplied by values whose squares are held.</summary>
    private const int MostExponent = 465;

    private const double LeastFactor = 1e-139, LargestFactor = 1e139;

    /// <summary>Whether float64 holds the squares of values with this mean square, and what they lose by rounding.</summary>
    public static bool HoldsSquares(double meanSquare) => meanSquare is > LeastSquare and < LargestSquare;

    /// <summary>Whether float64 holds products of this factor and values whose squares it holds, and what they lose by rounding.</summary>
    public static bool HoldsProducts(double factor) => factor is > LeastFactor and < LargestFactor;

    /// <summary>The exponent of the largest of the products value · weight, which may be out of range. Zero where <see cref="HoldsProducts"/> is true of it, where all are zero, and where a value is not finite.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static unsafe int ExponentOfProducts(double* values, double* weight, long length)
    {
        if (HoldsProducts(weight is null ? Largest(values, length) : LargestProduct(values, weight, length)) || Largest(values, length) == 0)
            return 0;
        var most = int.MinValue;
        for (long i = 0; i < length; i++)
        {
            var w = weight is null ? 1 : weight[i];
            if (!double.IsFinite(values[i]) || !double.IsFinite(w))
                return 0;
            if (values[i] != 0 && w != 0)
                most = Math.Max(most, Math.ILogB(values[i]) + Math.ILogB(w));
        }
        return most is int.MinValue or (> -MostExponent and < MostExponent) ? 0 : most;
    }

    /// <summary>The largest magnitude of the products value · weight, if float64 holds it and no product is NaN.</summary>
    private static unsafe double LargestProduct(double* values, double* weight, long length)
    {
        var (i, largest) = (0L, Vector256<double>.Zero);
        for (; i <= length - Vector256<double>.Count; i += Vector256<double>.Count)
            largest = Vector256.Max(largest, Vector256.Abs(Vector256.Load(values + i) * Vector256.Load(weight + i)));
        var most = Math.Max(Math.Max(largest[0], largest[1]), Math.Max(largest[2], largest[3]));
        for (; i < length; i++)
            most = Math.Max(most, Math.Abs(values[i] * weight[i]));
        return most;
    }

    /// <summary>The power of two that brings <paramref name="magnitude"/> near one; 1 where none does.</summary>
    public static double Scale(double magnitude) =>
        magnitude == 0 || !double.IsFinite(magnitude) ? 1 : Math.ScaleB(1, -Math.Clamp(Math.ILogB(magnitude), -1000, 1000));

    /// <summary>Whether a row with this largest value is so small beside <paramref name="divisor"/> that its own spread is lost in it, and is not zero.</summary>
    public static bool Vanishes(double largest, double divisor) => largest > 0 && largest < divisor * 1e-20;

    /// <summary>Eps as a divisor: no smaller than the least normal number, whose inverse is finite. Zero stays zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Divisor(double eps) => eps == 0 ? 0 : Math.Max(eps, 2.2250738585072014e-308);

    /// <summary>The largest magnitude; infinite or NaN where a value is.</summary>
    public static unsafe double Largest(double* x, long length)
    {
        // Magnitudes are in the order of their bits as integers, with infinity and NaN behind the numbers.
        var (i, largest, magnitude) = (0L, Vector256<long>.Zero, Vector256.Create(long.MaxValue));
        for (; i <= length - Vector256<long>.Count; i += Vector256<long>.Count)
            largest = Vector256.Max(largest, Vector256.Load((long*)x + i) & magnitude);
        var most = Math.Max(Math.Max(largest[0], largest[1]), Math.Max(largest[2], largest[3]));
        for (; i < length; i++)
            most = Math.Max(most, ((long*)x)[i] & long.MaxValue);
        return BitConverter.Int64BitsToDouble(most);
    }
}
