namespace Darts.Norm.Tests.Documentation;

/// <summary>The code of docs/layers.md; the comments in it are asserted here.</summary>
public sealed class LayersPageTests
{
    [Fact]
    public void AnyLayer_Called_KeepsTheShape()
    {
        using var x = randn(32, 96, 64);
        using var norm = new RMSNorm(64);
        using var y = norm.call(x);
        Console.WriteLine($"{norm} {string.Join(" ", y.shape)}");   // RMSNorm() 32 96 64
        y.shape.Should().Equal(32, 96, 64);
    }

    [Fact]
    public void State_NotStrict_NamesTheRest()
    {
        using var trained = new LayerNorm(4);
        using var other = new LayerNorm(4, bias: false);
        var (missing, unexpected) = other.load_state_dict(trained.state_dict(), strict: false);
        Console.WriteLine(string.Join(", ", unexpected));   // bias
        missing.Should().BeEmpty();
        unexpected.Should().Equal("bias");
    }

    [Fact]
    public void Parameter_SharedAndFrozen_IsOne()
    {
        using var first = new RMSNorm(4);
        using var second = new RMSNorm(4);
        second.g = first.g;                  // one gain for both, listed once by a parent
        first.g.requires_grad = false;       // no gradient, and no time spent on one
        using var parent = nn.Sequential(first, second);
        parent.parameters().Should().ContainSingle();
        second.forward(ones(2, 4)).requires_grad.Should().BeFalse();
    }

    [Fact]
    public void RMSNorm_Row_IsDivided()
    {
        using var rms = new RMSNorm(2);
        using var row = rms.forward(tensor([3.0f, 4.0f]));
        Console.WriteLine($"{row[0].item<float>():0.0000} {row[1].item<float>():0.0000}");   // 0.8485 1.1314: divided by √12.5
        row.Doubles().Should().Equal([0.8485, 1.1314], (value, shown) => Math.Abs(value - shown) < 5e-5);
    }

    [Fact]
    public void LayerNorm_TwoAxes_PrintsThem()
    {
        using var overTwoAxes = new LayerNorm([2, 4], eps: 1e-3, bias: false);
        using var rows = overTwoAxes.forward(randn(8, 2, 4));
        Console.WriteLine(overTwoAxes);   // LayerNorm((2, 4), eps=0.001, elementwise_affine=True, bias=False)
        overTwoAxes.ToString().Should().Be("LayerNorm((2, 4), eps=0.001, elementwise_affine=True, bias=False)");
    }

    [Fact]
    public void RINorm_ThereAndBack_IsInOriginalUnits()
    {
        using var rin = new RINorm(input_dim: 3);
        using var past = (randn(16, 96, 3) * 5) + 100;                // (batch, time, components)
        using var normalised = rin.forward(past);                     // each series: mean 0, standard deviation 1
        using var decoderInput = rin.transform(past[.., 48..]);       // the same statistics on another tensor
        using var forecast = zeros(16, 24, 3, 1);                     // (batch, time', components, nr_params), as a network's last layer may give it
        using var inOriginalUnits = rin.inverse(forecast);            // here: each series' mean
        normalised.mean([1L]).abs().max().item<float>().Should().BeLessThan(1e-6f);
        Layers.SameBits(decoderInput, normalised[.., 48..]).Should().BeTrue();
        Layers.SameBits(inOriginalUnits.squeeze(-1)[.., ..1], rin.mean!).Should().BeTrue();

        var (series, statistics) = rin.normalize(past);
        using (series)
        using (statistics)
        using (var future = rin.inverse(forecast, statistics))
            Console.WriteLine(string.Join(" ", statistics.shape));    // 16 1 3
        statistics.shape.Should().Equal(16, 1, 3);

        using var gaussian = ones(16, 24, 3, 2);                      // a mean and a standard deviation
        using var scaled = rin.inverse(gaussian, LikelihoodParameter.Location, LikelihoodParameter.Scale);   // the deviation is scaled, not shifted
        (scaled[.., ..1, .., 1] - rin.stdev!).abs().max().item<float>().Should().BeLessThan(1e-5f);
    }
}
