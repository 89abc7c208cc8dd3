namespace Darts.Norm.Tests;

/// <summary>Gradients against finite differences in float64, first and second order, as torch.autograd.gradcheck does it.</summary>
public sealed class GradientTests : IDisposable
{
    private const double Step = 1e-6;
    private const double Tolerance = 1e-5;

    /// <summary>Each layer's computation with its statistics fixed: a forward of RINorm would move them under the difference.</summary>
    private static readonly Dictionary<string, Func<NormModule, Tensor, Tensor>> Computations = new()
    {
        ["forward"] = (layer, x) => layer.forward(x),
        ["transform"] = (layer, x) => ((RINorm)layer).transform(x),
        ["inverse"] = (layer, x) => ((RINorm)layer).inverse(x),
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var name in Layers.All.Keys)
            {
                foreach (var computation in name.StartsWith("RINorm", StringComparison.Ordinal) ? new[] { "transform", "inverse" } : ["forward"])
                    cases.Add(name, computation);
            }
            return cases;
        }
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradient_OfInputAndParameters_IsTheFiniteDifference(string name, string computation)
    {
        var (leaves, f) = Prepare(name, computation);
        foreach (var (leaf, gradient) in leaves.Zip(autograd.grad([f()], leaves)))
            Close(gradient, FiniteDifference(leaf, () => f().item<double>()));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void SecondOrder_OfInputAndParameters_IsTheFiniteDifferenceOfTheFirst(string name, string computation)
    {
        var (leaves, f) = Prepare(name, computation);
        var projected = Projected();
        var second = projected.requires_grad ? autograd.grad([projected], leaves, retain_graph: true, allow_unused: true) : [.. leaves.Select(leaf => zeros_like(leaf))];
        foreach (var (leaf, gradient) in leaves.Zip(second))
            Close(gradient is null || gradient.IsInvalid ? zeros_like(leaf) : gradient, FiniteDifference(leaf, () => Projected().item<double>()));

        Tensor Projected()
        {
            var first = autograd.grad([f()], leaves, retain_graph: true, create_graph: true);
            return first.Select((gradient, i) => (gradient * Layers.Values(gradient.shape, ScalarType.Float64, start: 70 + i)).sum()).Aggregate((a, b) => a + b);
        }
    }

    [Theory]
    [InlineData("RINorm")]
    [InlineData("RINorm not affine")]
    public void Gradient_OfRINormsForward_TakesTheStatisticsAsGiven(string name)
    {
        var (layer, x) = ((RINorm)Layers.All[name].New(ScalarType.Float64), Layers.All[name].Input(ScalarType.Float64).requires_grad_());
        var leaves = layer.parameters().Append(x).ToList();
        var weights = Layers.Values(x.shape, ScalarType.Float64, start: 50);
        var forward = autograd.grad([(layer.forward(x) * weights).sum()], leaves);
        var transform = autograd.grad([(layer.transform(x) * weights).sum()], leaves);
        forward.Zip(transform).All(pair => Layers.SameBits(pair.First, pair.Second)).Should().BeTrue();
        (layer.mean!.requires_grad, layer.stdev!.requires_grad).Should().Be((false, false));
    }

    [Fact]
    public void Gradient_OfRMSNormBelowEps_GoesThroughTheClampAsAConstant()
    {
        var norm = new RMSNorm(4, eps: 100, dtype: ScalarType.Float64);
        var x = Layers.Values([3, 4], ScalarType.Float64).requires_grad_();
        norm.forward(x).sum().backward();
        x.grad!.Doubles().Should().AllSatisfy(value => value.Should().Be(0.01));
    }

    /// <summary>The leaves, in Float64, and a number that depends on all of them by irregular weights.</summary>
    private static (List<Tensor> leaves, Func<Tensor> f) Prepare(string name, string computation)
    {
        var layer = Layers.All[name].New(ScalarType.Float64);
        var shape = Layers.All[name].Shapes[0];
        layer.forward(Layers.Values(shape, ScalarType.Float64, start: 30));
        var x = Layers.Values(computation == "inverse" ? [.. shape, 3] : shape, ScalarType.Float64, start: 5).requires_grad_();
        var weights = Layers.Values(x.shape, ScalarType.Float64, start: 50);
        return ([.. layer.parameters(), x], () => (Computations[computation](layer, x) * weights).sum());
    }

    private static Tensor FiniteDifference(Tensor leaf, Func<double> f)
    {
        var difference = zeros_like(leaf);
        for (var i = 0L; i < leaf.numel(); i++)
        {
            var (above, below) = (At(i, Step), At(i, -Step));
            difference.view(-1)[i] = (above - below) / (2 * Step);
        }
        return difference;

        double At(long i, double step)
        {
            using var scope = NewDisposeScope();
            Shift(i, step);
            var value = f();
            Shift(i, -step);
            return value;
        }

        void Shift(long i, double step)
        {
            using var noGrad = no_grad();
            leaf.view(-1)[i].add_(step);
        }
    }

    private static void Close(Tensor gradient, Tensor difference)
    {
        gradient.shape.Should().Equal(difference.shape);
        gradient.Doubles().Zip(difference.Doubles()).Should().AllSatisfy(pair => pair.First.Should().BeApproximately(pair.Second, Tolerance));
    }
}
