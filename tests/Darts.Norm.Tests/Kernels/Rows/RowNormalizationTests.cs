using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>What is particular to rows in float64, and how many are taken and kept.</summary>
public sealed class RowNormalizationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(ScalarType.Float16, 9, 6)]
    [InlineData(ScalarType.BFloat16, 9, 6)]
    [InlineData(ScalarType.Float32, 9, 6)] // a mean is two numbers
    [InlineData(ScalarType.Float64, 21, 21)]
    public void Keeps_OfThreeRows_IsNoMoreThanBackwardNeeds(ScalarType dtype, long layerNorm, long rmsNorm)
    {
        new LayerNormOperation([5], 1e-5).Keeps(ones(3, 5, dtype)).Should().Be(layerNorm);
        new RMSNormOperation(5, 1e-8).Keeps(ones(3, 5, dtype)).Should().Be(rmsNorm);
    }

    [Theory]
    [InlineData(256, 8)]
    [InlineData(257, 4)]
    [InlineData(1024, 4)]
    [InlineData(1025, 1)]
    public void Together_OfALength_AreTheRowsThatTheNearestCacheHolds(long length, int expected) =>
        RowNormalization<LayerNormFormula>.Together(length).Should().Be(expected);

    [Theory]
    [InlineData(0.1)]
    [InlineData(1)] // written in float64
    public void Layers_OfALargeResult_AreTheSameBitsAsOfItsParts(double bias)
    {
        var (x, go) = (randn(4200, 512), randn(4200, 512));
        x[4000] *= 1e-30f; // left to float64
        using var norm = new LayerNorm(512);
        using var rms = new RMSNorm(512);
        using (no_grad())
        {
            norm.weight!.copy_(linspace(1, 2, 512));
            norm.bias!.copy_(linspace(bias / 2, bias, 512));
            rms.g.copy_(norm.weight!);
        }
        foreach (var layer in (NormModule[])[norm, rms])
        {
            var (result, gradient) = Of(layer, 0, 4200);
            foreach (var (first, end) in ((int, int)[])[(0, 2100), (2100, 3500), (3500, 4200)]) // the first is too large for the nearer caches
            {
                var (part, partGradient) = Of(layer, first, end);
                Layers.SameBits(result[first..end], part).Should().BeTrue();
                Layers.SameBits(gradient[first..end], partGradient).Should().BeTrue();
            }
        }

        (Tensor, Tensor) Of(NormModule layer, int first, int end)
        {
            var rows = x[first..end].clone().requires_grad_();
            var y = layer.call(rows);
            y.backward([go[first..end]]);
            return (y.detach(), rows.grad!);
        }
    }

    [Fact]
    public void RMSNorm_OfALargeWeightWhereOnlyEpsDivides_DoesNotOverflow()
    {
        using var rms = new RMSNorm(2, eps: 1e-200, dtype: ScalarType.Float64);
        using (no_grad())
            rms.g.fill_(1e200);

        rms.forward(full([1, 2], 1e-250, ScalarType.Float64)).Doubles().Should().AllSatisfy(value => value.Should().BeApproximately(1e150, 1e136));
    }

    [Fact]
    public void Gradients_OfRowsThatEpsMakesSubnormal_KeepTheirDigits()
    {
        using var rms = new RMSNorm(2, eps: 1e20, dtype: ScalarType.Float64);
        var x = full([2, 2], 1e-300, ScalarType.Float64).requires_grad_();

        rms.forward(x).backward([full([2, 2], 1e300, ScalarType.Float64)]);

        rms.g.grad!.Doubles().Should().AllSatisfy(value => value.Should().BeApproximately(2e-20, 1e-34));
        x.grad!.Doubles().Should().AllSatisfy(value => value.Should().BeApproximately(1e280, 1e266));
    }

    /// <summary>Without the unit, each row's term would be rounded to a subnormal number a third larger.</summary>
    [Fact]
    public void WeightGradient_OfManySubnormalRowsBesideOneOfZeros_KeepsItsDigits()
    {
        using var rms = new RMSNorm(2, eps: 1, dtype: ScalarType.Float64);
        var x = full([701, 2], 5 * double.Epsilon, ScalarType.Float64);
        x[0] = 0;

        rms.forward(x).backward([full([701, 2], 0.3, ScalarType.Float64)]);

        rms.g.grad!.Doubles().Should().AllSatisfy(value => (value / double.Epsilon).Should().BeApproximately(1050, 1));
    }

    [Fact]
    public void WeightGradient_OfHugeGradientsOfRowsThatOnlyEpsDivides_IsFinite()
    {
        using var norm = new RMSNorm(2, eps: 1e-100, dtype: ScalarType.Float64);
        var x = tensor(new[,] { { -1e-121, 1e-121 } });

        norm.forward(x).backward([full([1, 2], 1e300, dtype: ScalarType.Float64)]);

        norm.g.grad![1].item<double>().Should().BeApproximately(1e279, 1e265);
    }

    /// <summary>Of padding: that there is nothing in it needs no scale, which would have its gradients measured too.</summary>
    [Fact]
    public unsafe void Measure_OfARowOfZeros_IsByEpsWithoutAScale()
    {
        var row = stackalloc double[20];
        new Span<double>(row, 20).Clear();
        RowStatistics norm, rms;
        Float64Rows<LayerNormFormula>.Measure(&row, 1, 20, 0.25, &norm);
        Float64Rows<RMSNormFormula>.Measure(&row, 1, 20, 0.25, &rms);
        (norm.Inverse, norm.Scale, norm.Square).Should().Be((2, 1, double.PositiveInfinity));
        (rms.Inverse, rms.Scale).Should().Be((4, 1));
    }

    /// <summary>One over it is no number: only with a scale for the row is it divided by.</summary>
    [Fact]
    public void InputGradient_OfARowOfZerosAndASubnormalEps_IsDividedByEps()
    {
        const double eps = 1e-320;
        using var rms = new RMSNorm(3, eps, dtype: ScalarType.Float64);
        var x = zeros(1, 3, ScalarType.Float64).requires_grad_();

        rms.forward(x).backward([full([1, 3], 1e-25, ScalarType.Float64)]);

        x.grad!.Doubles().Should().AllSatisfy(value => value.Should().BeApproximately(1e-25 / eps, 1e281));
    }

    /// <summary>A power of two for the row and one for eps are each too far from one: between them nothing is lost.</summary>
    [Fact]
    public void WeightGradient_OfLargeRowsThatALargerEpsDivides_IsRight()
    {
        using var rms = new RMSNorm(2, eps: 1e200, dtype: ScalarType.Float64);

        rms.forward(full([1, 2], 3e162, ScalarType.Float64)).backward([full([1, 2], 1e-222, ScalarType.Float64)]);

        rms.g.grad!.Doubles().Should().AllSatisfy(value => value.Should().BeApproximately(3e-260, 1e-274));
    }
}
