namespace Darts.Norm.Tests.Reference;

/// <summary>The 107 recorded cases: text, keys, outputs, gradients, second order, and RINorm's statistics, transform and inverse.</summary>
public sealed class ReferenceTests
{
    private const double Float64Units = 16;
    private const double SecondOrderUnits = 64;

    /// <summary>Two orders of evaluating the same formula in double, over rows of up to 400 values.</summary>
    private const double TruthUnits = 256;

    public static TheoryData<string> Cases => [.. ReferenceCase.All.Keys];

    public static TheoryData<string> SecondOrderCases => [.. ReferenceCase.All.Values.Where(c => c.HasSecondOrder).Select(c => c.Name)];

    public static TheoryData<string> JudgedCases =>
        [.. ReferenceCase.All.Values.Where(c => c.Dtype != ScalarType.Float64 && !c.HasNonFiniteInput).Select(c => c.Name)];

    [Fact]
    public void All_Recorded_AreThere() => ReferenceCase.All.Should().HaveCount(107);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Text_IsPyTorchs(string name)
    {
        using var layer = ReferenceCase.All[name].NewLayer();
        layer.ToString().Should().Be(ReferenceCase.All[name].Text);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void StateDict_HasPyTorchsKeysAndShapes(string name)
    {
        using var layer = ReferenceCase.All[name].NewLayer();
        layer.state_dict().Select(entry => (entry.Key, entry.Value.shape)).Should().BeEquivalentTo(
            ReferenceCase.All[name].State, options => options.WithStrictOrdering());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Results_AgreeWithPyTorch(string name)
    {
        using var scope = NewDisposeScope();
        var reference = ReferenceCase.All[name];
        var truths = new Truths(reference);
        var failures = new List<string>();
        foreach (var (role, actual) in Run(reference))
        {
            var recorded = reference[role]!;
            actual.dtype.Should().Be(recorded.dtype, role);
            actual.shape.Should().Equal(recorded.shape, role);
            Judge.NonFiniteInTheSamePlaces(actual, recorded, role);
            var truth = reference.Dtype == ScalarType.Float64 ? truths[role] with { Value = recorded } : truths[role];
            var ours = Judge.Units(actual, truth, reference.Dtype);
            var bound = reference.Dtype == ScalarType.Float64 ? Float64Units : Math.Max(Judge.LeastBound, 2 * Judge.Units(recorded, truth, reference.Dtype));
            if (!(ours <= bound))
                failures.Add($"{role}: {ours:0.###} units, bound {bound:0.###}");
        }
        failures.Should().BeEmpty();
    }

    [Theory]
    [MemberData(nameof(JudgedCases))]
    public void Truths_AgreeWithPyTorchInDouble(string name)
    {
        using var scope = NewDisposeScope();
        var reference = ReferenceCase.All[name];
        var truths = new Truths(reference);
        foreach (var role in truths.Roles)
        {
            var recorded = reference[role.StartsWith("grad.", StringComparison.Ordinal) ? "grad64" + role[4..] : role + "64"];
            if (recorded is not null)
                Judge.Units(recorded, truths[role], ScalarType.Float64).Should().BeLessThan(TruthUnits, role);
        }
    }

    [Theory]
    [MemberData(nameof(SecondOrderCases))]
    public void SecondOrder_AgreesWithPyTorch(string name)
    {
        using var scope = NewDisposeScope();
        var reference = ReferenceCase.All[name];
        using var layer = reference.NewLayerWithParameters();
        var x = reference["x"]!.clone().requires_grad_();
        var gradOut = reference["grad_out"]!.clone().requires_grad_();
        var gradX = autograd.grad([layer.forward(x)], [x], [gradOut], retain_graph: true, create_graph: true)[0];
        var leaves = new Dictionary<string, Tensor> { ["x"] = x, ["grad_out"] = gradOut };
        foreach (var (key, parameter) in layer.named_parameters())
            leaves.Add(key, parameter);
        var wanted = leaves.Where(leaf => reference[$"gg.{leaf.Key}"] is not null).ToList();
        var seconds = autograd.grad([(gradX * reference["v"]!).sum()], [.. wanted.Select(leaf => leaf.Value)], allow_unused: true);
        foreach (var (leaf, second) in wanted.Zip(seconds))
        {
            var recorded = reference[$"gg.{leaf.Key}"]!;
            var truth = new Truth(recorded, recorded.abs().amax([.. Enumerable.Range(0, (int)recorded.dim()).Select(d => (long)d)], keepdim: true));
            Judge.Units(second, truth, ScalarType.Float64).Should().BeLessThanOrEqualTo(SecondOrderUnits, leaf.Key);
        }
    }

    /// <summary>Everything that the recorder ran, by the role that it recorded.</summary>
    private static Dictionary<string, Tensor> Run(ReferenceCase reference)
    {
        using var layer = reference.NewLayerWithParameters();
        var results = new Dictionary<string, Tensor>();
        var x = reference["x"]!.clone().requires_grad_();
        var y = layer.forward(x);
        y.backward([reference["grad_out"]!]);
        results.Add("y", y);
        results.Add("grad.x", x.grad!);
        foreach (var (key, parameter) in layer.named_parameters())
        {
            results.Add($"grad.{key}", parameter.grad!);
            parameter.grad = null;
        }
        if (layer is not RINorm rin)
            return results;

        results.Add("mean", rin.mean!.clone());
        results.Add("stdev", rin.stdev!.clone());
        results.Add("y2", rin.transform(reference["x2"]!));
        var z = reference["z"]!.clone().requires_grad_();
        var inverse = rin.inverse(z);
        inverse.backward([reference["grad_inv"]!]);
        results.Add("inv", inverse);
        results.Add("grad_inv.z", z.grad!);
        foreach (var (key, parameter) in rin.named_parameters())
            results.Add($"grad_inv.{key}", parameter.grad!);
        return results;
    }
}
