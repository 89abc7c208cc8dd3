namespace Darts.Norm.Tests;

/// <summary>What is particular to LayerNorm.</summary>
public sealed class LayerNormTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Constructor_SizeOrSizes_MakeTheSameLayer()
    {
        LayerNorm[] norms = [new LayerNorm(4), new LayerNorm([4]), new LayerNorm(input_size: 4, bias: true, elementwise_affine: true, eps: 1e-5)];
        norms.Select(norm => norm.ToString()).Distinct().Should().HaveCount(1);
        (new LayerNorm(4, elementwise_affine: false, bias: true).bias is null).Should().BeTrue("there is no shift without a scale");
    }

    [Fact]
    public void NormalizedShape_ChangedByTheCaller_StaysTheLayers()
    {
        long[] sizes = [2, 4];
        var norm = new LayerNorm(sizes);
        sizes[0] = 9;
        norm.normalized_shape[1] = 9;
        norm.normalized_shape.Should().Equal(2, 4);
        norm.forward(ones(3, 2, 4)).shape.Should().Equal(3, 2, 4);
    }

    [Theory]
    [InlineData("LayerNorm")]
    [InlineData("LayerNorm of two axes")]
    [InlineData("LayerNorm without bias")]
    [InlineData("LayerNorm not affine")]
    [InlineData("LayerNormNoBias of two axes")]
    public void Forward_InDouble_AgreesWithLibtorch(string name)
    {
        var norm = (LayerNorm)Layers.All[name].New(ScalarType.Float64);
        foreach (var x in Layers.All[name].Shapes.Select(shape => Layers.Values(shape, ScalarType.Float64)))
        {
            // The terms are at most about 10, and so is the rounding of each in units of 2⁻⁵².
            var difference = (norm.forward(x) - nn.functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)).abs();
            difference.Doubles().All(value => value < 100 * Math.Pow(2, -52)).Should().BeTrue();
        }
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void Forward_HalfInputFloat32Parameters_AnswersInTheInputsDtypeRoundedOnce(ScalarType dtype)
    {
        foreach (var name in new[] { "LayerNorm", "LayerNorm of two axes", "LayerNorm without bias" })
        {
            var norm = (LayerNorm)Layers.All[name].New(ScalarType.Float32);
            var wide = (LayerNorm)Layers.All[name].New(ScalarType.Float64);
            wide.load_state_dict(norm.state_dict());
            var x = Layers.All[name].Input(dtype).requires_grad_();
            var y = norm.forward(x);
            Layers.SameBits(y, wide.forward(x.detach().to(ScalarType.Float64)).to(dtype)).Should().BeTrue();
            y.backward([ones_like(y)]);
            x.grad!.dtype.Should().Be(dtype);
            norm.parameters().All(parameter => parameter.grad!.dtype == ScalarType.Float32).Should().BeTrue();
        }
    }

    [Fact]
    public void ResetParameters_AfterTraining_GivesOnesAndZerosInThePlaceOfTheOldValues()
    {
        var norm = (LayerNorm)Layers.All["LayerNorm"].New();
        var (weight, bias) = (norm.weight!, norm.bias!);
        weight.requires_grad = false;
        norm.reset_parameters();
        (norm.weight, norm.bias).Should().Be((weight, bias));
        weight.Doubles().Should().AllSatisfy(value => value.Should().Be(1));
        bias.Doubles().Should().AllSatisfy(value => value.Should().Be(0));
        (weight.requires_grad, bias.requires_grad).Should().Be((false, true));
    }

    /// <summary>As <c>torch.nn.LayerNorm</c>, which asks for elementwise_affine before it sets any.</summary>
    [Fact]
    public void ResetParameters_OfALayerMadeWithout_LeavesWhatItWasGiven()
    {
        using var norm = new LayerNorm(4, elementwise_affine: false) { weight = nn.Parameter(full(4, 3f)) };

        norm.reset_parameters();

        norm.weight!.Doubles().Should().AllSatisfy(value => value.Should().Be(3));
    }

    [Fact]
    public void ResetParameters_OfALayerOfInferenceMode_SaysSo()
    {
        LayerNorm norm;
        using (inference_mode())
            norm = new LayerNorm(4);
        norm.Invoking(n => n.reset_parameters()).Should().Throw<InvalidOperationException>().WithMessage("*outside of inference mode*");
    }

    [Theory]
    [InlineData("weight")]
    [InlineData("bias")]
    public void ResetParameters_OneDisposed_SaysSoAndSetsNothing(string key)
    {
        var norm = (LayerNorm)Layers.All["LayerNorm"].New();
        norm.get_parameter(key).Dispose();
        var other = key == "weight" ? norm.bias! : norm.weight!;
        var before = other.Doubles();
        norm.Invoking(n => n.reset_parameters()).Should().Throw<ObjectDisposedException>().WithMessage($"LayerNorm computes with its own parameters*was disposed*layer.{key} = *");
        other.Doubles().Should().Equal(before);
    }

    [Fact]
    public void Parameters_AssignedToALayerWithout_AreRegisteredTrainedAndPrinted()
    {
        foreach (var norm in new[] { new LayerNorm(4, bias: false), new LayerNorm(4, elementwise_affine: false), new LayerNormNoBias(4) })
        {
            norm.bias = nn.Parameter(full(4, 5f));
            norm.ToString().Should().EndWith("bias=True)");
            norm.state_dict().Keys.Should().EndWith("bias");
            norm.parameters().Should().Contain(norm.bias);
            var y = norm.forward(ones(1, 4));
            y.Doubles().Should().AllSatisfy(value => value.Should().Be(5));
            y.sum().backward();
            norm.bias.grad!.Doubles().Should().AllSatisfy(value => value.Should().Be(1));
        }
    }

    [Fact]
    public void Parameters_AssignedNullOrAnew_AreAbsentOrThere()
    {
        var norm = new LayerNorm(4);
        norm.bias = null;
        norm.ToString().Should().EndWith("bias=False)");
        norm.state_dict().Keys.Should().Equal("weight");
        norm.weight = null;
        norm.state_dict().Should().BeEmpty();
        norm.forward(Layers.Values([3, 4])).requires_grad.Should().BeFalse();
        norm.bias = nn.Parameter(full(4, 5f));
        norm.forward(ones(1, 4)).Doubles().Should().AllSatisfy(value => value.Should().Be(5));
        norm.weight = nn.Parameter(full(4, 2f));
        norm.forward(ones(1, 4)).Doubles().Should().AllSatisfy(value => value.Should().Be(5));
    }

    [Fact]
    public void Forward_ConstantRow_IsTheShift()
    {
        var norm = (LayerNorm)Layers.All["LayerNorm"].New();
        Layers.SameBits(norm.forward(full([1, 4], 7f))[0], norm.bias!).Should().BeTrue();
    }
}
