namespace Darts.Norm.Tests;

/// <summary>Parameters of a distribution, put back so that they are those of the samples put back.</summary>
public sealed class LikelihoodTests : IDisposable
{
    private const int Samples = 200_000;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Families => ["gaussian", "laplace", "cauchy", "gumbel", "gaussian by variance", "gaussian by log-scale", "student", "quantiles"];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(LikelihoodParameter.Location, true, true)]
    [InlineData(LikelihoodParameter.Scale, true, false)]
    [InlineData(LikelihoodParameter.Variance, true, false)]
    [InlineData(LikelihoodParameter.LogScale, true, false)]
    [InlineData(LikelihoodParameter.Probability, false, false)]
    [InlineData(LikelihoodParameter.Shape, false, false)]
    public void Inverse_OfOneKind_HasGradientsOfAnyOrder(LikelihoodParameter kind, bool usesWeight, bool usesBias)
    {
        using var rin = new RINorm(3);
        rin.forward(Layers.Values([2, 5, 3], ScalarType.Float32)).Dispose();
        var z = Layers.Values([2, 4, 3, 1], ScalarType.Float32, start: 3).requires_grad_();

        var first = autograd.grad([rin.inverse(z, kind).square().sum()], [z], retain_graph: true, create_graph: true)[0];
        first.sum().backward();

        z.grad.Should().NotBeNull();
        IsTouched(rin.affine_weight!).Should().Be(usesWeight);
        IsTouched(rin.affine_bias!).Should().Be(usesBias);

        static bool IsTouched(Tensor parameter) => parameter.grad is { } gradient && gradient.abs().max().item<float>() > 0;
    }

    [Fact]
    public void Inverse_OfAProbability_KeepsTheSignOfZeroAndTheCallersMemory()
    {
        using var rin = new RINorm(3);
        rin.forward(Layers.Values([2, 5, 3], ScalarType.Float32)).Dispose();
        var z = full([2, 4, 3, 1], -0.0f);

        var y = rin.inverse(z, LikelihoodParameter.Probability);
        y.signbit().all().item<bool>().Should().BeTrue();
        y.fill_(1);

        z.abs().max().item<float>().Should().Be(0);
    }

    /// <summary>The quantiles of inverse(samples) are those of the distribution of inverse(parameters).</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void InverseOfParameters_IsTheDistributionOfTheInversedSamples(string family)
    {
        random.manual_seed(7);
        foreach (var weight in family is "gumbel" or "quantiles" ? (double[])[1.7, 0.4] : [1.7, 0.4, -0.9]) // a negative one mirrors: to the same family where it is symmetric
        {
            var rin = Scaled(weight, bias: -0.6);
            var (mean, scale) = (0.8, 0.5);
            var (parameters, kinds) = family switch
            {
                "gaussian by variance" => ((double[])[mean, scale * scale], (LikelihoodParameter[])[LikelihoodParameter.Location, LikelihoodParameter.Variance]),
                "gaussian by log-scale" => ([mean, Math.Log(scale)], [LikelihoodParameter.Location, LikelihoodParameter.LogScale]),
                "student" => ([mean, scale, 4], [LikelihoodParameter.Location, LikelihoodParameter.Scale, LikelihoodParameter.Shape]),
                "quantiles" => ([mean + (scale * Quantile("gaussian", 0.1)), mean, mean + (scale * Quantile("gaussian", 0.9))], []),
                _ => ([mean, scale], [LikelihoodParameter.Location, LikelihoodParameter.Scale]),
            };
            var standard = family switch
            {
                "laplace" or "cauchy" or "gumbel" => Inverted(family, rand(Samples, ScalarType.Float64)),
                "student" => randn(Samples, ScalarType.Float64) / (randn([Samples, 4], ScalarType.Float64).square().mean([1L])).sqrt(),
                _ => randn(Samples, ScalarType.Float64),
            };
            var samples = rin.inverse(((standard * scale) + mean).reshape(1, -1, 1, 1)).flatten();
            var put = rin.inverse(Layers.Of(parameters).reshape(1, 1, 1, -1), kinds).Doubles();
            foreach (var probability in (double[])[0.1, 0.3, 0.5, 0.7, 0.9])
            {
                var expected = family switch
                {
                    "quantiles" when probability is 0.3 or 0.7 => double.NaN,
                    "quantiles" => put[(int)Math.Round((probability - 0.1) / 0.4)],
                    "gaussian by variance" => put[0] + (Math.Sqrt(put[1]) * Quantile(family, probability)),
                    "gaussian by log-scale" => put[0] + (Math.Exp(put[1]) * Quantile(family, probability)),
                    _ => put[0] + (put[1] * Quantile(family, probability)),
                };
                if (double.IsNaN(expected))
                    continue;
                // A sample quantile strays by √(p(1-p)/n) / density; the density is above 0.05 / scale at all of these.
                var stray = 6 * Math.Sqrt(probability * (1 - probability) / Samples) * (scale * 30 / Math.Abs(weight)) / 0.05;
                quantile(samples, tensor(probability, ScalarType.Float64)).item<double>().Should().BeApproximately(expected, stray, "{0} at {1}", family, probability);
            }
            if (family == "student")
                put[2].Should().Be(4);
        }
    }

    [Fact]
    public void Inverse_EachKind_IsItsFormula()
    {
        foreach (var (weight, dtype) in ((double, ScalarType)[])[(1.7, ScalarType.Float64), (-0.4, ScalarType.Float64), (0.4, ScalarType.Float32), (-2, ScalarType.Float16)])
        {
            var rin = Scaled(weight, bias: -0.6);
            var z = Layers.Of(0.3, 0.3, 0.3, 0.3, 0.3, 0.3).to(dtype).reshape(1, 1, 1, 6).requires_grad_();
            var x = rin.inverse(
                z, LikelihoodParameter.Location, LikelihoodParameter.Scale, LikelihoodParameter.Variance, LikelihoodParameter.LogScale, LikelihoodParameter.Probability, LikelihoodParameter.Shape);
            var value = z.Doubles()[0];
            var a = rin.stdev!.item<double>() / (weight + (rin.eps * rin.eps));
            double[] expected = [(a * (value + 0.6)) + rin.mean!.item<double>(), Math.Abs(a) * value, a * a * value, value + Math.Log(Math.Abs(a)), value, value];
            x.dtype.Should().Be(ScalarType.Float64, "the statistics' and the input's promoted");
            foreach (var (actual, wanted) in x.Doubles().Zip(expected))
                actual.Should().BeApproximately(wanted, 1e-13 * Math.Abs(wanted));
            x.sum().backward();
            z.grad!.Doubles().Zip((double[])[a, Math.Abs(a), a * a, 1, 1, 1]).Should().OnlyContain(pair => Math.Abs(pair.First - pair.Second) <= 2e-3 * Math.Abs(pair.Second));
            rin.affine_weight!.grad!.isfinite().item<bool>().Should().BeTrue();
        }
    }

    [Fact]
    public void Inverse_LocationsOnly_HaveTheBitsOfDarts()
    {
        var rin = Scaled(1.7, -0.6);
        var z = Layers.Values([1, 5, 1, 3], ScalarType.Float64);
        Layers.SameBits(rin.inverse(z, LikelihoodParameter.Location, LikelihoodParameter.Location, LikelihoodParameter.Location), rin.inverse(z)).Should().BeTrue();
    }

    [Fact]
    public void Inverse_GradientsOfTheParameters_AreFiniteDifferences()
    {
        var rin = Scaled(1.7, -0.6);
        var z = Layers.Values([1, 5, 1, 4], ScalarType.Float64);
        LikelihoodParameter[] kinds = [LikelihoodParameter.Location, LikelihoodParameter.Scale, LikelihoodParameter.Variance, LikelihoodParameter.LogScale];
        rin.inverse(z, kinds).sum().backward();
        foreach (var parameter in rin.parameters())
        {
            var step = 1e-6;
            double At(double shift)
            {
                using var noGrad = no_grad();
                parameter.add_(shift);
                var sum = rin.inverse(z, kinds).sum().item<double>();
                parameter.sub_(shift);
                return sum;
            }

            parameter.grad!.item<double>().Should().BeApproximately((At(step) - At(-step)) / (2 * step), 1e-4);
        }
    }

    [Fact]
    public void Inverse_OtherNumberOfKinds_IsRefused() =>
        Scaled(1, 0).Invoking(rin => rin.inverse(zeros(1, 2, 1, 3), LikelihoodParameter.Location, LikelihoodParameter.Scale))
            .Should().Throw<ArgumentException>().WithMessage("*one LikelihoodParameter for each*2*[1, 2, 1, 3]*");

    [Fact]
    public void Inverse_NoKinds_IsRefusedWhereTheyAreNull() =>
        Scaled(1, 0).Invoking(rin => rin.inverse(zeros(1, 2, 1, 1), (LikelihoodParameter[])null!)).Should().Throw<ArgumentNullException>().WithParameterName("parameters");

    [Fact]
    public void Inverse_UnknownKind_IsRefused() =>
        Scaled(1, 0).Invoking(rin => rin.inverse(zeros(1, 2, 1, 1), (LikelihoodParameter)77)).Should().Throw<ArgumentOutOfRangeException>();

    /// <summary>After a forward on a series of level 500 and scale about 30.</summary>
    private static RINorm Scaled(double weight, double bias)
    {
        var rin = new RINorm(1, dtype: ScalarType.Float64);
        rin.forward((Layers.Values([1, 50, 1], ScalarType.Float64) * 20) + 500);
        using var noGrad = no_grad();
        rin.affine_weight!.fill_(weight);
        rin.affine_bias!.fill_(bias);
        return rin;
    }

    private static double Quantile(string family, double probability) => Inverted(family, tensor(probability, ScalarType.Float64)).item<double>();

    /// <summary>The inverse of the standard distribution's cumulative function.</summary>
    private static Tensor Inverted(string family, Tensor u) => family switch
    {
        "laplace" => -(u - 0.5).sign() * (1 - (2 * (u - 0.5).abs())).log(),
        "cauchy" => (Math.PI * (u - 0.5)).tan(),
        "gumbel" => -(-u.log()).log(),
        // Of 4 degrees of freedom.
        "student" => (u - 0.5).sign() * 2 * (((((4 * u * (1 - u)).sqrt().acos() / 3).cos()) / (4 * u * (1 - u)).sqrt()) - 1).clamp_min(0).sqrt(),
        _ => special.ndtri(u),
    };

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Inverse_ZeroOfEachSign_KeepsItWhereNothingIsAdded(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var rin = (RINorm)Layers.All["RINorm"].New(dtype);
        rin.forward(Layers.All["RINorm"].Input(dtype));
        foreach (var kind in (LikelihoodParameter[])[LikelihoodParameter.Scale, LikelihoodParameter.Variance, LikelihoodParameter.Probability, LikelihoodParameter.Shape])
        {
            foreach (var zero in new[] { 0.0, -0.0 })
                rin.inverse(full([2, 3, 4, 1], zero, dtype), kind).Doubles().Should().AllSatisfy(value => double.IsNegative(value).Should().Be(double.IsNegative(zero), "{0}", kind));
        }
    }
}
