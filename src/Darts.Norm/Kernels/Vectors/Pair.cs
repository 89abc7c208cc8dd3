using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Float64 values, each with what its roundings lost.</summary>
internal readonly struct Pair<TVector>(TVector high, TVector low)
    where TVector : struct, IFloat64Vector<TVector>
{
    public readonly TVector High = high, Low = low;

    /// <summary>As <see cref="Kernels.Sum.TwoSum"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> Sum(TVector x, TVector y)
    {
        var sum = x + y;
        var shown = sum - x;
        return new(sum, (x - (sum - shown)) + (y - shown));
    }

    /// <summary>x - y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> Difference(TVector x, TVector y)
    {
        var difference = x - y;
        var shown = difference - x;
        return new(difference, (x - (difference - shown)) - (y + shown));
    }

    /// <summary>x · y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> Product(TVector x, TVector y)
    {
        var product = x * y;
        return new(product, TVector.Loss(x, y, product));
    }

    /// <summary>The square, and what it lost.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Pair<TVector> Squared()
    {
        var square = Product(High, High);
        return new(square.High, square.Low + (High * (Low + Low)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> operator *(Pair<TVector> x, TVector y)
    {
        var product = Product(x.High, y);
        return new(product.High, product.Low + (x.Low * y));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> operator *(Pair<TVector> x, Pair<TVector> y)
    {
        var product = x * y.High;
        return new(product.High, product.Low + (x.High * y.Low));
    }

    /// <summary>x · (y + what y lost).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<TVector> operator *(Pair<TVector> x, (double value, double lost) y)
    {
        var product = x * TVector.Create(y.value);
        return new(product.High, product.Low + (x.High * TVector.Create(y.lost)));
    }

    /// <summary>This times a power of two, which is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Pair<TVector> Shifted(double power)
    {
        var v = TVector.Create(power);
        return new(High * v, Low * v);
    }

    /// <summary>The sum of both, in one number. Of an infinity, which makes what was lost a NaN, the infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Rounded() => TVector.Or(High + Low, High);

    /// <summary>The sum of both and a value, in one number. Subtracting 0 - lost instead of adding what was lost keeps the sign of a zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Plus(TVector value)
    {
        var sum = Sum(High, value);
        return TVector.Or(sum.High - (default(TVector) - sum.Low - Low), sum.High);
    }
}

/// <summary>Quotients and roots of four values, each with what its roundings lost.</summary>
internal static class Pair
{
    /// <summary>The sum of a total and its rest. The rest is left out where the total is not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> WithRest(Float64x4 total, Float64x4 rest)
    {
        var (sum, areFinite) = (Pair<Float64x4>.Sum(total, rest), total.AreFinite());
        return new(Float64x4.Select(areFinite, sum.High, total), sum.Low & areFinite);
    }

    /// <summary>As <see cref="Sum.Divide"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> Divide(Pair<Float64x4> x, Float64x4 count)
    {
        var quotient = Plus(x.High / count);
        return Plus(quotient.High);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        Pair<Float64x4> Plus(Float64x4 quotient) => WithRest(quotient, (x.Low - Float64x4.Loss(quotient, count, x.High)) / count);
    }

    /// <summary>x - y².</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> LessSquare(Pair<Float64x4> x, Float64x4 y)
    {
        var square = Pair<Float64x4>.Product(y, y);
        var rest = Pair<Float64x4>.Difference(x.High, square.High);
        return new(rest.High, (rest.Low + (x.Low - square.Low)) & rest.High.AreFinite());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> Root(Pair<Float64x4> square)
    {
        var root = Float64x4.Sqrt(square.High);
        var lost = (square.Low - Float64x4.Loss(root, root, square.High)) / (root + root);
        return new(root, lost & lost.AreFinite());
    }

    /// <summary>1 / x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pair<Float64x4> Inverse(Pair<Float64x4> x)
    {
        var one = Float64x4.Create(1);
        var inverse = one / x.High;
        var lost = (default(Float64x4) - Float64x4.Loss(inverse, x.High, one) - (inverse * x.Low)) * inverse;
        return new(inverse, lost & lost.AreFinite());
    }
}
