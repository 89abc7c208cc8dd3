using Darts.Norm;

namespace Forecasting.Tests;

[Collection("torch's random generator")]
public sealed class ForecasterTests
{
    public static TheoryData<string> NormNames => [.. Norms.Names];

    [Theory]
    [MemberData(nameof(NormNames))]
    public void Forward_EachNorm_TreatsColumnsAlike(string norm)
    {
        using var scope = NewDisposeScope();
        using var network = new Forecaster(Forecaster.ResidualMlp(12, 4, Norms.Type(norm)), new RINorm(3));
        var x = randn(5, 12, 3);
        var y = network.call(x);
        y.shape.Should().Equal(5, 4, 3);
        (network.call(x.flip(2)) - y.flip(2)).abs().max().item<float>().Should().BeLessThan(1e-5f);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Forward_LevelAndScaleChanged_FollowsOnlyWithRINorm(bool withRINorm)
    {
        using var scope = NewDisposeScope();
        using var network = new Forecaster(Forecaster.ResidualMlp(12, 4, "RMSNorm"), withRINorm ? new RINorm(3) : null);
        var x = randn(5, 12, 3);
        var miss = (network.call((x * 2) + 10) - ((network.call(x) * 2) + 10)).abs().max().item<float>();
        (miss < 0.01f).Should().Be(withRINorm); // eps is 1e-5 of the variance, and moves the forecast by about that
    }

    [Theory]
    [InlineData("rms", "rms")]
    [InlineData("RMSNorm", "rms")]
    [InlineData("LayerNorm", "layer")]
    [InlineData("layer_norm", "layer")]
    [InlineData("LayerNormNoBias", "layer-nobias")]
    [InlineData("Layer-NoBias", "layer-nobias")]
    [InlineData("none", "none")]
    [InlineData("norm", null)]
    [InlineData("batch", null)]
    public void Find_Spelling_IsUnderstood(string spelling, string? expected) => Norms.Find(spelling).Should().Be(expected);
}
