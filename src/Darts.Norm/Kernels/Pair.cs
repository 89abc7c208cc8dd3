using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Float64 values, each with what its roundings lost.</summary>
internal readonly struct Pair<TWide>(TWide high, TWide low)
    where TWide : struct, IWide<TWide>
{
    public readonly TWide High = high, Low = low;

    /// <summary>x - y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Difference(TWide x, TWide y)
    {
        var difference = x - y;
        var shown = difference - x;
        return new(difference, (x - (difference - shown)) - (y + shown));
    }

    /// <summary>x · y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Product(TWide x, TWide y)
    {
        var product = x * y;
        return new(product, TWide.Loss(x, y, product));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> operator *(Pair<TWide> x, TWide y)
    {
        var product = Product(x.High, y);
        return new(product.High, product.Low + (x.Low * y));
    }

    /// <summary>x · (y + what y lost).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> operator *(Pair<TWide> x, (double value, double lost) y)
    {
        var product = x * TWide.Create(y.value);
        return new(product.High, product.Low + (x.High * TWide.Create(y.lost)));
    }

    /// <summary>The same times a power of two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Pair<TWide> Shifted(double power)
    {
        var v = TWide.Create(power);
        return new(High * v, Low * v);
    }

    /// <summary>What an infinity lost says nothing: there, without it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Rounded() => TWide.Or(High + Low, High);

    /// <summary>The sum with a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Plus(TWide value) => TWide.Or(High + (value + Low), High + value);
}
