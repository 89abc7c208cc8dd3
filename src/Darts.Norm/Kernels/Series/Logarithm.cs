namespace Darts.Norm.Kernels;

/// <summary>The natural logarithm by additions, multiplications and divisions alone: the same bits on every machine, which the C library's is not.</summary>
internal static class Logarithm
{
    private const int Terms = 12; // the first that is left out is below 2^-60 of the sum

    // ln 2 in two parts, the first short enough for its product with an exponent to be exact.
    private const double Ln2High = 0.693147180369123816490;
    private const double Ln2Low = 1.90821492927058770002e-10;

    /// <summary><c>ln x = e · ln 2 + 2 artanh((m - 1) / (m + 1))</c> for <c>x = m · 2^e</c>, <c>√½ ≤ m &lt; √2</c>.</summary>
    /// <param name="x">Not negative.</param>
    public static double Of(double x)
    {
        if (x == 0)
            return double.NegativeInfinity;
        if (!double.IsFinite(x))
            return x;
        var exponent = Math.ILogB(x);
        var m = Math.ScaleB(x, -exponent);
        if (m > 1.4142135623730951)
            (m, exponent) = (m / 2, exponent + 1);
        var s = (m - 1) / (m + 1);
        var square = s * s;
        double series = 0;
        for (var k = Terms; k > 0; k--)
            series = (series + (1.0 / ((2 * k) + 1))) * square;
        return (exponent * Ln2High) + ((2 * s) + ((2 * s * series) + (exponent * Ln2Low)));
    }
}
