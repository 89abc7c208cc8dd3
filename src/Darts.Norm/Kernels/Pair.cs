using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Float64 values, each with what its roundings lost.</summary>
internal readonly struct Pair<TWide>(TWide high, TWide low)
    where TWide : struct, IWide<TWide>
{
    public readonly TWide High = high, Low = low;

    /// <summary>As <see cref="Kernels.Sum.TwoSum"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Sum(TWide x, TWide y)
    {
        var sum = x + y;
        var shown = sum - x;
        return new(sum, (x - (sum - shown)) + (y - shown));
    }

    /// <summary>As <see cref="Kernels.Sum.WithRest"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> WithRest(TWide value, TWide rest)
    {
        var (sum, areFinite) = (Sum(value, rest), value.AreFinite());
        return new(TWide.Select(areFinite, sum.High, value), sum.Low & areFinite);
    }

    /// <summary>As <see cref="Kernels.Sum.Divide"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Divide(Pair<TWide> x, TWide count)
    {
        var quotient = x.High / count;
        return WithRest(quotient, (x.Low - TWide.Loss(quotient, count, x.High)) / count);
    }

    /// <summary>As <see cref="Kernels.Sum.Root"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Root(Pair<TWide> square)
    {
        var root = TWide.Sqrt(square.High);
        var lost = (square.Low - TWide.Loss(root, root, square.High)) / (root + root);
        return new(root, lost & lost.AreFinite());
    }

    /// <summary>As <see cref="Kernels.Sum.Inverse"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TWide> Inverse(Pair<TWide> x)
    {
        var one = TWide.Create(1);
        var inverse = one / x.High;
        var lost = (default(TWide) - TWide.Loss(inverse, x.High, one) - (inverse * x.Low)) * inverse;
        return new(inverse, lost & lost.AreFinite());
    }

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
