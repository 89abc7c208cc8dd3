namespace Darts.Norm.Tests;

/// <summary>What all four layers promise alike.</summary>
public sealed class ContractTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => Layers.Names;

    public static TheoryData<string> NamesWithParameters => Layers.NamesWithParameters;

    public static TheoryData<string, ScalarType> NamesAndDtypes => Layers.NamesAndDtypes;

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void StateDict_New_HasTheKeysAndShapesInOrder(string name, ScalarType dtype)
    {
        var layer = Layers.All[name].Make(null, dtype);
        layer.state_dict().Select(entry => (entry.Key, entry.Value.shape)).Should().BeEquivalentTo(Layers.All[name].State, options => options.WithStrictOrdering());
        layer.state_dict().Values.All(value => value.dtype == dtype && value.requires_grad).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Constructor_NoDtype_TakesTorchsDefaults(string name)
    {
        var layer = Layers.All[name].Make(null, null);
        layer.parameters().All(parameter => parameter.dtype == get_default_dtype() && parameter.device_type == DeviceType.CPU).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Parameters_New_AreOnesAndForShiftsZeros(string name)
    {
        foreach (var (key, parameter) in Layers.All[name].Make(null, null).named_parameters())
            parameter.Doubles().All(value => value == (key.Contains("bias", StringComparison.Ordinal) ? 0 : 1)).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Text_IsPyTorchs(string name) => Layers.All[name].Make(null, null).ToString().Should().Be(Layers.All[name].Text);

    [Theory]
    [MemberData(nameof(Names))]
    public void Members_OfALeafModule_ListParametersAndNothingElse(string name)
    {
        var layer = Layers.All[name].New();
        layer.forward(Layers.All[name].Input());
        layer.named_parameters().Select(entry => entry.name).Should().Equal(Layers.All[name].Keys);
        layer.parameters().Should().HaveCount(Layers.All[name].State.Length);
        layer.named_buffers().Should().BeEmpty();
        layer.named_children().Should().BeEmpty();
        layer.state_dict().Keys.Should().Equal(Layers.All[name].Keys);
        foreach (var key in Layers.All[name].Keys)
            layer.get_parameter(key).Should().BeSameAs(layer.state_dict()[key]);
        layer.GetName().Should().Be(layer.GetType().Name);
    }

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void Forward_EveryShape_KeepsShapeAndDtype(string name, ScalarType dtype)
    {
        var layer = Layers.All[name].New(dtype);
        foreach (var shape in Layers.All[name].Shapes)
        {
            var y = layer.forward(Layers.Values(shape, dtype));
            y.shape.Should().Equal(shape);
            y.dtype.Should().Be(dtype);
            y.isfinite().all().item<bool>().Should().BeTrue();
        }
    }

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void ForwardAndBackward_StridedOrExpandedInput_GiveTheBitsOfAContiguousOne(string name, ScalarType dtype)
    {
        foreach (var shape in Layers.All[name].Shapes.Where(shape => shape.Length > 1))
        {
            var doubled = shape.Select(size => size * 2).ToArray();
            var stepped = Enumerable.Range(0, shape.Length).Aggregate(Layers.Values(doubled, dtype), (x, axis) => x.slice(axis, 0, doubled[axis], 2));
            var flipped = Layers.Values([.. shape.Reverse()], dtype).permute([.. Enumerable.Range(0, shape.Length).Reverse().Select(axis => (long)axis)]);
            var offset = Layers.Values([shape[0] + 1, .. shape[1..]], dtype)[1..];
            var expanded = Layers.Values([1, .. shape[1..]], dtype).expand(shape);
            var alongLast = Layers.Values([.. shape[..^1], 1], dtype).expand(shape);
            foreach (var x in new[] { stepped, flipped, offset, expanded, alongLast })
                SameAsContiguous(Layers.All[name], x);
        }
    }

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void ForwardAndBackward_TensorsWhoseMemoryHasTheOtherSign_GiveTheBitsOfTheirCopies(string name, ScalarType dtype)
    {
        foreach (var shape in Layers.All[name].Shapes)
        {
            var (plain, negated) = (Layers.All[name].New(dtype), Layers.All[name].New(dtype));
            foreach (var (key, value) in plain.named_parameters())
                negated.pytorch().register_parameter(key, nn.Parameter(Layers.Negated(value.detach())));
            var expected = Results(plain, Layers.Values(shape, dtype), Layers.Values(shape, dtype, start: 1));
            var actual = Results(negated, Layers.Negated(Layers.Values(shape, dtype)), Layers.Negated(Layers.Values(shape, dtype, start: 1)));
            actual.Zip(expected).Should().AllSatisfy(pair => Layers.SameBits(pair.First, pair.Second).Should().BeTrue());
        }

        static List<Tensor> Results(NormModule layer, Tensor x, Tensor gradient)
        {
            List<Tensor> results = [layer.forward(x.requires_grad_())];
            results[0].backward([gradient]);
            results.AddRange([x.grad!, .. layer.parameters().Select(parameter => parameter.grad!)]);
            using var noGrad = no_grad();
            results.Add(layer.forward(x));
            if (layer is RINorm rin)
                results.AddRange([rin.transform(x), rin.inverse(x.unsqueeze(-1))]);
            return results;
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_Input_IsNotChanged(string name)
    {
        var x = Layers.All[name].Input();
        var before = x.clone();
        Layers.All[name].New().forward(x);
        Layers.SameBits(x, before).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void Forward_ManyWays_GivesTheSameBits(string name, ScalarType dtype)
    {
        var layer = Layers.All[name].New(dtype);
        var x = Layers.All[name].Input(dtype);
        var y = layer.forward(x);
        Layers.SameBits(layer.forward(x), y).Should().BeTrue("a layer is deterministic");
        Layers.SameBits(layer.call(x), y).Should().BeTrue("call runs forward");
        Layers.SameBits(layer.forward(x.clone().requires_grad_()), y).Should().BeTrue("a graph changes no number");
        layer.eval();
        layer.training.Should().BeFalse();
        Layers.SameBits(layer.forward(x), y).Should().BeTrue("evaluation mode changes nothing");
        layer.train();
        layer.training.Should().BeTrue();
        using var noGrad = no_grad();
        Layers.SameBits(layer.forward(x), y).Should().BeTrue("no_grad changes no number");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_Output_RequiresGradWhenSomethingDoes(string name)
    {
        var layer = Layers.All[name].New();
        var x = Layers.All[name].Input();
        layer.forward(x).requires_grad.Should().Be(Layers.All[name].State.Length > 0);
        layer.forward(x.clone().requires_grad_()).requires_grad.Should().BeTrue();
        foreach (var parameter in layer.parameters())
            parameter.requires_grad = false;
        layer.forward(x).requires_grad.Should().BeFalse("everything is frozen");
        using var noGrad = no_grad();
        layer.forward(x.clone().requires_grad_()).requires_grad.Should().BeFalse();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_FrozenParameters_GetNoGradient(string name)
    {
        var layer = Layers.All[name].New();
        foreach (var parameter in layer.parameters())
            parameter.requires_grad = false;
        var x = Layers.All[name].Input().requires_grad_();
        layer.forward(x).square().sum().backward();
        x.grad.Should().NotBeNull();
        layer.parameters().All(parameter => ReferenceEquals(parameter.grad, null)).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_OneFrozenParameter_LeavesTheOthersGradients(string name)
    {
        var frozen = Layers.All[name].New();
        var free = Layers.All[name].New();
        var x = Layers.All[name].Input();
        foreach (var key in Layers.All[name].Keys)
        {
            frozen.get_parameter(key).requires_grad = false;
            foreach (var layer in new[] { frozen, free })
            {
                layer.zero_grad();
                layer.forward(x.clone().requires_grad_()).square().sum().backward();
            }
            foreach (var (other, parameter) in frozen.named_parameters())
            {
                if (other == key)
                    parameter.grad.Should().BeNull();
                else
                    Layers.SameBits(parameter.grad!, free.get_parameter(other).grad!).Should().BeTrue();
            }
            frozen.get_parameter(key).requires_grad = true;
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_InputThatIsNoLeaf_ReachesTheLeaf(string name)
    {
        var leaf = Layers.All[name].Input().requires_grad_();
        var direct = Layers.All[name].Input().requires_grad_();
        Layers.All[name].New().forward(leaf * 1).square().sum().backward();
        Layers.All[name].New().forward(direct).square().sum().backward();
        Layers.SameBits(leaf.grad!, direct.grad!).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_Twice_AddsUp(string name)
    {
        var layer = Layers.All[name].New();
        var x = Layers.All[name].Input().requires_grad_();
        layer.forward(x).square().sum().backward();
        var once = layer.parameters().Append(x).Select(leaf => leaf.grad!.clone()).ToList();
        layer.forward(x).square().sum().backward();
        foreach (var (leaf, first) in layer.parameters().Append(x).Zip(once))
            Layers.SameBits(leaf.grad!, first * 2).Should().BeTrue();
        layer.zero_grad();
        layer.parameters().All(parameter => ReferenceEquals(parameter.grad, null)).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_EmptyInput_GivesZeroParameterGradients(string name)
    {
        foreach (var shape in Layers.All[name].Shapes.Where(shape => shape.Contains(0)))
        {
            var layer = Layers.All[name].New();
            var x = zeros(shape).requires_grad_();
            layer.forward(x).sum().backward();
            x.grad!.shape.Should().Equal(shape);
            layer.parameters().All(parameter => parameter.grad!.Doubles().All(value => value == 0)).Should().BeTrue();
        }
    }

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void Forward_OnTheMetaDevice_GivesShapeAndDtypeAndAGraph(string name, ScalarType dtype)
    {
        var layer = Layers.All[name].Make(META, dtype);
        layer.parameters().All(parameter => parameter.device_type == DeviceType.META).Should().BeTrue();
        foreach (var shape in Layers.All[name].Shapes)
        {
            var x = empty(shape, dtype, META).requires_grad_();
            var y = layer.forward(x);
            (y.device_type, y.dtype).Should().Be((DeviceType.META, dtype));
            y.shape.Should().Equal(shape);
            y.backward([empty(shape, dtype, META)]);
            x.grad!.shape.Should().Equal(shape);
            layer.parameters().All(parameter => parameter.grad!.device_type == DeviceType.META).Should().BeTrue();
        }
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void OptimizerStep_GradientDescent_TakesTheGradientAway(string name)
    {
        var layer = Layers.All[name].New(ScalarType.Float64);
        var optimizer = optim.SGD(layer.parameters(), learningRate: 0.5);
        var before = layer.parameters().Select(parameter => parameter.detach().clone()).ToList();
        layer.forward(Layers.All[name].Input(ScalarType.Float64)).square().sum().backward();
        optimizer.step();
        foreach (var (parameter, old) in layer.parameters().Zip(before))
            Layers.SameBits(parameter, old - (parameter.grad! * 0.5)).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(NamesAndDtypes))]
    public void SaveAndLoad_AnotherLayer_HasTheSameBits(string name, ScalarType dtype)
    {
        var saved = Layers.All[name].New(dtype);
        var loaded = Layers.All[name].Make(null, dtype);
        using var stream = new MemoryStream();
        saved.forward(Layers.All[name].Input(dtype));
        saved.save(new BinaryWriter(stream));
        stream.Position = 0;
        loaded.load(stream).Should().BeSameAs(loaded);
        foreach (var (key, value) in saved.state_dict())
            Layers.SameBits(loaded.state_dict()[key], value).Should().BeTrue();
        (loaded as RINorm)?.mean.Should().BeNull("the statistics are no state");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void SaveAndLoad_ByFileName_HasTheSameBits(string name)
    {
        var file = Path.GetTempFileName();
        try
        {
            var saved = Layers.All[name].New();
            saved.save(file);
            var loaded = Layers.All[name].Make(null, null);
            loaded.load(file);
            loaded.state_dict().Values.Zip(saved.state_dict().Values).All(pair => Layers.SameBits(pair.First, pair.Second)).Should().BeTrue();
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Dispose_Twice_FreesTheParametersOnce(string name)
    {
        var layer = Layers.All[name].New();
        var parameters = layer.parameters().ToList();
        layer.Dispose();
        parameters.All(parameter => parameter.IsInvalid).Should().BeTrue();
        layer.Invoking(l => l.Dispose()).Should().NotThrow();
        layer.ToString().Should().StartWith(layer.GetType().Name);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Apply_OfALeafModule_VisitsItOnce(string name)
    {
        var layer = Layers.All[name].New();
        var visited = new List<nn.Module>();
        layer.apply(visited.Add).Should().BeSameAs(layer);
        visited.Should().Equal(layer);
    }

    private static void SameAsContiguous(LayerCase layerCase, Tensor x)
    {
        var dtype = x.dtype;
        var (strided, contiguous) = (layerCase.New(dtype), layerCase.New(dtype));
        var (a, b) = (x.detach().requires_grad_(), x.detach().contiguous().clone().requires_grad_());
        var (y, z) = (strided.forward(a), contiguous.forward(b));
        Layers.SameBits(y, z).Should().BeTrue($"the strides {string.Join(", ", x.stride())} are no part of the value");
        var gradOut = Layers.Values([.. x.shape.Reverse()], dtype, start: 100).permute([.. Enumerable.Range(0, (int)x.dim()).Reverse().Select(axis => (long)axis)]);
        y.backward([gradOut]);
        z.backward([gradOut.contiguous()]);
        Layers.SameBits(a.grad!, b.grad!).Should().BeTrue();
        foreach (var (p, q) in strided.parameters().Zip(contiguous.parameters()))
            Layers.SameBits(p.grad!, q.grad!).Should().BeTrue();
    }
}
