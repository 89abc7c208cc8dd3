using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>How many rows' gradients are computed together.</summary>
public sealed class GradientStatisticsTests
{
    [Theory]
    [InlineData(128, GradientStatistics.Most)]
    [InlineData(129, 8)]
    [InlineData(256, 8)]
    [InlineData(257, 4)]
    [InlineData(1024, 4)]
    [InlineData(1025, 2)]
    public void Together_OfALength_AreTheRowsThatTheNearestCacheHolds(long length, int expected) => GradientStatistics.Together(length).Should().Be(expected);
}
