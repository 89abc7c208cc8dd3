using System.Numerics;
using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Sums of rows of float64 against exact ones, and of four rows against each alone.</summary>
public sealed unsafe class DoubleMomentsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(53)]
    [InlineData(96)]
    public void ValuesAndSquares_OfRowsThatCancel_AreTheExactSums(int length)
    {
        double* x = stackalloc double[4 * length], sums = stackalloc double[4 * DoubleMoments.Room];
        for (var i = 0; i < 4 * length; i++)
            x[i] = Math.Sin(i) * (i % 3 == 0 ? 1e9 : 1);
        for (var r = 0; r < 4; r++)
        {
            var row = new Row<Float64>((byte*)(x + (r * length)), length, (byte*)(x + ((r + 1) * length)));
            var values = new Span<double>(x + (r * length), length).ToArray();
            var (total, rest) = DoubleMoments.Values(row, 0.5);
            ShouldBe(Exact(total) + Exact(rest), values.Aggregate(BigInteger.Zero, (sum, value) => sum + Exact(value / 2)), values.Max(Math.Abs) * length);
            (total, rest) = DoubleMoments.Squares(row, 1, 0.25, 0);
            var exact = values.Aggregate(BigInteger.Zero, (sum, value) => sum + (Exact(value - 0.25) * Exact(value - 0.25)));
            (BigInteger.Abs(((Exact(total) + Exact(rest)) * Exact(1)) - exact) << 90).Should().BeLessThanOrEqualTo(exact);
            DoubleMoments.AddValues(x + (r * length), length, 0.5, sums + (r * DoubleMoments.Room));
        }
        var totals = DoubleMoments.Totals(sums);
        double* high = stackalloc double[4], low = stackalloc double[4];
        totals.High.Store(high);
        totals.Low.Store(low);
        for (var r = 0; r < 4; r++)
            (high[r], low[r]).Should().Be(DoubleMoments.Values(new((byte*)(x + (r * length)), length, null), 0.5));

        static void ShouldBe(BigInteger actual, BigInteger expected, double magnitude) => BigInteger.Abs(actual - expected).Should().BeLessThanOrEqualTo(Exact(Math.ScaleB(magnitude, -95)));
    }
}
