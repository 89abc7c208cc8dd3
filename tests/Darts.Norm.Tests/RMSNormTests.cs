namespace Darts.Norm.Tests;

/// <summary>What is particular to RMSNorm.</summary>
public sealed class RMSNormTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Gradient_WhereTheRootMeanSquareIsEps_IsThatOfTheNorm(ScalarType dtype)
    {
        foreach (var (value, expected) in new[] { (0.5, 0), (0.25, 2) }) // a norm of one feature is constant; below eps it is x / eps
        {
            var x = full(1, value, dtype).requires_grad_();
            new RMSNorm(1, eps: 0.5, dtype: dtype).forward(x).backward([ones(1, dtype)]);
            x.grad!.Doubles().Should().Equal(expected);
        }
    }

    [Fact]
    public void Members_New_AreTheArgumentsAndTheirConsequences()
    {
        var norm = new RMSNorm(dim: 16);
        (norm.eps, norm.scale).Should().Be((1e-8, 0.25));
        norm.g.shape.Should().Equal(16);
        new RMSNorm(4, eps: 1e-3).eps.Should().Be(1e-3);
        new RMSNorm(3).scale.Should().Be(Math.Pow(3, -0.5));
    }

    [Fact]
    public void Forward_Row_IsDividedByItsRootMeanSquareAndScaled()
    {
        var norm = new RMSNorm(2, dtype: ScalarType.Float64);
        using (no_grad())
            norm.g.copy_(Layers.Of(1, 10));
        // rms(7, 1) = 5 and rms(-1, 7) = 5
        norm.forward(Layers.Of(7, 1, -1, 7).reshape(2, 2)).Doubles().Should().Equal([1.4, 2, -0.2, 14], (a, b) => Math.Abs(a - b) <= 4 * Math.Pow(2, -52) * Math.Abs(b));
    }

    [Theory]
    [InlineData(2, 2)] // rms 2 is above eps 0.5 and divides alone: adding eps under the root would give 1.94
    [InlineData(0.5, 0.5)]
    [InlineData(0.25, 0.5)] // rms 0.25 is below and eps divides
    [InlineData(0, 0.5)]
    public void Forward_Eps_ClampsTheRootMeanSquare(double value, double divisor)
    {
        var norm = new RMSNorm(4, eps: 0.5, dtype: ScalarType.Float64);
        norm.forward(full([1, 4], value, ScalarType.Float64)).Doubles().Should().AllSatisfy(y => y.Should().Be(value / divisor));
    }

    [Fact]
    public void Eps_Assigned_CountsFromTheNextForward()
    {
        var norm = new RMSNorm(4, dtype: ScalarType.Float64);
        norm.eps = 8;
        norm.forward(full([1, 4], 2.0, ScalarType.Float64)).Doubles().Should().AllSatisfy(y => y.Should().Be(0.25));
    }

    [Fact]
    public void Forward_EpsZero_IsAllowedAndARowOfZerosIsNaN()
    {
        var norm = new RMSNorm(4, eps: 0);
        norm.forward(zeros(1, 4)).Doubles().Should().AllSatisfy(y => y.Should().Be(double.NaN));
        norm.forward(ones(1, 4)).Doubles().Should().AllSatisfy(y => y.Should().Be(1));
    }

    public static TheoryData<ScalarType, ScalarType> DtypePairs => Combinations.Of(Layers.Dtypes, Layers.Dtypes);

    [Theory]
    [MemberData(nameof(DtypePairs))]
    public void Forward_MixedDtypes_PromoteAndRoundOnce(ScalarType input, ScalarType parameters)
    {
        var norm = (RMSNorm)Layers.All["RMSNorm"].New(parameters);
        var wide = new RMSNorm(4, dtype: ScalarType.Float64);
        wide.load_state_dict(norm.state_dict());
        var x = Layers.Values([3, 4], input).requires_grad_();
        var y = norm.forward(x);
        y.dtype.Should().Be(promote_types(input, parameters));
        Layers.SameBits(y, wide.forward(x.detach().to(ScalarType.Float64)).to(y.dtype)).Should().BeTrue();
        y.backward([ones_like(y)]);
        (x.grad!.dtype, norm.g.grad!.dtype).Should().Be((input, parameters));
        using var noGrad = no_grad();
        Layers.SameBits(norm.forward(x), y).Should().BeTrue();
    }

    [Theory]
    [InlineData(ScalarType.Float16, 5.9604644775390625e-08)]
    [InlineData(ScalarType.BFloat16, 9.1835496157991212e-41)]
    [InlineData(ScalarType.Float32, 1.4012984643248171e-45)]
    public void Forward_LeastSubnormals_AreDividedByEps(ScalarType dtype, double least)
    {
        var norm = new RMSNorm(4, dtype: dtype);
        var expected = Math.Max(least, 1e-8) == least ? 1 : least / 1e-8;
        var y = norm.forward(full([2, 4], least, ScalarType.Float64).to(dtype));
        Layers.SameBits(y, full([2, 4], expected, ScalarType.Float64).to(dtype)).Should().BeTrue();
    }

    [Theory]
    [InlineData(ScalarType.Float16, 65504)]
    [InlineData(ScalarType.BFloat16, 3e38)]
    [InlineData(ScalarType.Float32, 3e38)]
    public void ForwardAndBackward_LargestRows_AreOnes(ScalarType dtype, double largest)
    {
        var norm = new RMSNorm(4, dtype: dtype);
        var x = full([2, 4], largest, ScalarType.Float64).to(dtype).requires_grad_();
        var y = norm.forward(x);
        y.Doubles().Should().AllSatisfy(value => value.Should().Be(1));
        y.backward([ones_like(y)]);
        norm.g.grad!.Doubles().Should().AllSatisfy(value => value.Should().Be(2));
        x.grad!.Doubles().Should().AllSatisfy(value => value.Should().Be(0));
    }

    [Fact]
    public void G_Assigned_IsWhatForwardUsesAndTheOldOneStaysTheCallers()
    {
        var norm = new RMSNorm(4);
        var (old, assigned) = (norm.g, nn.Parameter(full(4, 3f)));
        norm.g = assigned;
        norm.forward(ones(1, 4)).Doubles().Should().AllSatisfy(value => value.Should().Be(3));
        old.IsInvalid.Should().BeFalse();
        norm.parameters().Should().Equal([assigned], ReferenceEquals);
    }
}
