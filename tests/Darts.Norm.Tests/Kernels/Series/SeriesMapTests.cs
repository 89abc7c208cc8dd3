namespace Darts.Norm.Tests.Kernels;

/// <summary>What is particular to the map of series: components of any size beside each other, values that are not finite, sums that cancel.</summary>
public sealed class SeriesMapTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, ScalarType> Operations => Combinations.Of(KernelCase.SeriesOperations, Layers.Dtypes);

    public void Dispose() => _scope.Dispose();

    /// <summary>Whether float32 holds the coefficients of no component, of some or of all.</summary>
    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 20)]
    [InlineData(9, 24)]
    [InlineData(9, 10)]
    public void ForwardInverseAndGradients_OfComponentsOfAnySize_AreThoseOfFloat64(long steps, int exponents)
    {
        const int components = 41;
        foreach (var seed in Enumerable.Range(0, 12))
        {
            var random = new Random(seed);
            using var rin = new RINorm(components, eps: 0);
            Tensor Sizes(int most) => Layers.Of([.. Enumerable.Range(0, components).Select(_ => (random.Next(2) - 0.5) * Math.Pow(10, most * ((2 * random.NextDouble()) - 1)))]).to(ScalarType.Float32);
            using (no_grad())
            {
                rin.affine_weight!.copy_(Sizes(exponents / 2));
                rin.affine_bias!.copy_(Sizes(exponents / 2));
            }
            var x = ((Layers.Values([3, 10, components], start: seed) * Sizes(exponents)) + Sizes(exponents)).to(ScalarType.Float32);
            rin.forward(x);
            Check(rin, x.narrow(1, 0, steps), (layer, input) => layer.transform(input));
            Check(rin, (Layers.Values([3, steps, components], start: seed) * Sizes(exponents / 2)) + rin.affine_bias!.detach(), (layer, input) => layer.inverse(input.unsqueeze(-1)).squeeze(-1));
        }

        static void Check(RINorm rin, Tensor input, Func<RINorm, Tensor, Tensor> map)
        {
            var (single, wide) = (input.detach().requires_grad_(), input.detach().to(ScalarType.Float64).requires_grad_());
            var (actual, expected) = (map(rin, single), map(rin, wide));
            var go = Layers.Values(input.shape, start: 50);
            ShouldBeNear(actual, expected.detach(), expected.detach().abs().amax([1L], keepdim: true));
            var gradients = autograd.grad([actual], [single], [go])[0];
            var expectedGradients = autograd.grad([expected], [wide], [go.to(ScalarType.Float64)])[0];
            ShouldBeNear(gradients, expectedGradients, expectedGradients.abs());
        }

        static void ShouldBeNear(Tensor actual, Tensor expected, Tensor largest)
        {
            var (a, e) = (actual.detach().to(ScalarType.Float64), expected.to(ScalarType.Float32).to(ScalarType.Float64));
            ((a - e).abs() <= (largest * Math.ScaleB(4, -24)) + Math.ScaleB(4, -149)).logical_or(a.eq(e)).logical_or(a.isnan() & e.isnan()).all().item<bool>().Should().BeTrue();
        }
    }

    /// <summary>Components whose factor float32 holds exactly, rounds down, and rounds up.</summary>
    [Fact]
    public void Inverse_OfInfinities_IsTheSameInfinity()
    {
        using var rin = new RINorm(3, eps: 0, affine: false);
        rin.forward(stack([Layers.Of(3, -1, 3, -1), Layers.Of(0.3, -1, 0.3, -1), Layers.Of(0.35, -1, 0.35, -1)], 1).to(ScalarType.Float32).unsqueeze(0));
        rin.stdev!.Doubles()[0].Should().Be(2);
        foreach (var infinity in (double[])[double.PositiveInfinity, double.NegativeInfinity])
        {
            var forecast = full([1, 3, 3, 1], infinity);
            forecast[0, 1] = 5;
            rin.inverse(forecast)[0, 0].Doubles().Should().OnlyContain(value => value == infinity);
        }
    }

    /// <summary>Infinities and NaN too are where the formula has them.</summary>
    [Theory]
    [MemberData(nameof(Operations))]
    public void ResultAndGradients_OfNaN_AreTheFormulas(string operation, ScalarType dtype)
    {
        using var one = new KernelCase(operation, dtype, [2, 21, 19]);
        one.ByKernels(); // takes the statistics, which for an inverse are those of another input
        var statistics = one.Operation.Statistics!.clone();
        using (no_grad())
        {
            var flat = one.X.view(-1);
            foreach (var i in (long[])[3, 300, 600, flat.numel() - 1])
                flat[i] = double.NaN;
        }
        var (kernels, formula) = (one.ByKernels(), one.ByFormula());
        if (operation.StartsWith("RINormInverse", StringComparison.Ordinal))
            Layers.SameBits(statistics, one.Operation.Statistics!).Should().BeTrue();
        for (var i = 0; i < kernels.Count; i++)
        {
            var (k, f) = (kernels[i].detach(), formula[i].detach());
            Layers.SameBits(k.isnan(), f.isnan()).Should().BeTrue("result {0}", i);
            k.nan_to_num().allclose(f.nan_to_num(), rtol: dtype == ScalarType.BFloat16 ? 1e-2 : dtype == ScalarType.Float16 ? 2e-3 : 1e-5, atol: 1e-5).Should().BeTrue("result {0}", i);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(130)]
    public void GradientsOfTheParameters_WhereLargeOnesCancel_KeepTheSmall(long components)
    {
        using var rin = new RINorm(components, dtype: ScalarType.Float64);
        var x = Layers.Values([3, 13, components], ScalarType.Float64);
        var go = Layers.Values([3, 13, components], ScalarType.Float64, start: 50);
        (go[.., 3], go[.., 9]) = (full([3, components], 1e15, ScalarType.Float64), full([3, components], -1e15, ScalarType.Float64));
        x[.., 9] = x[.., 3];
        var (y, statistics) = rin.normalize(x);
        y.backward([go]);
        (go[.., 3], go[.., 9]) = (zeros([3, components], ScalarType.Float64), zeros([3, components], ScalarType.Float64));
        var normalised = (x - statistics.Values.select(0, 0) - statistics.Values.select(0, 1)) / statistics.Values.select(0, 2);
        foreach (var (gradient, expected) in new[] { (rin.affine_weight!.grad!, (go * normalised).sum([0, 1])), (rin.affine_bias!.grad!, go.sum([0, 1])) })
            (gradient - expected).abs().max().item<double>().Should().BeLessThan(1e-12);
    }
}
