using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>What is particular to rows in float64, and how many are taken and kept.</summary>
public sealed class RowNormalizationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(ScalarType.Float16, 6)]
    [InlineData(ScalarType.BFloat16, 6)]
    [InlineData(ScalarType.Float32, 9)] // the mean in two numbers
    [InlineData(ScalarType.Float64, 21)]
    public void Keeps_OfThreeRows_IsNoMoreThanBackwardNeeds(ScalarType dtype, long expected) =>
        RowNormalization<LayerNormFormula>.Keeps(ones(3, 5, dtype), 5).Should().Be(expected);

    [Theory]
    [InlineData(256, 8)]
    [InlineData(257, 4)]
    [InlineData(1024, 4)]
    [InlineData(1025, 1)]
    public void Together_OfALength_AreTheRowsThatTheNearestCacheHolds(long length, int expected) =>
        RowNormalization<LayerNormFormula>.Together(length, middle: 4).Should().Be(expected);

    [Fact]
    public void RMSNorm_OfALargeWeightWhereOnlyEpsDivides_DoesNotOverflow()
    {
        using var rms = new RMSNorm(2, eps: 1e-200, dtype: ScalarType.Float64);
        using (no_grad())
            rms.g.fill_(1e200);

        rms.forward(full([1, 2], 1e-250, ScalarType.Float64)).Doubles().Should().AllSatisfy(value => value.Should().BeApproximately(1e150, 1e136));
    }
}
