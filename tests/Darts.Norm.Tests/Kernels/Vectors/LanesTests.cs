using System.Runtime.Intrinsics;
using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Sixteen values at a time, each as one alone.</summary>
public sealed class LanesTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 16)]
    [InlineData(16, 16)]
    [InlineData(17, 32)]
    public void Padded_OfALength_IsTheNextWholeGroup(long length, long expected) => Lanes.Padded(length).Should().Be(expected);

    [Fact]
    public void Operators_OfLanes_AreThoseOfEachLane()
    {
        var (x, y) = (Of(i => 1 + i), Of(i => 0.3 * (i - 4)));
        Values(x + y).Should().Equal(Each(i => 1 + i + (0.3 * (i - 4))));
        Values(x - y).Should().Equal(Each(i => 1 + i - (0.3 * (i - 4))));
        Values(x * y).Should().Equal(Each(i => (1 + i) * (0.3 * (i - 4))));
        Values(x * 0.7).Should().Equal(Each(i => (1 + i) * 0.7));
        Values(x - 0.7).Should().Equal(Each(i => 1 + i - 0.7));
        for (var count = 0; count <= Lanes.Count; count++)
            Values(x.First(count)).Should().Equal(Each(i => i < count ? 1d + i : 0));
        var sums = Each(i => i switch { 5 => 1e16, 9 => -1e16, _ => 1 + (0.1 * i) });
        double By4(int i) => sums[i] + sums[i + 4] + (sums[i + 8] + sums[i + 12]);
        Of(i => sums[i]).Sum().Should().Be(By4(0) + By4(1) + (By4(2) + By4(3)));
        double Of4(int i) => sums[i] + sums[i + 1] + (sums[i + 2] + sums[i + 3]);
        var four = Lanes.Sums(Vector256.Create(sums, 0), Vector256.Create(sums, 4), Vector256.Create(sums, 8), Vector256.Create(sums, 12));
        Enumerable.Range(0, 4).Select(i => four[i]).Should().Equal(Of4(0), Of4(4), Of4(8), Of4(12));
    }

    /// <summary>Each lane is NaN in another of the values.</summary>
    [Fact]
    public void ObservedAndTally_OfLanesWithNaN_SelectAndCount()
    {
        for (var hole = 0; hole < Lanes.Count; hole++)
        {
            var x = Of(i => i == hole ? double.NaN : 1 + i);
            Values(x & x.Observed()).Should().Equal(Each(i => i == hole ? 0 : 1d + i));
            Values(x.Observed()).Select(BitConverter.DoubleToInt64Bits).Should().Equal(Each(i => i == hole ? 0L : -1L));
            Values(Lanes.Tally(Lanes.Tally(default, x.Observed()), Of(_ => 1).Observed())).Select(BitConverter.DoubleToInt64Bits).Should().Equal(Each(i => i == hole ? -1L : -2L));
        }
    }

    [Fact]
    public void Loss_OfAProduct_IsExactlyWhatItsRoundingLost()
    {
        var (x, y) = (Of(i => 1 + Math.ScaleB((3 * i) + 1, -40)), Of(i => 3 - Math.ScaleB((5 * i) + 1, -39)));
        var (product, loss) = (Values(x * y), Values(Lanes.Loss(x, y, x * y)));
        for (var i = 0; i < Lanes.Count; i++)
            ((Exact(product[i]) + Exact(loss[i])) * Exact(1)).Should().Be(Exact(Values(x)[i]) * Exact(Values(y)[i]));
        loss.Should().OnlyContain(lost => lost != 0);
        for (var i = 0; i < Lanes.Count; i += 4)
        {
            var four = Lanes.LossOneByOne(Vector256.Create(Values(x), i), Vector256.Create(Values(y), i), Vector256.Create(product, i));
            Enumerable.Range(0, 4).Select(lane => four[lane]).Should().Equal(loss[i..(i + 4)], "it is the same without the machine's instruction");
        }
    }
}
