namespace Darts.Norm.Tests.Documentation;

/// <summary>The code of docs/forecasting.md, and what its text says of it.</summary>
public sealed class ForecastingGuideTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor past;
    private readonly Tensor future;
    private readonly Tensor lastKnown;
    private readonly OverTime network;
    private readonly RINorm rin = new(input_dim: 7);

    public ForecastingGuideTests()
    {
        random.manual_seed(2);
        past = (randn(4, 96, 7) * 30) + 500;
        future = past.narrow(1, 72, 24) + 3;
        lastKnown = past.narrow(1, 90, 6);
        network = new OverTime(past: 96, future: 24, targets: 7);
    }

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void WhereToPutIt_Wrapped_IsAsByHandAndFollowsTheLevel()
    {
        using var forecaster = Reversible.wrap(new OverTime(past: 96, future: 24, targets: 7), new RINorm(input_dim: 7));
        using var forecast = forecaster.call(past);                                 // (batch, 24, 7), in the units of past

        forecast.shape.Should().Equal(4, 24, 7);
        Close(forecaster.call(past + 5000) - 5000, forecast, 0.1);
        var (rin, network) = (forecaster.rin, forecaster.network);

        using var normalized = rin.call(past);
        using var output = network.call(normalized).unsqueeze(-1);                  // nr_params: 1
        using var inUnitsOfPast = rin.inverse(output).squeeze(-1);

        Layers.SameBits(inUnitsOfPast, forecast).Should().BeTrue();
    }

    [Fact]
    public void NormalisedTwice_TwoCalls_AreAlike()
    {
        using var forecaster = Reversible.wrap(network, rin);

        using var first = forecaster.call(past);
        using var second = forecaster.call(past);                                   // of the same values: past is as it was

        Layers.SameBits(first, second).Should().BeTrue();
    }

    [Fact]
    public void NormalisedTwice_Transform_KeepsTheStatistics()
    {
        using var encoderInput = rin.call(past);
        using var decoderInput = rin.transform(lastKnown);                          // not rin.call(lastKnown): that would replace the statistics

        Layers.SameBits(decoderInput, encoderInput.narrow(1, 90, 6)).Should().BeTrue();
    }

    [Fact]
    public void Loss_InOriginalUnits_IsLearned()
    {
        using var forecaster = Reversible.wrap(network, rin);
        using var optimizer = optim.Adam(forecaster.parameters(), 0.01);
        var losses = Enumerable.Range(0, 50).Select(_ => Step()).ToList();
        losses[^1].Should().BeLessThan(losses[0] / 2);

        float Step()
        {
            optimizer.zero_grad();
            using var forecast = forecaster.call(past);
            using var loss = nn.functional.mse_loss(forecast, future);                  // future as it is: not normalised
            loss.backward();
            optimizer.step();

            return loss.item<float>();
        }
    }

    [Fact]
    public void Loss_DividedByTheScale_CountsAllWindowsAlike()
    {
        using var forecaster = Reversible.wrap(network, rin);

        using var scope = NewDisposeScope();
        var (_, statistics) = forecaster.rin.normalize(past);
        using (statistics)
        {
            var error = (forecaster.call(past) - future) / statistics.stdev;
            var loss = error.square().mean();
            loss.backward();
        }

        network.parameters().Should().OnlyContain(parameter => parameter.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void Covariates_Columns_AreNormalisedAlone()
    {
        using var network = new OverTime(past: 96, future: 24, targets: 2);

        using var forecaster = Reversible.wrap(network, new RINorm(input_dim: 2), columns: [0, 3]);
        using var forecast = forecaster.call(past);                                 // of columns 0 and 3

        forecast.shape.Should().Equal(4, 24, 2);
    }

    [Fact]
    public void Covariates_DecoderInput_IsTransformed()
    {
        using var encoderDecoder = new EncoderDecoder();

        using var forecaster = Reversible.wrap(encoderDecoder, new RINorm(input_dim: 7), decoder_input: 1);
        using var forecast = forecaster.call(past, lastKnown);

        Close(forecast, lastKnown, 0.01);
    }

    [Fact]
    public void Likelihood_Scale_IsNotShifted()
    {
        rin.call(past).Dispose();
        var output = stack([zeros(4, 24, 7), ones(4, 24, 7)], -1);

        using var inUnitsOfPast = rin.inverse(output, LikelihoodParameter.Location, LikelihoodParameter.Scale);    // a Gaussian's mean and standard deviation

        Close(inUnitsOfPast.select(-1, 0), rin.mean!.expand(4, 24, 7), 0.01);
        Close(inUnitsOfPast.select(-1, 1), rin.stdev!.expand(4, 24, 7), 0.01);
        Close(rin.inverse(output).select(-1, 1), (rin.mean! + rin.stdev!).expand(4, 24, 7), 0.01);
    }

    [Fact]
    public void Missing_NaN_BecomesZero()
    {
        var withHoles = past.clone();
        withHoles[0, 3, 2] = double.NaN;

        using var rin = new RINorm(input_dim: 7) { missing = Missing.Zero };
        using var normalized = rin.call(withHoles);                                 // 0 where withHoles is NaN

        normalized[0, 3, 2].item<float>().Should().Be(0);
        normalized.isfinite().all().item<bool>().Should().BeTrue();
    }

    [Fact]
    public void Missing_Mask_DoesTheSame()
    {
        using var rin = new RINorm(input_dim: 7) { missing = Missing.Zero };
        var observed = ones([4, 96, 1], ScalarType.Bool);
        observed[0, 3, 0] = false;
        var filled = past.clone();
        filled[0, 3] = 1e9;
        Tensor forecast;

        var (normalized, statistics) = rin.normalize(filled, mask: observed);       // observed: true where there is a value
        using (statistics)
            forecast = rin.inverse(network.call(normalized).unsqueeze(-1), statistics).squeeze(-1);

        (forecast - 500).abs().max().item<float>().Should().BeLessThan(100);
    }

    [Fact]
    public void ConstantSeries_FloorAndLastValue_HoldBothWays()
    {
        using var rin = new RINorm(input_dim: 7) { min_stdev = 0.5, subtract_last = true };

        var flat = past.narrow(1, 95, 1).expand(4, 96, 7) + (randn(4, 96, 7) / 1000);
        using var normalized = rin.call(flat);
        normalized.abs().max().item<float>().Should().BeLessThan(0.1f, "noise is not blown up");
        Close(rin.inverse(normalized.unsqueeze(-1)).squeeze(-1), flat, 0.001);
    }

    [Fact]
    public void HalfPrecision_InsideAlone_AnswersInFloat32()
    {
        network.bfloat16();
        Tensor forecast;

        var (normalized, statistics) = rin.normalize(past);                         // Float32
        using (statistics)
        {
            using var output = network.call(normalized.bfloat16());                 // the network was made bfloat16, the layer not
            forecast = rin.inverse(output.unsqueeze(-1), statistics).squeeze(-1);   // Float32
        }

        forecast.dtype.Should().Be(ScalarType.Float32);
        rin.normalize(past.half() * 100).normalized.isfinite().all().item<bool>().Should().BeTrue("the sum of such halves is infinite, and the statistics are not");
        (tensor(5002f).half().item<Half>(), tensor(5016f).bfloat16().@float().item<float>()).Should().Be(((Half)5000, 5024f));
    }

    [Fact]
    public void Threads_StatisticsAsAValue_DoNotMix()
    {
        using var outer = NewDisposeScope();
        var batches = Enumerable.Range(0, 40).Select(i => new Batch { past = ((past * 0.001) + (100 * i)).DetachFromDisposeScope() }).ToList();

        Parallel.ForEach(batches, batch =>
        {
            var (normalized, statistics) = rin.normalize(batch.past);
            using (statistics)
                batch.forecast = rin.inverse(normalized.mean([1], keepdim: true).unsqueeze(-1), statistics);
        });

        foreach (var (batch, i) in batches.Select((batch, i) => (batch, i)))
            (batch.forecast!.mean().item<float>() - (100 * i)).Should().BeApproximately(0.5f, 0.1f);
    }

    [Fact]
    public void FineTuning_AffineParametersAlone_AreTrained()
    {
        using var forecaster = Reversible.wrap(network, rin);

        foreach (var parameter in forecaster.network.parameters())
            parameter.requires_grad = false;
        using var optimizer = optim.Adam(forecaster.rin.parameters(), 1e-3);

        var before = forecaster.state_dict().ToDictionary(pair => pair.Key, pair => pair.Value.clone());
        nn.functional.mse_loss(forecaster.call(past), future).backward();
        optimizer.step();
        foreach (var (key, value) in forecaster.state_dict())
            value.Equals(before[key]).Should().Be(!key.StartsWith("rin.", StringComparison.Ordinal), key);
    }

    [Fact]
    public void FineTuning_OtherTargets_LoadsTheNetworkAlone()
    {
        using var forecaster = Reversible.wrap(network, rin);
        using var other = Reversible.wrap(new OverTime(past: 96, future: 24, targets: 3), new RINorm(input_dim: 3));
        var state = forecaster.state_dict();

        other.load_state_dict(state, strict: false, skip: ["rin.affine_weight", "rin.affine_bias"]);

        Layers.SameBits(other.state_dict()["network.map.0.weight"], state["network.map.0.weight"]).Should().BeTrue();
        other.rin.affine_weight!.size(0).Should().Be(3);
    }

    [Fact]
    public void NormType_NameFactoryOrNone_IsMade()
    {
        using var byName = Block(64, "RMSNorm");
        using var byFactory = Block(64, new NormType(size => new RMSNorm(size[^1], eps: 1e-6)));
        using var without = Block(64, null);
        NormType.register("BatchNorm1d", size => nn.BatchNorm1d(size[0]));          // now a name like the others

        using var own = Block(64, "BatchNorm1d");
        foreach (var block in new[] { byName, byFactory, without, own })
            block.call(randn(3, 64)).shape.Should().Equal(3, 64);
        byName.named_children().Last().module.Should().BeOfType<RMSNorm>();
    }

    public static nn.Module<Tensor, Tensor> Block(long width, NormType? norm) => nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), norm?.make(width) ?? nn.Identity());

    private static void Close(Tensor actual, Tensor expected, double bound) =>
        (actual - expected).abs().max().item<float>().Should().BeLessThan((float)bound);

    private sealed class Batch
    {
        public required Tensor past { get; init; }

        public Tensor? forecast { get; set; }
    }

    /// <summary>Answers the decoder's input.</summary>
    private sealed class EncoderDecoder() : nn.Module<Tensor, Tensor, Tensor>(nameof(EncoderDecoder))
    {
        public override Tensor forward(Tensor past, Tensor decoder) => decoder.clone();
    }
}
