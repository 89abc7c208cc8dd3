using System.Diagnostics;

namespace Darts.Norm.Tests.Documentation;

/// <summary>The script of docs/modules.md.</summary>
public sealed class ModulesGuideTests
{
    [Fact]
    public void Script_PortedLineByLine_DoesWhatItSays()
    {
        using var scope = NewDisposeScope();

        var net = new Forecaster();
        Console.WriteLine(net.pytorch().text());

        foreach (var p in net.block.parameters())                 // freezing
            p.requires_grad_(false);
        net.head.requires_grad_(true);

        net.set_submodule("block.0", new LayerNorm(4));           // surgery on the network
        Debug.Assert(((LayerNorm)net.get_submodule("block.0")).normalized_shape is [4]);

        var state = net.pytorch().state_dict();                   // surgery on the state
        state["head.weight"] = state["head.weight"] * 2;
        state.Remove("head.bias");
        state["old.g"] = ones(4);
        var (missing, unexpected) = net.pytorch().load_state_dict(state, strict: false);
        Console.WriteLine($"{string.Join(" ", missing)} | {string.Join(" ", unexpected)}");

        var norms = new Dictionary<string, double>();
        void watch(nn.Module module, object?[] args, object? output) =>
            norms[module.GetType().Name] = ((Tensor)output!).norm().item<double>();
        var handles = net.pytorch().modules().Where(m => m != net).Select(m => m.pytorch().register_forward_hook(watch)).ToList();
        var clip = net.head.register_full_backward_hook((m, gi, go) => [gi[0]!.clamp(-1, 1)]);

        net.pytorch().@double();
        net.pytorch().train();
        var x = randn(2, 5, 4, dtype: ScalarType.Float64, requires_grad: true);
        net.call(x).square().sum().backward();
        clip.remove();
        foreach (var h in handles)
            h.remove();
        Console.WriteLine(string.Join(" ", net.pytorch().named_parameters().Where(e => e.parameter.grad is not null).Select(e => e.name)));
        net.pytorch().zero_grad();
        net.pytorch().eval();

        ((LayerNorm)net.get_submodule("block.0")).normalized_shape.Should().Equal(4);
        Console.Lines.Should().Equal(
            "Forecaster(\n  (rin): RINorm()\n  (block): Sequential(\n    (0): RMSNorm()\n    (1): Linear(in_features=4, out_features=4, bias=True)\n  )\n  (head): LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)\n)",
            "head.bias | old.g",
            "rin.affine_weight rin.affine_bias block.0.weight block.0.bias head.weight head.bias");
        net.head.weight!.Doubles().Should().Equal(2, 2, 2, 2);
        norms.Keys.Should().BeEquivalentTo("RINorm", "LayerNorm", "Linear", "Sequential");
        x.grad!.Doubles().All(double.IsFinite).Should().BeTrue();
        (net.training, net.head.weight!.grad).Should().Be((false, null));
    }

    private static class Console
    {
        public static List<string> Lines { get; } = [];

        public static void WriteLine(string line) => Lines.Add(line);
    }

    private sealed class Forecaster : nn.Module<Tensor, Tensor>
    {
        public readonly RINorm rin = new(4);
        public readonly TorchSharp.Modules.Sequential block = nn.Sequential(new RMSNorm(4), nn.Linear(4, 4));
        public readonly LayerNorm head = new(4);

        public Forecaster()
            : base(nameof(Forecaster)) => RegisterComponents();

        public override Tensor forward(Tensor x) => head.call(block.call(rin.call(x)));
    }
}
