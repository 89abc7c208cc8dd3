using System.Numerics;
using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Sums of rows of float64 against exact ones, and of four rows against each alone.</summary>
public sealed unsafe class Float64MomentsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(53)]
    [InlineData(96)]
    public void ValuesAndSquares_OfRowsThatCancel_AreTheExactSums(int length)
    {
        double* x = stackalloc double[4 * length], sums = stackalloc double[4 * Float64Moments.Room], squares = stackalloc double[4 * Float64Moments.Room];
        for (var i = 0; i < 4 * length; i++)
            x[i] = Math.Sin(i) * (i % 3 == 0 ? 1e9 : 1);
        for (var r = 0; r < 4; r++)
        {
            Float64Moments.AddValues(x + (r * length), length, 0.5, sums + (r * Float64Moments.Room));
            Float64Moments.AddSquares<LayerNormFormula>(x + (r * length), length, 1, 0.25, squares + (r * Float64Moments.Room));
        }
        var (ofValues, ofSquares) = (Totals(sums), Totals(squares));
        for (var r = 0; r < 4; r++)
        {
            var values = new Span<double>(x + (r * length), length).ToArray();
            var (total, rest) = ofValues[r];
            ShouldBe(Exact(total) + Exact(rest), values.Aggregate(BigInteger.Zero, (sum, value) => sum + Exact(value / 2)), values.Max(Math.Abs) * length);
            (total, rest) = ofSquares[r];
            var exact = values.Aggregate(BigInteger.Zero, (sum, value) => sum + (Exact(value - 0.25) * Exact(value - 0.25)));
            (BigInteger.Abs(((Exact(total) + Exact(rest)) * Exact(1)) - exact) << 90).Should().BeLessThanOrEqualTo(exact);
            Alone(sums + (r * Float64Moments.Room)).Should().Be(ofValues[r]);
        }

        static void ShouldBe(BigInteger actual, BigInteger expected, double magnitude) => BigInteger.Abs(actual - expected).Should().BeLessThanOrEqualTo(Exact(Math.ScaleB(magnitude, -95)));
    }

    [Fact]
    public void Totals_OfLanes_AreTheExactSum()
    {
        var (sum, lost) = (Of(lane => lane switch { 0 => 1L << 40, 15 => -1L << 40, _ => lane * 0.1 }), Of(lane => lane * Math.ScaleB(1, -50)));
        var exact = Values(sum).Concat(Values(lost)).Aggregate(BigInteger.Zero, (exact, value) => exact + Exact(value));
        var (total, rest) = TotalAndRest(sum, lost);
        BigInteger.Abs(Exact(total) + Exact(rest) - exact).Should().BeLessThan(Exact(Math.ScaleB(1, -62)));
        Math.Abs(rest).Should().BeLessThanOrEqualTo(Math.ScaleB(total, -53));
        TotalAndRest(Of(lane => lane == 3 ? double.PositiveInfinity : 1), Of(_ => double.NaN)).Should().Be((double.PositiveInfinity, 0));

        static (double total, double rest) TotalAndRest(Lanes sum, Lanes lost)
        {
            var sums = stackalloc double[Float64Moments.Room];
            sum.Store(sums);
            lost.Store(sums + Lanes.Count);
            return Alone(sums);
        }
    }

    /// <summary>The total of one row beside three others.</summary>
    private static (double total, double rest) Alone(double* sums)
    {
        var four = stackalloc double[4 * Float64Moments.Room];
        new Span<double>(four, 4 * Float64Moments.Room).Fill(7);
        new Span<double>(sums, Float64Moments.Room).CopyTo(new(four, Float64Moments.Room));
        return Totals(four)[0];
    }

    private static (double total, double rest)[] Totals(double* sums)
    {
        double* high = stackalloc double[4], low = stackalloc double[4];
        var totals = Float64Moments.Totals(sums);
        totals.High.Store(high);
        totals.Low.Store(low);
        return [(high[0], low[0]), (high[1], low[1]), (high[2], low[2]), (high[3], low[3])];
    }
}
