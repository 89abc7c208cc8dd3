namespace Darts.Norm.Tests.Documentation;

/// <summary>The code of docs/loading.md that concerns the layers.</summary>
public sealed class LoadingGuideTests : IDisposable
{
    private readonly string path = Path.GetTempFileName();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        File.Delete(path);
    }

    [Fact]
    public void Layer_Load_TakesTheFilesValues()
    {
        Write(new() { ["affine_weight"] = Layers.Of(1, 2, 3), ["affine_bias"] = Layers.Of(4, 5, 6) });

        using var layer = new RINorm(input_dim: 3);
        layer.load(path);

        layer.affine_bias!.Doubles().Should().Equal(4, 5, 6);
    }

    [Fact]
    public void Network_StateAmongOtherTensors_IsLoaded()
    {
        using var network = nn.Sequential(("norm", new RMSNorm(2)));
        Write(new() { ["state/norm.g"] = Layers.Of(7, 8), ["in/x"] = zeros(3) });

        using var scope = NewDisposeScope();
        var tensors = StateFile.Read(path);
        var state = tensors.Where(pair => pair.Key.StartsWith("state/")).ToDictionary(pair => pair.Key["state/".Length..], pair => pair.Value);
        network.pytorch().load_state_dict(state);

        network.state_dict()["norm.g"].Doubles().Should().Equal(7, 8);
    }

    [Fact]
    public void RINorm_OutOfADartsCheckpoint_IsLoaded()
    {
        using var network = new OverTime(past: 6, future: 3, targets: 4);
        var state = new Dictionary<string, Tensor> { ["rin.affine_weight"] = Layers.Of(1, 2, 3, 4), ["rin.affine_bias"] = zeros(4), ["fc_out.weight"] = zeros(2) };

        using var forecaster = Reversible.wrap(network, new RINorm(input_dim: 4));
        forecaster.pytorch().load_state_dict(state, strict: false);                 // rin.* here; the network's own keys begin with network.

        forecaster.rin.affine_weight!.Doubles().Should().Equal(1, 2, 3, 4);
    }

    private void Write(Dictionary<string, Tensor> tensors)
    {
        using var writer = new BinaryWriter(File.Create(path));
        writer.Write7BitEncodedInt64(tensors.Count);
        foreach (var (key, value) in tensors)
        {
            writer.Write(key);
            value.Save(writer);
        }
    }
}
