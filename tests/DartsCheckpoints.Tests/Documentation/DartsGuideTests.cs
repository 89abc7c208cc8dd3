namespace DartsCheckpoints.Tests.Documentation;

/// <summary>The code of docs/loading.md that concerns Darts' networks.</summary>
public sealed class DartsGuideTests : IDisposable
{
    private readonly Written _written = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _written.Dispose();
    }

    [Fact]
    public void FirstForecast_OfAnExportedModel_IsDarts()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "Checkpoints", "tide.json");
        using var exported = Checkpoint.Read(path);
        var values = exported.Inputs.past_target[0].data<float>().ToArray();

        using var checkpoint = Checkpoint.Read(path);                               // my_model.json, my_model.dat
        using var network = checkpoint.Network();
        using var past = tensor(values).reshape(1, checkpoint.Sizes.PastSteps, checkpoint.Sizes.Targets);
        using var noGrad = no_grad();
        using var forecast = network.call(new Inputs(past));                        // (1, time, targets, parameters)

        ((forecast[0] - exported.Output[0]) / exported.Output[0]).abs().max().item<float>().Should().BeLessThan(1e-5f);
    }

    [Fact]
    public void OtherArchitecture_InAFileOfItsOwn_IsFound()
    {
        var parameters = new Dictionary<string, object?> { ["damping"] = 1, ["use_reversible_instance_norm"] = true };
        using var checkpoint = Checkpoint.Read(_written.Write("LastValueModel", parameters, new(6, 4, 2)));
        using var network = checkpoint.Network();
        var last = checkpoint.Inputs.past_target.narrow(1, 5, 1).unsqueeze(-1);
        (network.call(checkpoint.Inputs) - last).abs().max().item<float>().Should().BeLessThan(1e-3f);
        DartsNetwork.Models.Should().Equal("LastValueModel", "NLinearModel", "TSMixerModel", "TiDEModel");
    }
}
