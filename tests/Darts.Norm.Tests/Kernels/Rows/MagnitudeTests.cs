using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

public sealed class MagnitudeTests
{
    [Theory]
    [InlineData(1e-241, false)]
    [InlineData(1e-240, false)]
    [InlineData(1e-239, true)]
    [InlineData(1, true)]
    [InlineData(9e289, true)]
    [InlineData(1e290, false)]
    [InlineData(double.PositiveInfinity, false)]
    [InlineData(double.NaN, false)]
    public void HoldsSquares_OfAMeanSquare_IsWhetherItIsFarFromTheEnds(double meanSquare, bool expected) =>
        Magnitude.HoldsSquares(meanSquare).Should().Be(expected);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1.9, 1)]
    [InlineData(4, 0.25)]
    [InlineData(0.125, 8)]
    [InlineData(-8, 0.125)]
    [InlineData(0, 1)]
    [InlineData(double.NaN, 1)]
    [InlineData(double.NegativeInfinity, 1)]
    public void Scale_OfAMagnitude_BringsItBetweenOneAndTwo(double magnitude, double expected) =>
        Magnitude.Scale(magnitude).Should().Be(expected);

    [Theory]
    [InlineData(double.MaxValue, -1000)]
    [InlineData(double.Epsilon, 1000)]
    public void Scale_OfTheLargestAndLeast_IsAPowerThatFloat64Holds(double magnitude, int exponent) =>
        Magnitude.Scale(magnitude).Should().Be(Math.ScaleB(1, exponent));

    [Theory]
    [InlineData(1, 2, 1, 4, 0)]
    [InlineData(0, 1, 1, 0, 0)]
    [InlineData(1e300, 1e300, 1e300, 0, 1992)]
    [InlineData(double.Epsilon, double.Epsilon, 1, 0, -2148)]
    [InlineData(double.Epsilon, 1, 1, 1, 0)]
    [InlineData(0, double.MaxValue, double.Epsilon, 1, -1074)]
    [InlineData(1e300, 1, double.NaN, 1, 0)]
    [InlineData(1e300, 1, 1, double.NegativeInfinity, 0)]
    public unsafe void ExponentOfProducts_OfTwo_IsThatOfTheLargestWhereItIsFarFromOne(double first, double firstWeight, double second, double secondWeight, int expected)
    {
        double* values = stackalloc double[] { first, second }, weight = stackalloc double[] { firstWeight, secondWeight };
        Magnitude.ExponentOfProducts(values, weight, 2).Should().Be(expected);
    }

    [Theory]
    [InlineData(3, 0)]
    [InlineData(0, 0)] // padding
    [InlineData(1e-150, -499)]
    public unsafe void ExponentOfProducts_OfMany_IsThatOfTheLargestWhereverItIs(double value, int expected)
    {
        double* values = stackalloc double[11], weight = stackalloc double[11];
        new Span<double>(weight, 11).Fill(1.5);
        for (var i = 0; i < 11; i++)
        {
            new Span<double>(values, 11).Fill(value / 8);
            values[i] = value;
            Magnitude.ExponentOfProducts(values, weight, 11).Should().Be(expected);
        }
    }

    [Theory]
    [InlineData(9e-140, false)]
    [InlineData(2e-139, true)]
    [InlineData(9e138, true)]
    [InlineData(2e139, false)]
    [InlineData(double.NaN, false)]
    public void HoldsProducts_OfAFactor_IsWhetherItIsFarFromTheEnds(double factor, bool expected) =>
        Magnitude.HoldsProducts(factor).Should().Be(expected);

    [Fact]
    public unsafe void Largest_OfARow_IsWithinIt()
    {
        var values = stackalloc double[] { 1, -5, 3, 100 };
        Magnitude.Largest(values, 3).Should().Be(5);
        values[1] = double.NaN;
        Magnitude.Largest(values, 3).Should().Be(double.NaN);
    }

    [Theory]
    [InlineData(-7, 7)]
    [InlineData(double.NegativeInfinity, double.PositiveInfinity)]
    [InlineData(double.NaN, double.NaN)]
    public unsafe void Largest_OfMany_IsFoundWhereverItIs(double value, double expected)
    {
        var values = stackalloc double[11];
        for (var i = 0; i < 11; i++)
        {
            new Span<double>(values, 11).Fill(-double.Epsilon);
            values[i] = value;
            Magnitude.Largest(values, 11).Should().Be(expected);
        }
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1e-8, 1e-8)]
    [InlineData(double.Epsilon, 2.2250738585072014e-308)]
    public void Divisor_OfEps_IsNeverTooSmallToDivideZeroBy(double eps, double expected) => Magnitude.Divisor(eps).Should().Be(expected);
}
