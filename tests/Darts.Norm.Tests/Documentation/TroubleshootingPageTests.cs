using Darts.Norm;
using TorchSharp.Modules;
using LayerNorm = Darts.Norm.LayerNorm;

namespace Somebody.Elses.Troubles;

/// <summary>The code of docs/troubleshooting.md, and what that page says of TorchSharp.</summary>
public sealed class TroubleshootingPageTests
{
    [Fact]
    public void LayerNorm_BesideTorchSharps_IsTheAliasedOne() => typeof(LayerNorm).Should().Be<Darts.Norm.LayerNorm>();

    [Fact]
    public void Scope_MovedOutOf_LeavesTheTensorAlive()
    {
        using var norm = new RMSNorm(64);
        Tensor kept;
        using (NewDisposeScope())
        {
            var x = randn(4, 64);
            kept = norm.call(x).MoveToOuterDisposeScope();
        }
        Console.WriteLine(kept.IsInvalid);   // False
        kept.IsInvalid.Should().BeFalse();
        kept.Dispose();

        Linear theirs;
        Parameter attached, detached;
        using (NewDisposeScope())
        {
            theirs = nn.Linear(2, 2);
            attached = nn.Parameter(ones(1));
            detached = (Parameter)nn.Parameter(ones(1)).DetachFromDisposeScope();
        }
        (theirs.weight!.IsInvalid, attached.IsInvalid, detached.IsInvalid).Should().Be((false, true, false));
        theirs.Dispose();
        detached.Dispose();
    }

    [Fact]
    public void Scope_AroundEachStep_TrainsTheNetwork()
    {
        using var network = new Head();
        using var optimizer = optim.SGD(network.parameters(), 0.1);
        using var input = randn(4, 64);
        using var target = randn(4, 8);
        using var before = network.state_dict()["output.weight"].detach().clone();
        for (var step = 0; step < 10; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var loss = nn.functional.mse_loss(network.call(input), target);
            loss.backward();
            optimizer.step();
        }
        before.Equals(network.state_dict()["output.weight"]).Should().BeFalse();
    }

    [Fact]
    public void Keys_OfFieldsAndProperties_AreTheNamedOnes()
    {
        using var head = new Head();
        head.state_dict().Keys.Should().Equal("norm.g", "output.weight", "output.bias");
        using var nameless = new Nameless();
        nameless.state_dict().Keys.Should().Equal("<Norm>k__BackingField.g");
    }

    [Fact]
    public void ModuleDict_OfLayers_IsMovedByItsValues()
    {
        using var dictionary = nn.ModuleDict(("a", new RMSNorm(4)), ("b", new RMSNorm(4)));
        dictionary.Invoking(d => d.to(float64)).Should().Throw<ArgumentException>().WithMessage("An item with the same key has already been added. Key: Item");
        foreach (var layer in dictionary.values())
            layer.to(float64);
        dictionary["b"].g.dtype.Should().Be(float64);
    }

    [Fact]
    public void Checkpoint_OfWrongShapes_IsFoundBeforeItIsLoaded()
    {
        using var scope = NewDisposeScope();
        using var network = nn.Sequential(("norm", new RMSNorm(4)));
        var checkpoint = new Dictionary<string, Tensor> { ["norm.g"] = full(1, 7f) };
        var state = network.state_dict();
        var wrong = checkpoint.Where(entry => !state[entry.Key].shape.SequenceEqual(entry.Value.shape)).Select(entry => entry.Key).ToList();
        wrong.Should().Equal("norm.g");
        network.load_state_dict(checkpoint);
        state["norm.g"].data<float>().Should().Equal([7, 7, 7, 7], "TorchSharp's own does not look");
    }

    [Fact]
    public void Optimizer_BuiltAfterTheCast_TrainsEveryParameter()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Sequential(nn.Linear(8, 8), new RMSNorm(8));
        model.to(float64);
        using var adam = optim.Adam(model.parameters(), lr: 1e-3);
        model.call(ones(2, 8, dtype: float64)).square().sum().backward();
        adam.step();

        using var cast = nn.Sequential(nn.Linear(8, 8), new RMSNorm(8));
        var before = cast.parameters().ToList();
        using var early = optim.Adam(cast.parameters());
        cast.to(float64);
        before.Select(parameter => parameter.IsInvalid).Should().Equal(true, true, false);
        cast.call(ones(2, 8, dtype: float64)).square().sum().backward();
        early.Invoking(optimizer => optimizer.step()).Should().Throw<Exception>();
    }

    private sealed class Nameless : nn.Module
    {
        public Nameless()
            : base(nameof(Nameless)) => RegisterComponents();

        private RMSNorm Norm { get; } = new(2);
    }
}

public sealed class Head : nn.Module<Tensor, Tensor>
{
    private readonly RMSNorm norm = new(64);
    private readonly nn.Module<Tensor, Tensor> output = nn.Linear(64, 8);

    public Head() : base(nameof(Head)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        using var y = norm.call(x);
        return output.call(y);
    }
}
