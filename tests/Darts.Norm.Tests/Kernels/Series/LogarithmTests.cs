using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

public sealed class LogarithmTests
{
    [Fact]
    public void Of_AnyMagnitude_IsWithinTwoUnitsOfTheLogarithm()
    {
        var random = new Random(3);
        for (var i = 0; i < 20_000; i++)
        {
            var x = Math.ScaleB(1 + random.NextDouble(), i % 3 == 0 ? random.Next(-2, 2) : random.Next(-1074, 1024));
            Math.Abs(Logarithm.Of(x) - Math.Log(x)).Should().BeLessThanOrEqualTo(2 * Math.BitIncrement(Math.Abs(Math.Log(x))) - (2 * Math.Abs(Math.Log(x))), "{0:r}", x);
        }
    }

    [Theory]
    [InlineData(0, double.NegativeInfinity)]
    [InlineData(1, 0)]
    [InlineData(double.PositiveInfinity, double.PositiveInfinity)]
    [InlineData(double.NaN, double.NaN)]
    public void Of_AnEnd_IsItsLimit(double x, double expected) => Logarithm.Of(x).Should().Be(expected);
}
