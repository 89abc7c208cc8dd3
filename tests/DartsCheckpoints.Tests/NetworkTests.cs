using System.Text.RegularExpressions;

namespace DartsCheckpoints.Tests;

public sealed partial class NetworkTests : IDisposable
{
    private readonly Written _written = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Exported => [.. Directory.GetFiles(Directory_, "*.json").Select(path => Path.GetFileName(path))];

    public static TheoryData<string, string, Sizes> Cases
    {
        get
        {
            var cases = new TheoryData<string, string, Sizes>();
            var sizes = (Sizes[])[
                new(6, 4, 2), new(6, 4, 1, Parameters: 3), new(7, 3, 2, PastCovariates: 3), new(7, 3, 2, FutureCovariates: 2), new(5, 8, 3, 2, 1, 6, 2), new(1, 1, 1, 1, 1, 1)];
            (string model, string[] changes)[] models = [
                ("TiDEModel", ["", "temporal_width_past=0 temporal_width_future=0", "use_layer_norm=false num_encoder_layers=1 num_decoder_layers=1", "use_reversible_instance_norm=false"]),
                ("TSMixerModel", ["", "normalize_before=true norm_type=LayerNormNoBias", "norm_type=TimeBatchNorm2d num_blocks=1", "use_reversible_instance_norm=affineless"]),
                ("NLinearModel", ["", "normalize=false", "shared_weights=true"]),
            ];
            foreach (var (model, changes) in models)
            {
                foreach (var change in changes)
                {
                    foreach (var size in sizes)
                    {
                        if (!change.Contains("shared", StringComparison.Ordinal) || size.StaticCovariates == 0)
                            cases.Add(model, change, size);
                    }
                }
            }
            return cases;
        }
    }

    [GeneratedRegex(@"  \((train_|val_)?criterion\): .*\n|  \(\w+_metrics\): MetricCollection,\n    .*\n  \)\n")]
    private static partial Regex TrainingParts();

    private static string Directory_ => Path.Combine(AppContext.BaseDirectory, "Checkpoints");

    public void Dispose()
    {
        _scope.Dispose();
        _written.Dispose();
    }

    [Theory]
    [MemberData(nameof(Exported))]
    public void StateDict_OfANetworkLoadedThroughTheView_IsTheFilesToTheBit(string name)
    {
        using var checkpoint = Checkpoint.Read(Path.Combine(Directory_, name));
        using var network = checkpoint.Network();
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        network.save(path);
        var saved = StateFile.Read(path);
        File.Delete(path);
        foreach (var state in new[] { network.pytorch().state_dict(), saved })
        {
            state.Keys.Should().BeEquivalentTo(checkpoint.State.Keys);
            foreach (var (key, value) in state)
                value.bytes.ToArray().Should().Equal(checkpoint.State[key].bytes.ToArray(), key);
        }
    }

    [Theory]
    [MemberData(nameof(Exported))]
    public void Forward_TrainedInDarts_MakesDartsForecast(string name)
    {
        using var checkpoint = Checkpoint.Read(Path.Combine(Directory_, name));
        using var network = checkpoint.Network();
        using var noGrad = no_grad();
        var forecast = network.call(checkpoint.Inputs);
        ((forecast - checkpoint.Output) / checkpoint.Output).abs().max().item<float>().Should().BeLessThan(1e-5f);
        Comparison.Of(checkpoint, forecast).Should().HaveCount(4).And.OnlyContain(row => row.IsAlike && row.Largest > 1000);
        network.state_dict().Keys.Should().BeEquivalentTo(checkpoint.State.Keys);
    }

    [Theory]
    [MemberData(nameof(Exported))]
    public void Text_TrainedInDarts_IsPyTorchsWithoutWhatTrainsIt(string name)
    {
        using var checkpoint = Checkpoint.Read(Path.Combine(Directory_, name));
        using var network = checkpoint.Network();
        var training = TrainingParts().Replace(checkpoint.Text, "");
        training.Length.Should().BeLessThan(checkpoint.Text.Length).And.BeGreaterThan(500);
        network.pytorch().text().Should().Be(training);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_OtherShapesAndOptions_IsTheFormula(string model, string change, Sizes sizes)
    {
        using var checkpoint = Checkpoint.Read(_written.Write(model, Written.Parameters(model, change), sizes));
        using var network = checkpoint.Network();
        using var noGrad = no_grad();
        var (expected, forecast) = (new ByHand(checkpoint).Forecast(), network.call(checkpoint.Inputs));
        checkpoint.Sizes.Should().Be(sizes);
        forecast.shape.Should().Equal(3, sizes.FutureSteps, sizes.Targets, sizes.Parameters);
        ((forecast - expected).abs().max() / expected.abs().max()).item<double>().Should().BeLessThan(1e-5);
    }

    [Theory]
    [InlineData("TiDEModel")]
    [InlineData("TSMixerModel")]
    [InlineData("NLinearModel")]
    public void Forward_TrainedInFloat64_StaysSo(string model)
    {
        using var checkpoint = Checkpoint.Read(_written.Write(model, Written.Parameters(model, "norm_type=TimeBatchNorm2d"), new(5, 8, 3, 2, 1, 6, 2), tensors =>
        {
            foreach (var (key, value) in tensors.Where(pair => is_floating_point(pair.Value)).ToList())
                tensors[key] = value.to(float64);
        }));
        using var network = checkpoint.Network();
        using var noGrad = no_grad();
        var (expected, forecast) = (new ByHand(checkpoint).Forecast(), network.call(checkpoint.Inputs));
        forecast.dtype.Should().Be(float64);
        ((forecast - expected).abs().max() / expected.abs().max()).item<double>().Should().BeLessThan(1e-13);
    }

    [Theory]
    [InlineData("ReLU", 0.0)]
    [InlineData("RReLU", -0.22916667)]
    [InlineData("PReLU", -0.25)]
    [InlineData("ELU", -0.63212056)]
    [InlineData("Softplus", 0.31326169)]
    [InlineData("Tanh", -0.76159416)]
    [InlineData("SELU", -1.11133073)]
    [InlineData("LeakyReLU", -0.01)]
    [InlineData("Sigmoid", 0.26894142)]
    [InlineData("GELU", -0.15865525)]
    public void Activation_ByDartsName_IsPyTorchsAtMinusOne(string name, double expected)
    {
        var parameters = Written.Parameters("TSMixerModel", $"activation={name}");
        using var checkpoint = Checkpoint.Read(_written.Write("TSMixerModel", parameters, new(6, 4, 2), tensors =>
        {
            foreach (var key in tensors.Keys.Where(key => key.EndsWith("activation.weight", StringComparison.Ordinal)))
                tensors[key] = full(1, 0.25);
        }));
        using var network = checkpoint.Network();
        var activation = (nn.Module<Tensor, Tensor>)network.named_modules().First(pair => pair.name.EndsWith("activation", StringComparison.Ordinal)).module;
        activation.call(tensor([-1f])).item<float>().Should().BeApproximately((float)expected, 1e-6f);
        network.call(checkpoint.Inputs).isfinite().all().item<bool>().Should().BeTrue();
    }

    [Theory]
    [InlineData("TiDEModel")]
    [InlineData("TSMixerModel")]
    [InlineData("NLinearModel")]
    public void Training_OfALoadedNetwork_GoesOn(string model)
    {
        using var checkpoint = Checkpoint.Read(_written.Write(model, Written.Parameters(model), new(8, 4, 2, 1, 1, 2)));
        using var network = checkpoint.Network();
        network.train();
        using var optimizer = optim.Adam(network.parameters(), 0.01);
        var future = checkpoint.Inputs.past_target.mean([1L], keepdim: true).unsqueeze(-1).expand(3, 4, 2, 1) + 5;
        var losses = Enumerable.Range(0, 80).Select(_ => Step()).ToList();
        losses[^1].Should().BeLessThan(losses[0] / 2);

        float Step()
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var loss = nn.functional.mse_loss(network.call(checkpoint.Inputs), future);
            loss.backward();
            optimizer.step();
            return loss.item<float>();
        }
    }

    [Fact]
    public void MonteCarloDropout_SwitchedOn_SpreadsTheForecastsOfEvaluation()
    {
        using var checkpoint = Checkpoint.Read(_written.Write("TiDEModel", Written.Parameters("TiDEModel"), new(8, 4, 2)));
        using var network = checkpoint.Network();
        using var noGrad = no_grad();
        network.call(checkpoint.Inputs).Equals(network.call(checkpoint.Inputs)).Should().BeTrue("evaluation drops nothing");
        foreach (var dropout in network.modules().OfType<MonteCarloDropout>())
            dropout.mc_dropout_enabled = true;
        network.call(checkpoint.Inputs).Equals(network.call(checkpoint.Inputs)).Should().BeFalse();
    }

    [Fact]
    public void Forward_Repeated_LeavesNoTensorButItsOutput()
    {
        using var outer = NewDisposeScope();
        using var checkpoint = Checkpoint.Read(_written.Write("TSMixerModel", Written.Parameters("TSMixerModel"), new(8, 4, 2, 1, 1, 2)));
        using var network = checkpoint.Network();
        network.call(checkpoint.Inputs).Dispose();
        var before = outer.DisposablesCount;
        for (var i = 0; i < 5; i++)
            network.call(checkpoint.Inputs).Dispose();
        outer.DisposablesCount.Should().Be(before);
    }

    [Fact]
    public void New_UnknownModel_SaysWhatThereIsAndHowToAddIt()
    {
        FluentActions.Invoking(() => DartsNetwork.New("TFTModel", new(8, 4, 2), new(new Dictionary<string, System.Text.Json.JsonElement>()), null))
            .Should().Throw<InputException>().WithMessage("*TFTModel*NLinearModel, TSMixerModel, TiDEModel*file of its own*");
    }
}
