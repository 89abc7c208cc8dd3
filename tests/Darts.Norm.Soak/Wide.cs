namespace Darts.Norm.Soak;

/// <summary>A number of 104 binary digits and a range without end: what the layers' results are held against.</summary>
/// <remarks>(high + low) · 2^exponent, with 1 ≤ |high| &lt; 2. It shares nothing with the library's kernels.</remarks>
public readonly struct Wide
{
    private readonly double _high;
    private readonly double _low;
    private readonly long _exponent;

    private Wide(double high, double low, long exponent)
    {
        var sum = high + low;
        if (sum == 0)
            return;
        low -= sum - high;
        var shift = Math.ILogB(sum);
        _high = Math.ScaleB(sum, -shift);
        _low = Math.ScaleB(low, -shift);
        _exponent = exponent + shift;
    }

    public static Wide Zero => default;

    /// <summary>The exponent of the largest power of two that is not above the magnitude.</summary>
    public long Exponent => _high == 0 ? long.MinValue / 4 : _low * Math.Sign(_high) < 0 && Math.Abs(_high) == 1 ? _exponent - 1 : _exponent;

    public static implicit operator Wide(double value) =>
        double.IsFinite(value) ? new(value, 0, 0) : throw new ArgumentOutOfRangeException(nameof(value), value, "Only finite numbers have a truth.");

    public static Wide operator -(Wide x) => new(-x._high, -x._low, x._exponent);

    public static Wide operator +(Wide x, Wide y)
    {
        if (x._high == 0)
            return y;
        if (y._high == 0)
            return x;
        if (x._exponent < y._exponent)
            (x, y) = (y, x);
        var shift = y._exponent - x._exponent;
        if (shift < -200)
            return x;
        var (high, low) = (Math.ScaleB(y._high, (int)shift), Math.ScaleB(y._low, (int)shift));
        var (sum, lost) = TwoSum(x._high, high);
        var (lows, lowsLost) = TwoSum(x._low, low);
        (sum, lost) = TwoSum(sum, lost + lows);
        return new(sum, lost + lowsLost, x._exponent);
    }

    public static Wide operator -(Wide x, Wide y) => x + -y;

    public static Wide operator *(Wide x, Wide y)
    {
        var product = x._high * y._high;
        var lost = Math.FusedMultiplyAdd(x._high, y._high, -product) + ((x._high * y._low) + (x._low * y._high));
        return new(product, lost, x._exponent + y._exponent);
    }

    public static Wide operator /(Wide x, Wide y)
    {
        if (y._high == 0)
            throw new DivideByZeroException();
        Wide quotient = default;
        for (var digits = 0; digits < 3 && x._high != 0; digits++)
        {
            var next = new Wide(x._high / y._high, 0, x._exponent - y._exponent);
            quotient += next;
            x -= next * y;
        }
        return quotient;
    }

    public static bool operator <(Wide x, Wide y) => x.CompareTo(y) < 0;

    public static bool operator >(Wide x, Wide y) => x.CompareTo(y) > 0;

    public static Wide Max(Wide x, Wide y) => x < y ? y : x;

    public static Wide PowerOfTwo(long exponent) => new(1, 0, exponent);

    public Wide Abs() => _high < 0 ? -this : this;

    public Wide Sqrt()
    {
        if (_high == 0)
            return default;
        var half = _exponent >> 1;
        var x = new Wide(_high, _low, _exponent - (2 * half));
        Wide root = Math.Sqrt(x.ToDouble());
        root += (x - (root * root)) / (root * 2);
        return new(root._high, root._low, root._exponent + half);
    }

    public int CompareTo(Wide other) => Math.Sign((this - other)._high);

    /// <summary>The nearest float64; infinite where there is none.</summary>
    public double ToDouble() => Math.ScaleB(_high + _low, (int)Math.Clamp(_exponent, -5000, 5000));

    public override string ToString() => $"{_high:r}·2^{_exponent}";

    private static (double sum, double lost) TwoSum(double a, double b)
    {
        var sum = a + b;
        var shown = sum - a;
        return (sum, (a - (sum - shown)) + (b - shown));
    }
}
