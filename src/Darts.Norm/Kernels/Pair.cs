using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Four float64 values, each with what its roundings lost.</summary>
internal readonly struct Pair(Vector256<double> high, Vector256<double> low)
{
    public readonly Vector256<double> High = high, Low = low;

    /// <summary>x - y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair Difference(Vector256<double> x, Vector256<double> y)
    {
        var difference = x - y;
        var shown = difference - x;
        return new(difference, (x - (difference - shown)) - (y + shown));
    }

    /// <summary>x · y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair Product(Vector256<double> x, Vector256<double> y)
    {
        var product = x * y;
        return new(product, Lanes.Loss(x, y, product));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair operator *(Pair x, Vector256<double> y)
    {
        var product = Product(x.High, y);
        return new(product.High, product.Low + (x.Low * y));
    }

    /// <summary>x · (y + what y lost).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair operator *(Pair x, (double value, double lost) y)
    {
        var product = x * Vector256.Create(y.value);
        return new(product.High, product.Low + (x.High * Vector256.Create(y.lost)));
    }

    /// <summary>The same times a power of two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Pair Shifted(double power)
    {
        var v = Vector256.Create(power);
        return new(High * v, Low * v);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<double> Rounded() => Or(High + Low, High);

    /// <summary>The sum with a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<double> Plus(Vector256<double> value) => Or(High + (value + Low), High + value);

    /// <summary>What an infinity lost says nothing: there, the sum without it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Or(Vector256<double> sum, Vector256<double> without) =>
        Vector256.ConditionalSelect(Vector256.Equals(sum, sum), sum, without);
}
