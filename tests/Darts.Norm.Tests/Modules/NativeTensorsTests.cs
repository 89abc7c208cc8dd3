using TorchSharp.Modules;

namespace Darts.Norm.Tests.Modules;

/// <summary>TorchSharp's modules whose weights lie in libtorch's own module compute with what is registered.</summary>
public sealed class NativeTensorsTests : IDisposable
{
    private static readonly Dictionary<string, (Func<nn.Module> make, Func<nn.Module, Tensor, Tensor> call)> Modules = new()
    {
        ["LSTM"] = (() => nn.LSTM(4, 4, numLayers: 2, bidirectional: true), (m, x) => ((LSTM)m).call(x).Item1),
        ["GRU"] = (() => nn.GRU(4, 4), (m, x) => ((GRU)m).call(x).Item1),
        ["RNN"] = (() => nn.RNN(4, 4), (m, x) => ((RNN)m).call(x).Item1),
        ["LSTMCell"] = (() => nn.LSTMCell(4, 4), (m, x) => ((LSTMCell)m).call(x[0], (zeros(2, 4, dtype: x.dtype), zeros(2, 4, dtype: x.dtype))).Item1),
        ["GRUCell"] = (() => nn.GRUCell(4, 4), (m, x) => ((GRUCell)m).call(x[0], zeros(2, 4, dtype: x.dtype))),
        ["RNNCell"] = (() => nn.RNNCell(4, 4), (m, x) => ((RNNCell)m).call(x[0], zeros(2, 4, dtype: x.dtype))),
        ["MultiheadAttention"] = (() => nn.MultiheadAttention(4, 2), (m, x) => ((MultiheadAttention)m).call(x, x, x, null, false, null).Item1),
        ["TransformerEncoderLayer"] = (() => nn.TransformerEncoderLayer(4, 2, 8, dropout: 0), (m, x) => ((TransformerEncoderLayer)m).call(x, null, null)),
        ["TransformerEncoder"] = (() => nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, dropout: 0), 2), (m, x) => ((TransformerEncoder)m).call(x, null, null)),
        ["TransformerDecoderLayer"] = (() => nn.TransformerDecoderLayer(4, 2, 8, dropout: 0), (m, x) => ((TransformerDecoderLayer)m).call(x, x, null, null, null, null)),
        ["TransformerDecoder"] = (() => nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, dropout: 0), 2), (m, x) => ((TransformerDecoder)m).call(x, x, null, null, null, null)),
        ["Transformer"] = (() => nn.Transformer(4, 2, 1, 1, 8, dropout: 0), (m, x) => ((Transformer)m).call(x, x)),
        ["Embedding"] = (() => nn.Embedding(9, 4), (m, x) => ((Embedding)m).call(arange(6).reshape(2, 3))),
        ["EmbeddingBag"] = (() => nn.EmbeddingBag(9, 4), (m, x) => ((EmbeddingBag)m).call(arange(6).reshape(2, 3), null, null)),
        ["Linear"] = (() => nn.Linear(4, 4), (m, x) => ((Linear)m).call(x)),
        ["BatchNorm1d"] = (() => nn.BatchNorm1d(4), (m, x) => ((BatchNorm1d)m).call(x[0])),
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => [.. Modules.Keys];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void ToEmpty_AfterMeta_ComputesWithWhatIsLoadedAndTrainsIt(string name)
    {
        var (from, to) = (Modules[name].make(), Modules[name].make());
        to.pytorch().to(META);
        if (to is LSTM or GRU or RNN or MultiheadAttention || name.StartsWith("Transformer", StringComparison.Ordinal))
            Modules[name].call(to, randn(5, 2, 4)).isnan().all().item<bool>().Should().BeTrue("there are no values to compute with");
        to.pytorch().parameters().First().requires_grad_(false);
        to.to_empty(CPU);
        to.pytorch().parameters().First().requires_grad.Should().BeFalse();
        to.pytorch().requires_grad_();
        to.pytorch().load_state_dict(from.pytorch().state_dict());
        HoldEqual(name, from, to);
        to.pytorch().@double();
        Modules[name].call(to, randn(5, 2, 4, dtype: ScalarType.Float64)).dtype.Should().Be(ScalarType.Float64);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void LoadStateDict_AssignedToAModuleOnMeta_ComputesWithTheTensors(string name)
    {
        var (from, to) = (Modules[name].make(), Modules[name].make());
        to.pytorch().to(META);
        to.pytorch().load_state_dict(from.pytorch().state_dict(), assign: true);
        HoldEqual(name, from, to);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void LoadStateDict_AssignOfMetaThatFails_TakesValuesAndGradientsBack(string name)
    {
        var (module, other, x) = (Modules[name].make(), Modules[name].make(), randn(5, 2, 4));
        using var y = Modules[name].call(module, x);
        y.square().sum().backward();
        var grads = module.pytorch().parameters().Select(p => p.grad?.clone()).ToList();
        var before = module.pytorch().parameters().ToList();
        other.pytorch().to(META);
        module.pytorch().register_load_state_dict_post_hook((_, _) => throw new TimeoutException());
        module.pytorch().Invoking(m => m.load_state_dict(other.pytorch().state_dict(), assign: true)).Should().Throw<TimeoutException>();
        module.pytorch().parameters().Should().Equal(before, ReferenceEquals);
        Layers.SameBits(Modules[name].call(module, x), y).Should().BeTrue();
        foreach (var (grad, parameter) in grads.Zip(before))
            (grad is null ? parameter.grad is null : Layers.SameBits(grad, parameter.grad!)).Should().BeTrue();
        var meta = other.pytorch().parameters().ToList();
        other.pytorch().register_load_state_dict_post_hook((_, _) => throw new TimeoutException());
        other.pytorch().Invoking(m => m.load_state_dict(module.pytorch().state_dict(), assign: true)).Should().Throw<TimeoutException>();
        other.pytorch().parameters().Should().Equal(meta, ReferenceEquals);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void RegisterParameter_OfAnother_IsComputedWithOrRefused(string name)
    {
        var (from, to) = (Modules[name].make(), Modules[name].make());
        var before = to.pytorch().parameters().ToList();
        try
        {
            foreach (var (key, parameter) in from.pytorch().named_parameters().Where(entry => !entry.name.Contains('.', StringComparison.Ordinal)))
                to.pytorch().register_parameter(key, parameter);
        }
        catch (NotSupportedException error)
        {
            error.Message.Should().Match($"A parameter to register must become what the module computes with, but {name} keeps its '*' inside of libtorch, where no other can take its place. Copy the values*");
            to.pytorch().parameters().Should().Equal(before, ReferenceEquals);
            return;
        }
        if (!name.StartsWith("Transformer", StringComparison.Ordinal)) // whose names have dots, which no name to register has
            HoldEqual(name, from, to);
        before.TrueForAll(p => !p.IsInvalid).Should().BeTrue("others may hold them");
    }

    [Fact]
    public void RegisterParameter_ThatIsTied_IsTrainedFromBothSides()
    {
        var (head, embedding) = (nn.Linear(4, 10, hasBias: false), nn.Embedding(10, 4));
        embedding.pytorch().register_parameter("weight", head.weight);
        embedding.call(tensor(3L)).allclose(head.weight![3]).Should().BeTrue();
        var net = nn.Sequential(("embedding", embedding), ("head", head)).pytorch();
        net.parameters().Should().ContainSingle();
        net.to(META);
        net.to_empty(CPU);
        net.parameters().Should().ContainSingle("it stays tied");
        net.module.pytorch().get_parameter("head.weight").detach().fill_(2);
        embedding.call(tensor(3L)).sum().backward();
        head.weight.grad![3].Doubles().Should().Equal(1, 1, 1, 1);
        net.get_submodule("embedding").pytorch().Invoking(m => m.register_parameter("weight", null)).Should().Throw<NotSupportedException>().WithMessage("*where it cannot be taken away. Make the module without it.");
        embedding.pytorch().register_parameter("more", null);
    }

    [Fact]
    public void MetaAndBack_OfARecurrentWeightThatALinearShares_StaysTied()
    {
        var (linear, lstm) = (nn.Linear(4, 16, hasBias: false), nn.LSTM(4, 4));
        linear.pytorch().register_parameter("weight", lstm.get_parameter("weight_ih_l0"));
        var net = nn.ModuleList<nn.Module>(linear, lstm).pytorch();
        net.to(META);
        net.to_empty(CPU);
        net.parameters().Should().HaveCount(4);
        foreach (var parameter in net.parameters())
            parameter.detach().fill_(0.1);
        lstm.call(randn(3, 1, 4)).Item1.sum().backward();
        linear.weight!.grad.Should().NotBeNull("LSTM's own is the one that both have");
    }

    private static void HoldEqual(string name, nn.Module from, nn.Module to)
    {
        var x = randn(5, 2, 4);
        var y = Modules[name].call(to, x);
        Layers.SameBits(Modules[name].call(from, x), y).Should().BeTrue();
        to.pytorch().zero_grad();
        y.square().sum().backward();
        to.pytorch().parameters().All(p => p.grad is not null).Should().BeTrue();
        var before = y.detach().clone();
        optim.SGD(to.pytorch().parameters(), 0.5).step();
        Layers.SameBits(Modules[name].call(to, x), before).Should().BeFalse("it learns");
    }
}
