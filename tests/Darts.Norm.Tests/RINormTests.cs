namespace Darts.Norm.Tests;

/// <summary>What is particular to RINorm: statistics that are kept, transform, inverse.</summary>
public sealed class RINormTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<ScalarType> Dtypes => [.. Layers.Dtypes];

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Members_New_AreTheArguments()
    {
        var rin = new RINorm(input_dim: 3);
        (rin.input_dim, rin.eps, rin.affine).Should().Be((3, 1e-5, true));
        (rin.affine_weight!.shape, rin.affine_bias!.shape).Should().BeEquivalentTo((new long[] { 3 }, new long[] { 3 }));
        (rin.mean is null && rin.stdev is null).Should().BeTrue();
        var plain = new RINorm(3, 1e-3, affine: false);
        (plain.eps, plain.affine, plain.affine_weight is null, plain.affine_bias is null).Should().Be((1e-3, false, true, true));
    }

    [Fact]
    public void Forward_Series_LosesItsMeanAndBiasedDeviation()
    {
        // Component 0: mean 2, biased variance 4, and with eps 5 a stdev of 3; component 1: mean 10, variance 0, stdev √5.
        var rin = new RINorm(2, eps: 5, dtype: ScalarType.Float64);
        using (no_grad())
        {
            rin.affine_weight!.copy_(Layers.Of(6, 1));
            rin.affine_bias!.copy_(Layers.Of(1, -1));
        }
        var y = rin.forward(Layers.Of(0, 10, 4, 10).reshape(1, 2, 2));
        rin.mean!.Doubles().Should().Equal(2, 10);
        rin.stdev!.Doubles().Should().Equal(3, Math.Sqrt(5));
        rin.mean!.shape.Should().Equal(1, 1, 2);
        y.Doubles().Should().Equal([-3, -1, 5, -1], (a, b) => Math.Abs(a - b) <= 8 * Math.Pow(2, -52) * 6);
        // (z - bias) / (weight + eps²) · stdev + mean, with eps² = 25
        rin.inverse(Layers.Of(32, 25).reshape(1, 1, 2, 1)).Doubles()
            .Should().Equal([(31.0 / 31 * 3) + 2, (26.0 / 26 * Math.Sqrt(5)) + 10], (a, b) => Math.Abs(a - b) <= 16 * Math.Pow(2, -52) * 13);
    }

    [Fact]
    public void Forward_MoreAxes_PoolsAllButTheFirstAndTheLast()
    {
        var rin = new RINorm(4, affine: false, dtype: ScalarType.Float64);
        var x = Layers.Values([2, 3, 5, 2, 4], ScalarType.Float64);
        rin.forward(x);
        rin.mean!.shape.Should().Equal(2, 1, 1, 1, 4);
        rin.stdev!.shape.Should().Equal(2, 1, 1, 1, 4);
        var pooled = new RINorm(4, affine: false, dtype: ScalarType.Float64);
        pooled.forward(x.reshape(2, 30, 4));
        Layers.SameBits(rin.mean!.reshape(2, 1, 4), pooled.mean!).Should().BeTrue();
        Layers.SameBits(rin.stdev!.reshape(2, 1, 4), pooled.stdev!).Should().BeTrue();
        rin.inverse(Layers.Values([2, 7, 5, 2, 4, 3], ScalarType.Float64)).shape.Should().Equal(2, 7, 5, 2, 4, 3);
        rin.transform(Layers.Values([2, 7, 1, 9, 4], ScalarType.Float64)).shape.Should().Equal(2, 7, 1, 9, 4);
    }

    [Theory]
    [MemberData(nameof(Dtypes))]
    public void Transform_OfForwardsInput_HasForwardsBits(ScalarType dtype)
    {
        foreach (var name in new[] { "RINorm", "RINorm not affine", "RINorm of one component" })
        {
            foreach (var parameters in Layers.Dtypes)
            {
                var rin = (RINorm)Layers.All[name].New(parameters);
                foreach (var shape in Layers.All[name].Shapes.Append([3, 37, Layers.All[name].Shapes[0][^1]]))
                {
                    var x = Layers.Values(shape, dtype, start: 3);
                    var y = rin.forward(x);
                    Layers.SameBits(rin.transform(x), y).Should().BeTrue();
                    y.dtype.Should().Be(rin.affine ? promote_types(dtype, parameters) : dtype);
                    (rin.mean!.dtype, rin.stdev!.dtype).Should().Be((dtype, dtype));
                }
            }
        }
    }

    [Fact]
    public void Inverse_AnyTimeAndParameters_PutsEachSeriesBack()
    {
        var rin = (RINorm)Layers.All["RINorm"].New(ScalarType.Float64);
        var x = Layers.Values([2, 5, 4], ScalarType.Float64) * 100;
        var back = rin.inverse(rin.forward(x).unsqueeze(-1)).squeeze(-1);
        // The formula divides by weight + eps² and not by weight: 1e-10 of a deviation of some 100.
        (back - x).abs().Doubles().Should().AllSatisfy(value => value.Should().BeLessThan(1e-7));
        foreach (var (time, parameters) in new (long, long)[] { (1, 1), (5, 3), (24, 1), (0, 2), (3, 0) })
            rin.inverse(Layers.Values([2, time, 4, parameters], ScalarType.Float64)).shape.Should().Equal(2, time, 4, parameters);
        var z = Layers.Values([2, 3, 4, 2], ScalarType.Float64);
        Layers.SameBits(rin.inverse(z)[.., .., .., 1..2], rin.inverse(z[.., .., .., 1..2])).Should().BeTrue("each parameter is put back by itself");
    }

    [Fact]
    public void Statistics_KeptInDouble_AreNotRoundedToTheInputsDtype()
    {
        // In float16 the mean 2048.5 of these is 2048: statistics kept in float16 would put the series back 0.5 off.
        var rin = new RINorm(1, affine: false, dtype: ScalarType.Float64);
        rin.forward(Layers.Of(2048, 2048, 2048, 2050).to(ScalarType.Float16).reshape(1, 4, 1));
        rin.mean!.Doubles().Should().Equal(2048);
        rin.inverse(zeros(1, 1, 1, 1, dtype: ScalarType.Float64)).Doubles().Should().Equal(2048.5);
    }

    [Fact]
    public void Statistics_AreDetachedAndInNoList()
    {
        var rin = new RINorm(4);
        var x = Layers.Values([2, 5, 4]).requires_grad_();
        rin.forward(x);
        (rin.mean!.requires_grad, rin.stdev!.requires_grad).Should().Be((false, false));
        rin.state_dict().Keys.Should().Equal("affine_weight", "affine_bias");
        rin.named_buffers().Should().BeEmpty();
        rin.named_parameters().Should().HaveCount(2);
    }

    [Fact]
    public void Gradient_OfForward_IsWeightOverDeviation()
    {
        var rin = (RINorm)Layers.All["RINorm"].New(ScalarType.Float64);
        var x = Layers.Values([2, 5, 4], ScalarType.Float64).requires_grad_();
        rin.forward(x).sum().backward();
        var expected = (rin.affine_weight! / rin.stdev!).expand(2, 5, 4);
        (x.grad! - expected).abs().Doubles().Should().AllSatisfy(value => value.Should().BeLessThan(32 * Math.Pow(2, -52)));
    }

    [Fact]
    public void MeanAndStdev_ReadAgain_AreTheSameTensorsUntilTheNextForward()
    {
        var rin = new RINorm(4);
        rin.forward(Layers.Values([2, 5, 4]));
        var (mean, stdev) = (rin.mean!, rin.stdev!);
        rin.mean.Should().BeSameAs(mean);
        rin.transform(Layers.Values([2, 5, 4]));
        rin.inverse(Layers.Values([2, 5, 4, 1]));
        (mean.IsInvalid, stdev.IsInvalid).Should().Be((false, false));
        rin.forward(Layers.Values([3, 5, 4], start: 9));
        (mean.IsInvalid, stdev.IsInvalid).Should().Be((true, true));
        rin.mean!.shape.Should().Equal(3, 1, 4);
        var last = rin.mean;
        rin.Dispose();
        last.IsInvalid.Should().BeTrue("the layer owns them");
    }

    [Fact]
    public void Mean_DisposedByTheCaller_IsShownAnew()
    {
        var rin = new RINorm(4);
        rin.forward(Layers.Values([2, 5, 4]));
        var before = rin.mean!.Doubles();
        rin.mean!.Dispose();
        rin.mean!.Doubles().Should().Equal(before);
        rin.mean!.Dispose();
        rin.to(ScalarType.Float64);
        rin.mean!.to(ScalarType.Float32).Doubles().Should().Equal(before);
    }

    [Fact]
    public void Mean_ChangedByTheCaller_ChangesNothingElse()
    {
        var rin = new RINorm(4);
        var x = Layers.Values([2, 5, 4]);
        var y = rin.forward(x);
        rin.mean!.zero_();
        Layers.SameBits(rin.transform(x), y).Should().BeTrue();
    }

    [Fact]
    public void Backward_AfterTheNextForward_UsesTheStatisticsOfItsOwn()
    {
        var rin = (RINorm)Layers.All["RINorm"].New(ScalarType.Float64);
        var (x, other) = (Layers.Values([2, 5, 4], ScalarType.Float64).requires_grad_(), Layers.Values([2, 5, 4], ScalarType.Float64, start: 40) * 50);
        rin.forward(x).sum().backward();
        var alone = x.grad!.clone();
        x.grad = null;
        var first = rin.forward(x);
        rin.forward(other);
        first.sum().backward();
        Layers.SameBits(x.grad!, alone).Should().BeTrue();
    }

    [Fact]
    public void Forward_Empty_KeepsWhatPyTorchKeeps()
    {
        var rin = new RINorm(4);
        rin.forward(zeros(0, 5, 4));
        rin.mean!.shape.Should().Equal(0, 1, 4);
        rin.inverse(zeros(0, 3, 4, 2)).shape.Should().Equal(0, 3, 4, 2);
        rin.forward(zeros(2, 0, 4));
        rin.mean!.Doubles().Should().AllSatisfy(value => value.Should().Be(double.NaN, "the mean of nothing is not a number"));
    }

    [Fact]
    public void Eps_Assigned_CountsFromTheNextForward()
    {
        var rin = new RINorm(1, affine: false, dtype: ScalarType.Float64);
        rin.eps = 9;
        rin.forward(ones(1, 3, 1, dtype: ScalarType.Float64));
        rin.stdev!.Doubles().Should().Equal(3);
    }
}
