namespace Darts.Norm.Tests;

/// <summary>What stays alive: a call's output, a layer's parameters and the statistics of the last forward, nothing else.</summary>
[Collection(nameof(Alone))]
public sealed class MemoryTests
{
    /// <summary>TorchSharp's count never goes down for the tensor that a Parameter is made of: it stays one higher for each.</summary>
    private static readonly long CountedPerParameter = Alone.TensorsLeft(() => nn.Parameter(ones(1)).Dispose());

    public static TheoryData<string> Names => Layers.Names;

    public static TheoryData<string, ScalarType> NamesAndDtypes => Layers.NamesAndDtypes;

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void Forward_OutsideAnyScope_LeavesItsOutput(string name, ScalarType dtype)
    {
        using var layer = Layers.All[name].New(dtype);
        var inputs = Layers.All[name].Shapes.Select(shape => Layers.Values(shape, dtype)).ToList();
        inputs.AddRange([.. inputs.Select(x => x.expand([2, .. x.shape]).select(0, 1)), .. inputs.Select(x => stack([x, x], -1).select(-1, 1))]);
        layer.forward(inputs[0]).Dispose();
        Alone.TensorsLeft(() => inputs.ForEach(x => layer.forward(x))).Should().Be(inputs.Count);
        using var noGrad = no_grad();
        Alone.TensorsLeft(() => inputs.ForEach(x => layer.forward(x))).Should().Be(inputs.Count);
    }

    [Fact]
    public void Forward_WithParametersOfEverySecondValue_LeavesItsOutput()
    {
        using var layer = new LayerNorm(5);
        using var values = Layers.Values([5, 2]);
        using var weight = values.select(1, 0);
        using var bias = values.select(1, 1);
        (layer.weight, layer.bias) = (nn.Parameter(weight), nn.Parameter(bias));
        layer.weight.is_contiguous().Should().BeFalse();
        using var x = ones(2, 5);
        layer.forward(x).Dispose();
        Alone.TensorsLeft(() => layer.forward(x)).Should().Be(1);
        using var noGrad = no_grad();
        Alone.TensorsLeft(() => layer.forward(x)).Should().Be(1);
    }

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void ForwardAndBackward_OutsideAnyScope_LeaveTheGradientsThatWereRead(string name, ScalarType dtype)
    {
        using var layer = Layers.All[name].New(dtype);
        using var x = Layers.All[name].Input(dtype).requires_grad_();
        using var gradOut = ones_like(x);
        Once();
        Alone.TensorsLeft(Once).Should().Be(0);

        void Once()
        {
            using var y = layer.forward(x);
            y.backward([gradOut]);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void ForwardAndBackward_OfStridedTensors_LeaveNothing(string name)
    {
        using var layer = Layers.All[name].New();
        using var input = Layers.All[name].Input();
        using var pair = stack([input, input], -1);
        using var strided = pair.select(-1, 0);
        using var x = strided.detach().requires_grad_();
        foreach (var gradOut in (Tensor[])[input, strided])
        {
            Once(gradOut);
            Alone.TensorsLeft(() => Once(gradOut)).Should().Be(0);
        }

        void Once(Tensor gradOut)
        {
            using var y = layer.forward(x);
            y.backward([gradOut]);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void SecondOrder_OutsideAnyScope_LeavesWhatACubeLeaves(string name)
    {
        using var layer = Layers.All[name].New(ScalarType.Float64);
        using var x = Layers.All[name].Input(ScalarType.Float64).requires_grad_();
        using var gradOut = ones_like(x);
        using var one = ones(1, ScalarType.Float64);
        using var expanded = one.expand_as(x);
        foreach (var gradient in (Tensor[])[gradOut, expanded])
        {
            Once(layer.forward, gradient);
            Alone.TensorsLeft(() => Once(layer.forward, gradient)).Should().Be(Alone.TensorsLeft(() => Once(t => t.pow(3), gradient)), "autograd.grad itself leaves some");
        }

        void Once(Func<Tensor, Tensor> forward, Tensor gradient)
        {
            using var y = forward(x);
            using var first = autograd.grad([y], [x], [gradient], retain_graph: true, create_graph: true)[0];
            using var total = (first * first).sum();
            if (total.requires_grad)
                total.backward();
        }
    }

    [Fact]
    public void TransformAndInverse_OutsideAnyScope_LeaveTheirOutput()
    {
        using var rin = Layers.All["RINorm"].New() as RINorm;
        using var x = Layers.All["RINorm"].Input().requires_grad_();
        using var z = Layers.Values([2, 3, 4, 2]).requires_grad_();
        rin!.forward(x).Dispose();
        Alone.TensorsLeft(() => rin.transform(x)).Should().Be(1);
        Alone.TensorsLeft(() => rin.inverse(z)).Should().Be(1);
        Alone.TensorsLeft(() => Backward(rin.transform(x))).Should().Be(0);
        Alone.TensorsLeft(() => Backward(rin.inverse(z))).Should().Be(0);

        static void Backward(Tensor y)
        {
            using var gradOut = ones_like(y);
            y.backward([gradOut]);
            y.Dispose();
        }
    }

    [Fact]
    public void Statistics_EachForward_ReplaceTheLastOnes()
    {
        using var x = Layers.All["RINorm"].Input();
        var rin = new RINorm(4);
        var first = Alone.TensorsLeft(() => Read(rin));
        Alone.TensorsLeft(() => Read(rin)).Should().Be(0);
        Alone.TensorsLeft(() => Enumerable.Range(0, 20).ToList().ForEach(_ => Read(rin))).Should().Be(0);
        Alone.TensorsLeft(rin.Dispose).Should().Be(-first - 2, "Dispose frees the statistics and the two parameters");

        void Read(RINorm layer)
        {
            layer.forward(x).Dispose();
            _ = layer.mean;
            _ = layer.stdev;
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void MakeUseAndDispose_OutsideAnyScope_LeaveNothing(string name)
    {
        using var x = Layers.All[name].Input();
        Once();
        Alone.TensorsLeft(Once).Should().Be(Layers.All[name].State.Length * CountedPerParameter);

        void Once()
        {
            using var layer = Layers.All[name].Make(null, null);
            layer.forward(x).Dispose();
            (layer as RINorm)?.mean!.sum().Dispose();
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Casts_AfterABackward_LeaveNothing(string name)
    {
        using var layer = Layers.All[name].New();
        using var x = Layers.All[name].Input().requires_grad_();
        using (var y = layer.forward(x))
        using (var gradOut = ones_like(y))
            y.backward([gradOut]);
        _ = (layer as RINorm)?.mean;
        Alone.TensorsLeft(Casts).Should().Be(0);
        using (NewDisposeScope())
            Casts();
        (layer as RINorm)?.mean!.IsInvalid.Should().BeFalse();
        layer.parameters().All(parameter => !parameter.IsInvalid).Should().BeTrue();
        var shown = layer is RINorm ? 1 : 0; // goes: there is nothing to show
        Alone.TensorsLeft(() => layer.to(META)).Should().Be((Layers.All[name].State.Length * CountedPerParameter) - shown);

        void Casts() => layer.half().@double().to(CPU, ScalarType.Float32).bfloat16().to("cpu").to(CPU).@float();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void StateDictSaveAndLoad_Always_LeaveNothing(string name)
    {
        using var layer = Layers.All[name].New();
        using var stream = new MemoryStream();
        layer.save(new BinaryWriter(stream));
        var bytes = stream.ToArray();
        Alone.TensorsLeft(() => layer.state_dict(prefix: "a.")).Should().Be(0, "they are the layer's own");
        Alone.TensorsLeft(() => layer.save(new MemoryStream())).Should().Be(0);
        Alone.TensorsLeft(() => layer.load(new MemoryStream(bytes))).Should().Be(0);
        Alone.TensorsLeft(() => layer.load_state_dict(layer.state_dict())).Should().Be(0);
        Alone.TensorsLeft(() => layer.Invoking(l => l.load(new MemoryStream(bytes[..^1]))).Should().Throw<Exception>()).Should().Be(0);
        Alone.TensorsLeft(() => layer.Invoking(l => l.load_state_dict(new() { ["extra"] = null! })).Should().Throw<Exception>()).Should().Be(0);
        Alone.TensorsLeft(() => layer.zero_grad()).Should().Be(0);
    }

    [Fact]
    public void Error_InAnyUse_LeavesNothing()
    {
        var uses = ErrorCases.All.Values.Select(error => (error, layer: error.Make(), x: error.Input())).ToList();
        Alone.Collect();
        foreach (var (error, layer, x) in uses)
        {
            var before = Tensor.TotalCount;
            layer.Invoking(l => error.Use(l, x!)).Should().Throw<Exception>(error.Name);
            Tensor.TotalCount.Should().Be(before, error.Name);
        }
    }

    [Fact]
    public void Error_InAConstructor_LeavesNothing() =>
        Alone.TensorsLeft(() =>
        {
            foreach (var (make, _, _) in ErrorCases.Constructors.Values)
                make.Should().Throw<Exception>();
        }).Should().Be(0);

    [Theory]
    [MemberData(nameof(Names))]
    public void Training_ManySteps_LeavesNothing(string name)
    {
        using var layer = Layers.All[name].New();
        using var x = Layers.All[name].Input().requires_grad_();
        using var trained = nn.Parameter(ones(1));
        using var optimizer = optim.SGD(layer.parameters().Append(trained), 0.01);
        Step();
        Alone.TensorsLeft(() => Enumerable.Range(0, 10).ToList().ForEach(_ => Step())).Should().Be(0);

        void Step()
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var y = layer.forward(x) * trained;
            if (layer is RINorm rin)
                y = y + rin.transform(x) + rin.inverse(y.unsqueeze(-1)).squeeze(-1);
            y.square().sum().backward();
            optimizer.step();
        }
    }
}
