using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>Gradients of gradients, of inputs that lie in memory in other ways than their copies, against those of the formula op by op in float64.</summary>
public sealed class SecondOrderTests : IDisposable
{
    private const long Features = 4;
    private const double Float64Bound = 1e-12;
    private const double Float32Bound = 1e-5;

    /// <summary>A leaf's shape, and the input [3, 5, 4] that is a view of it.</summary>
    private static readonly Dictionary<string, (long[] shape, Func<Tensor, Tensor> view)> Views = new()
    {
        ["contiguous"] = ([3, 5, Features], leaf => leaf),
        ["transposed"] = ([5, 3, Features], leaf => leaf.transpose(0, 1)),
        ["last axes swapped"] = ([3, Features, 5], leaf => leaf.transpose(1, 2)),
        ["every second row"] = ([3, 10, Features], leaf => leaf.slice(1, 1, 10, 2)),
        ["every second value"] = ([3, 5, 2 * Features], leaf => leaf.slice(2, 0, 2 * Features, 2)),
        ["expanded over the batch"] = ([1, 5, Features], leaf => leaf.expand(3, 5, Features)),
        ["expanded over time"] = ([3, 1, Features], leaf => leaf.expand(3, 5, Features)),
        ["expanded over features"] = ([3, 5, 1], leaf => leaf.expand(3, 5, Features)),
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, ScalarType> NamesAndDtypes => Combinations.Of(
        (string[])["RMSNorm", "LayerNorm", "LayerNormNoBias", "RINorm"], (ScalarType[])[ScalarType.Float64, ScalarType.Float32]);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void SecondOrder_OfStridedExpandedAndTransposedInputs_IsThatOfTheFormula(string name, ScalarType dtype)
    {
        foreach (var (layout, (shape, view)) in Views)
        {
            var (ours, formula) = (Layers.All[name].New(dtype), Layers.All[name].New(dtype));
            formula.to(ScalarType.Float64);
            var actual = Seconds(ours, layer => layer.forward, dtype, view);
            var expected = Seconds(formula, layer => x => OpByOp.Output(layer, x), ScalarType.Float64, view);
            // A gradient of an expanded tensor is a sum of those of its copy, which cancel over features.
            var largest = Seconds(formula, layer => x => OpByOp.Output(layer, x), ScalarType.Float64, view, isCopied: true).Max(tensor => tensor.abs().max().item<double>());
            foreach (var (a, b) in actual.Zip(expected))
            {
                a.shape.Should().Equal(b.shape);
                (a.to(ScalarType.Float64) - b).abs().max().item<double>().Should()
                    .BeLessThanOrEqualTo(largest * (dtype == ScalarType.Float64 ? Float64Bound : Float32Bound), $"{name} of an input {layout}");
            }

            List<Tensor> Seconds(NormModule layer, Func<NormModule, Func<Tensor, Tensor>> forward, ScalarType to, Func<Tensor, Tensor> view, bool isCopied = false)
            {
                var (x, gradient) = (Layers.Values(shape, dtype, start: 5).to(to), Layers.Values(shape, dtype, start: 50).to(to));
                if (isCopied)
                    (x, gradient, view) = (view(x).clone(), view(gradient).clone(), copy => copy);
                x.requires_grad_();
                gradient.requires_grad_();
                List<Tensor> leaves = [.. layer.parameters(), x];
                var first = autograd.grad([forward(layer)(view(x))], leaves, [view(gradient)], retain_graph: true, create_graph: true);
                var projected = first.Select((each, i) => (each * Layers.Values(each.shape, dtype, start: 70 + i)).sum()).Aggregate((a, b) => a + b);
                leaves.Add(gradient);
                return [.. autograd.grad([projected], leaves, allow_unused: true).Zip(leaves, (second, leaf) => second is null || second.IsInvalid ? zeros_like(leaf) : second)];
            }
        }
    }

    /// <summary>The gradients of the input's gradient, with every subset of the parameters frozen.</summary>
    [Theory]
    [InlineData("RMSNorm", "forward")]
    [InlineData("LayerNorm", "forward")]
    [InlineData("LayerNorm without bias", "forward")]
    [InlineData("RINorm", "forward")]
    [InlineData("RINorm", "transform")]
    [InlineData("RINorm", "inverse")]
    public void SecondOrder_WithFrozenParameters_IsThatWithoutOfTheOthers(string name, string method)
    {
        using var layer = Layers.All[name].New(ScalarType.Float64);
        var x = Layers.Values([2, 5, Features], ScalarType.Float64, start: 5).requires_grad_();
        var gradient = Layers.Values([2, 5, Features], ScalarType.Float64, start: 50).requires_grad_();
        _ = layer.call(x);
        TorchSharp.Modules.Parameter[] parameters = [.. layer.parameters()];
        var expected = Seconds();
        for (var frozen = 1; frozen < 1 << parameters.Length; frozen++)
        {
            foreach (var (parameter, i) in parameters.Select((parameter, i) => (parameter, i)))
                parameter.requires_grad = (frozen & (1 << i)) == 0;
            foreach (var (actual, other) in Seconds().Zip(expected))
                (actual - other).abs().max().item<double>().Should().BeLessThanOrEqualTo(Float64Bound, $"{name}.{method}, frozen {frozen:b}");
        }

        Tensor[] Seconds()
        {
            var y = (layer, method) switch
            {
                (RINorm rin, "transform") => rin.transform(x),
                (RINorm rin, "inverse") => rin.inverse(x.unsqueeze(-1)).squeeze(-1),
                _ => layer.call(x),
            };
            var first = autograd.grad([y], [x], [gradient], retain_graph: true, create_graph: true)[0];
            return [first, .. autograd.grad([(first * Layers.Values(first.shape, ScalarType.Float64, start: 70)).sum()], [x, gradient], allow_unused: true).Where(second => second is { IsInvalid: false })];
        }
    }

    /// <summary>The second use's input depends on the same parameters: each use of them must count once.</summary>
    [Theory]
    [InlineData("RMSNorm")]
    [InlineData("LayerNorm")]
    [InlineData("RINorm")]
    public void CreateGraph_OfALayerUsedTwice_GivesTheGradientsOfTheFormula(string name)
    {
        using var layer = Layers.All[name].New(ScalarType.Float64);
        var x = Layers.Values([2, 5, Features], ScalarType.Float64, start: 5).requires_grad_();
        List<Tensor> leaves = [x, .. layer.parameters()];
        var expected = Gradients(input => OpByOp.Output(layer, input));
        foreach (var (actual, other) in Gradients(layer.forward).Zip(expected))
            (actual - other).abs().max().item<double>().Should().BeLessThanOrEqualTo(Float64Bound * other.abs().max().item<double>());

        List<Tensor> Gradients(Func<Tensor, Tensor> forward)
        {
            var first = autograd.grad([forward(forward(x).square()).pow(3).sum()], leaves, retain_graph: true, create_graph: true);
            var projected = first.Select((each, i) => (each * Layers.Values(each.shape, ScalarType.Float64, start: 70 + i)).sum()).Aggregate((a, b) => a + b);
            return [.. first, .. autograd.grad([projected], leaves)];
        }
    }

    [Fact]
    public void CreateGraph_OfRINormsInverseOfItsForward_GivesTheGradientsWithout()
    {
        using var rin = (RINorm)Layers.All["RINorm"].New(ScalarType.Float64);
        var x = Layers.Values([2, 5, Features], ScalarType.Float64, start: 5).requires_grad_();
        foreach (var (actual, other) in Gradients(createGraph: true).Zip(Gradients(createGraph: false)))
            (actual - other).abs().max().item<double>().Should().BeLessThanOrEqualTo(Float64Bound * other.abs().max().item<double>());

        Tensor[] Gradients(bool createGraph)
        {
            var loss = rin.inverse(rin.forward(x).square().unsqueeze(-1)).pow(3).sum();
            return [.. autograd.grad([loss], [x, rin.affine_weight!, rin.affine_bias!], create_graph: createGraph)];
        }
    }

    [Fact]
    public void CreateGraph_OfALayersOwnParameterAsItsInput_GivesTheGradientWithout()
    {
        using var layer = (RMSNorm)Layers.All["RMSNorm"].New(ScalarType.Float64);
        var (actual, expected) = (Gradient(createGraph: true), Gradient(createGraph: false));
        (actual - expected).abs().max().item<double>().Should().BeLessThanOrEqualTo(Float64Bound);

        Tensor Gradient(bool createGraph) => autograd.grad([layer.forward(layer.g).pow(3).sum()], [layer.g], create_graph: createGraph)[0];
    }

    /// <summary>As with libtorch's own functions, the others' gradients stay the same, and what is frozen gets none. To ask libtorch for the gradient of what needs none ended the process.</summary>
    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void CreateGraph_OfWhatWasFrozenSinceTheForward_GivesTheOthersTheirs(string name, ScalarType dtype)
    {
        var layer = Layers.All[name].New(dtype);
        var x = Layers.Values([2, 5, Features], dtype, start: 5).requires_grad_();
        Tensor[] leaves = [.. layer.parameters(), x];
        var expected = Gradients(frozen: null);
        foreach (var frozen in leaves)
        {
            foreach (var (leaf, actual, other) in leaves.Zip(Gradients(frozen), expected))
            {
                if (ReferenceEquals(leaf, frozen))
                    actual.Should().BeNull();
                else
                    Within(actual!, other!, dtype);
            }
        }

        Tensor?[] Gradients(Tensor? frozen)
        {
            var y = layer.call(x).square().sum();
            if (frozen is not null)
                frozen.requires_grad = false;
            y.backward(create_graph: true);
            return [.. leaves.Select(leaf =>
            {
                var gradient = leaf.grad;
                leaf.grad = null;
                leaf.requires_grad = true;
                return gradient;
            })];
        }
    }

    /// <summary>Padding: where only eps divides, <c>y = x / eps · g</c>. The root of a norm's own formula has no gradients there.</summary>
    [Fact]
    public void SecondOrder_OfRMSNormsRowsOfZeros_IsThatOfADivisionByEps()
    {
        const double eps = 0.5;
        using var rms = new RMSNorm(Features, eps, dtype: ScalarType.Float64);
        var x = Layers.Values([3, Features], ScalarType.Float64, start: 5);
        x[1] = 0;
        x[2] *= 0.1;
        x.requires_grad_();
        var expected = Seconds(rms, x, x => cat([x[..1] / x[..1].square().mean([-1L], keepdim: true).sqrt(), x[1..] / eps]) * rms.g);
        foreach (var (actual, other) in Seconds(rms, x, rms.forward).Zip(expected))
            Within(actual, other, ScalarType.Float64);
    }

    /// <summary>An eps whose square is no number of float64 divides like any other.</summary>
    [Theory]
    [InlineData(1e-200)]
    [InlineData(1e200)]
    public void SecondOrder_OfRMSNormsRowsOfZerosWithAnEpsFarFromOne_IsThatOfADivisionByEps(double eps)
    {
        using RMSNorm rms = new(Features, eps, dtype: ScalarType.Float64), unit = new(Features, 1, dtype: ScalarType.Float64);
        var x = zeros(3, Features, ScalarType.Float64).requires_grad_();
        foreach (var (actual, expected) in Seconds(rms, x, rms.forward).Zip(Seconds(unit, x, unit.forward)))
            Within(actual * eps, expected, ScalarType.Float64);
    }

    /// <summary>Where their squares are numbers of float64, though the cubes of these are not.</summary>
    [Theory]
    [InlineData(400)]
    [InlineData(-400)]
    public void SecondOrder_OfRMSNormsValuesFarFromOne_IsThatOfOrdinaryOnesScaled(int exponent)
    {
        using var rms = new RMSNorm(Features, 0, dtype: ScalarType.Float64);
        var (x, scale) = (Layers.Values([3, Features], ScalarType.Float64, start: 5), Math.ScaleB(1, exponent));
        double[] units = [scale, scale * scale, scale, scale];
        var scaled = Seconds(rms, (x * scale).requires_grad_(), rms.forward).Zip(units, (gradient, unit) => gradient * unit);
        foreach (var (actual, expected) in scaled.Zip(Seconds(rms, x.requires_grad_(), rms.forward)))
            Within(actual, expected, ScalarType.Float64);
    }

    /// <summary>The input's gradient, and the gradients of a sum of that by the input, the gain and the output's gradient.</summary>
    private static List<Tensor> Seconds(RMSNorm rms, Tensor x, Func<Tensor, Tensor> forward)
    {
        var gradient = Layers.Values([3, Features], ScalarType.Float64, start: 50).requires_grad_();
        var first = autograd.grad([forward(x)], [x], [gradient], retain_graph: true, create_graph: true)[0];
        return [first, .. autograd.grad([(first * Layers.Values(first.shape, ScalarType.Float64, start: 70)).sum()], [x, rms.g, gradient])];
    }

    private static void Within(Tensor actual, Tensor expected, ScalarType dtype)
    {
        var largest = Math.Max(expected.abs().max().to(ScalarType.Float64).item<double>(), 1);
        (actual.to(ScalarType.Float64) - expected.to(ScalarType.Float64)).abs().max().item<double>().Should()
            .BeLessThanOrEqualTo(largest * (dtype == ScalarType.Float64 ? Float64Bound : Float32Bound));
    }
}
