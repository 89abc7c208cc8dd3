using CsCheck;
using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>Random layers, shapes, strides, dtypes, scales and contents against truths of 104 binary digits, and against themselves.</summary>
[Collection(nameof(Alone))]
public sealed class ExactnessTests
{
    private const int Threads = 3;

    /// <summary>Contents for which RINorm of float64 does not keep its bounds: see docs/numerics.md.</summary>
    private static readonly Content[] LosesInRINorm = [Content.AnyMagnitude, Content.Subnormal, Content.LargestValues, Content.Mixed];

    public static TheoryData<Kind, ScalarType> KindsAndDtypes => Combinations.Of(Enum.GetValues<Kind>(), Layers.Dtypes);

    [Theory]
    [MemberData(nameof(KindsAndDtypes))]
    public void Results_OfAnyProblem_AreRightAndAlwaysTheSameBits(Kind kind, ScalarType dtype) =>
        Problem.Of(kind, dtype, 1500).Sample(problem => string.Join("; ", Trial.Faults(problem, Threads)).Should().BeEmpty(), iter: 40, threads: 1);

    [Theory]
    [MemberData(nameof(KindsAndDtypes))]
    public void Results_OfManyValues_AreAlwaysTheSameBits(Kind kind, ScalarType dtype) =>
        Problem.Of(kind, dtype, 200_000).Sample(problem => string.Join("; ", Trial.Faults(problem, Threads, isJudged: false)).Should().BeEmpty(), iter: 1, threads: 1);

    public static TheoryData<Kind, ScalarType, Content> HardInputs =>
        Combinations.Of((Kind[])[Kind.RMSNorm, Kind.LayerNorm, Kind.LayerNormNoBias, Kind.RINorm], Layers.Dtypes, Enum.GetValues<Content>());

    [Theory]
    [MemberData(nameof(HardInputs))]
    public void Results_OfEveryContentWidthAndEps_AreRight(Kind kind, ScalarType dtype, Content content)
    {
        double[] all = [1e-5, 1e-300, 0];
        bool? isJudged = kind == Kind.RINorm && dtype == ScalarType.Float64 ? !LosesInRINorm.Contains(content) : null;
        foreach (var (width, i) in ((long[])[1, 2, 3, 7, 129, 255, 1024, 4097]).Select((width, i) => (width, i)))
        {
            var problem = Problem.Simple(kind, kind == Kind.RINorm ? [1, Math.Max(2, 300 / width), width] : [2, width]) with
            {
                Dtype = dtype,
                ParameterDtype = dtype,
                Content = content,
                Scale = dtype == ScalarType.Float16 ? 100 : 1e5,
                Seed = i,
            };
            foreach (var eps in width < 1000 ? all : [all[i % all.Length]])
                string.Join("; ", Trial.Faults(problem with { Eps = eps }, Threads, isJudged)).Should().BeEmpty($"of {problem with { Eps = eps }}");
        }
    }

    [Theory]
    [InlineData(Kind.LayerNorm, true)]
    [InlineData(Kind.LayerNorm, false)]
    [InlineData(Kind.RMSNorm, true)]
    [InlineData(Kind.RMSNorm, false)]
    public void WeightGradient_OfManySubnormalRows_IsRight(Kind kind, bool frozen)
    {
        foreach (var seed in Enumerable.Range(0, 20))
        {
            var problem = Problem.Simple(kind, [700, 2]) with
            {
                Dtype = ScalarType.Float64,
                ParameterDtype = ScalarType.Float64,
                Content = Content.Subnormal,
                GradLayout = Layout.RepeatedValues,
                FrozenInput = frozen,
                Seed = seed,
            };
            string.Join("; ", Trial.Faults(problem, Threads, isJudged: true)).Should().BeEmpty($"of {problem}");
        }
    }

    [Fact]
    public void LayerNorm_BiasThatTakesABinade_IsWithin4Units()
    {
        double[] x = [1.4508562, 1.4555823, 1.449444, 1.4531786, 1.4519465, 1.4545387, 1.4562798, -0.55496055, -0.5584618, -0.56105465, -0.556464, -0.5560699, -0.55864906, -0.55811363, 0.44736373, 0.44736373];
        double[] weight = [2.0991619, 2.0788815, 2.1092284, 2.090863, 2.0798874, 2.0924623, 2.0680792, 2.069623, 2.0825603, 2.0650783, 2.079951, 2.082664, 2.0944645, 2.0743594, 2.1023011, 2.0979173];
        double[] bias = [-0.25625, -0.25020272, -0.25625, -0.25625, -0.2556642, -0.25625, -0.24138187, 0.24853219, 0.25238058, 0.22994664, 0.25625, 0.25553182, 0.25625, 0.23995027, 0, 0];
        RowsAreRight(Kind.LayerNorm, 1e-12, x, new double[16], weight, bias, ScalarType.Float32);
    }

    /// <summary>The bias is what the row is without it, rounded: what is left is that rounding.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 7)]
    [InlineData(ScalarType.Float32, 64)]
    [InlineData(ScalarType.Float64, 7)]
    [InlineData(ScalarType.Float64, 64)]
    public void LayerNorm_BiasThatCancelsARow_IsWithin4Units(ScalarType dtype, int length)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (x, weight) = (Layers.Values([length], dtype), Layers.Values([length], dtype, start: 100) + 3);
        var hat = RINormOf(x.Doubles(), 1, 0, 1e-5).Zip(weight.Doubles(), (value, w) => value * w).ToArray();
        var bias = Layers.Of([.. hat.Select(value => -value.ToDouble())]).to(dtype);
        var norm = new LayerNorm(length, dtype: dtype) { weight = nn.Parameter(weight), bias = nn.Parameter(bias.clone()) };
        ShouldBeWithin4Units(norm.forward(x), [.. hat.Zip(bias.Doubles(), (value, b) => value + b)]);
    }

    [Fact]
    public void RINorm_OrdinaryFloat64_IsWithin4UnitsBothWays()
    {
        double[] x = [-0.35364944876807247, -0.3764071307966518, 0.925452912657267, 0.7951235961146297, 1.4441303487141293];
        double[] z = [0.47066208136764454, -0.06603354544659779, -0.5084422470575396, -0.32972521117409936, -0.9250563112669886];
        const double weight = 1.4249043305986115, bias = 0.9608502983864631, eps = 1e-5;
        using var scope = NewDisposeScope();
        var rin = new RINorm(1, eps) { affine_weight = nn.Parameter(Layers.Of(weight)), affine_bias = nn.Parameter(Layers.Of(bias)) };
        ShouldBeWithin4Units(rin.forward(Layers.Of(x).reshape(1, 5, 1)), RINormOf(x, weight, bias, eps));
        ShouldBeWithin4Units(rin.inverse(Layers.Of(z).reshape(1, 5, 1, 1)), [.. z.Select(v => ((v - (Wide)bias) / (weight + ((Wide)eps * eps)) * Stdev(x, eps)) + Mean(x))]);
    }

    [Theory]
    [InlineData(1, 5001)]
    [InlineData(1, 20_001)]
    [InlineData(64, 336)]
    public void RINorm_WeightGradientOfTheSumFarFromZero_IsNearlyZero(int batch, int steps)
    {
        using var scope = NewDisposeScope();
        const int components = 5; // four are added at a time
        var (random, rin) = (new Random(8), new RINorm(components));
        rin.forward(tensor(Enumerable.Range(0, batch * steps * components).Select(_ => 1e7f + random.Next(-1, 2)).ToArray()).reshape(batch, steps, components)).sum().backward();
        rin.affine_weight!.grad!.Doubles().Should().AllSatisfy(value => Math.Abs(value).Should().BeLessThan(8 * Math.ScaleB(1, -23))); // the largest term is 1.2
    }

    /// <summary>In float32 there would be three roundings of a value that is far larger than what the bias leaves of it.</summary>
    [Theory]
    [InlineData(1.244894f, -1.5195645f, new[] { 9.641629f, 0.14162204f, -0.11162536f, -0.118798606f, 0.085270755f, -0.03490834f, -0.13801004f, -0.04505965f, -0.09065422f })]
    [InlineData(1.58938229f, -1.17851448f, new[] { 10.0865755f, -0.0107504511f, -0.0469002053f, 0.038935449f, 0.103265196f })]
    public void RINorm_ABiasThatTakesAwayHalfOfASeriesOfFloat32_IsWithin4Units(float weight, float bias, float[] x)
    {
        using var scope = NewDisposeScope();
        var rin = new RINorm(1) { affine_weight = nn.Parameter(tensor([weight])), affine_bias = nn.Parameter(tensor([bias])) };
        ShouldBeWithin4Units(rin.forward(tensor(x, [1, x.Length, 1])), RINormOf([.. x.Select(value => (double)value)], weight, bias, 1e-5));
    }

    /// <summary>Of a mean so far from zero even float64 loses digits that show in what is left.</summary>
    [Fact]
    public void RINorm_ABiasThatTakesAwayAStepFarFromZeroOfFloat32_IsWithin4Units()
    {
        using var scope = NewDisposeScope();
        var random = new Random(10);
        for (var i = 0; i < 20; i++)
        {
            double[] x = [.. Enumerable.Range(0, 7).Select(_ => 2_000_000 + (random.Next(-9, 10) / 8.0))];
            var step = x[0] + 1;
            var normalized = (step - Mean(x)) / Stdev(x, 1e-5);
            var bias = -(float)(normalized.ToDouble() * 65535 / 65536);
            var rin = new RINorm(1) { affine_bias = nn.Parameter(tensor([bias])) };
            rin.forward(Layers.Of(x).to(ScalarType.Float32).reshape(1, 7, 1));
            ShouldBeWithin4Units(rin.transform(full([1, 1, 1], (float)step)), [normalized + (double)bias]);
        }
    }

    /// <summary>Rounding errors that are alike in many values add up: those of the differences to the mean, and what rounding leaves of a series' sum.</summary>
    [Theory]
    [InlineData(1, 2000)]
    [InlineData(6, 2001)]
    [InlineData(2, 1_000_003)]
    public void RINorm_ParameterGradientsOfFloat64ThatCancel_AreWithin8Units(int batch, int steps)
    {
        using var scope = NewDisposeScope();
        var (random, rin) = (new Random(9), new RINorm(1, dtype: ScalarType.Float64));
        double[] go = [.. Enumerable.Range(0, batch * steps).Select(i => i % 2 == 0 ? 1.0 : -1 + (random.NextDouble() * 1e-12))];
        var x = Layers.Of([.. go.Select(_ => 0.3 + random.NextDouble())]).reshape(batch, steps, 1);
        rin.forward(x).sum().backward();
        rin.affine_weight!.grad!.Doubles().Should().AllSatisfy(value => Math.Abs(value).Should().BeLessThan(8 * Math.ScaleB(1, -52))); // of a truth of 0; the largest term is 1.7
        rin.zero_grad();
        rin.forward(x).backward([Layers.Of(go).reshape(batch, steps, 1)]);
        var truth = go.Aggregate(Wide.Zero, (sum, value) => sum + value);
        Exact.Units(rin.affine_bias!.grad!.item<double>(), truth, (Wide)1, ScalarType.Float64).Should().BeLessThan(8);
    }

    /// <summary>Of what is multiplied by the stdev, or divided by it, little is left.</summary>
    [Fact]
    public void RINorm_OfFloat64WhoseTermsCancel_IsWithin4UnitsBothWays()
    {
        const double eps = 1e-5;
        var random = new Random(4);
        for (var round = 0; round < 100; round++)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            double[] x = [9 + random.NextDouble(), .. Enumerable.Range(0, 8).Select(_ => random.NextDouble() / 4)];
            var (weight, level) = (0.5 + random.NextDouble(), 10 + random.NextDouble());
            var cancels = random.Next(2) == 0 ? 0.5 : 1 - 1e-6;
            var bias = (-(RINormOf(x, weight, 0, eps)[0]) * cancels).ToDouble();
            var rin = new RINorm(1, eps) { affine_weight = nn.Parameter(Layers.Of(weight)), affine_bias = nn.Parameter(Layers.Of(bias)) };
            ShouldBeWithin4Units(rin.forward(Layers.Of(x).reshape(1, 9, 1)), RINormOf(x, weight, bias, eps));

            double[] far = [.. x.Select(value => value + level)];
            rin.forward(Layers.Of(far).reshape(1, 9, 1));
            var (mean, divisor) = (Mean(far), weight + ((Wide)eps * eps));
            var z = (bias - (mean * cancels * divisor / Stdev(far, eps))).ToDouble();
            ShouldBeWithin4Units(rin.inverse(Layers.Of(z).reshape(1, 1, 1, 1)), [((z - (Wide)bias) / divisor * Stdev(far, eps)) + mean]);
            ShouldBeWithin4Units(rin.transform(Layers.Of(far[0]).reshape(1, 1, 1)), [(((far[0] - mean) / Stdev(far, eps)) * weight) + bias]);
        }
    }

    [Theory]
    [InlineData(1e-4)]
    [InlineData(-1e-9)]
    public void RINorm_LogScaleOfFloat64WhoseStdevIsNearlyOne_IsWithin4Units(double beyondOne)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        double[] x = [.. Enumerable.Range(0, 6).Select(i => (i % 2 == 0 ? 1 : -1) * (1 + beyondOne + (i * beyondOne / 10)))];
        var rin = new RINorm(1, 0, affine: false);
        rin.forward(Layers.Of(x).reshape(1, 6, 1));
        var d = Stdev(x, 0) - 1;
        var log = d - (d * d / 2) + (d * d * d / 3) - (d * d * d * d / 4) + (d * d * d * d * d / 5); // the next is below a unit of float64
        ShouldBeWithin4Units(rin.inverse(zeros(1, 1, 1, 1, ScalarType.Float64), LikelihoodParameter.LogScale), [log]);
    }

    [Fact]
    public void RINorm_FirstOfALongSeriesFarFromTheOthers_IsWithin4Units()
    {
        const long steps = 4_000_000;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var x = full([1, steps, 1], 12345678f);
        x[0, 0] = 0;
        foreach (var missing in (Missing[])[Missing.None, Missing.Keep])
            new RINorm(1) { missing = missing }.forward(x)[0, 0].Doubles()[0].Should().BeApproximately(-Math.Sqrt(steps - 1), 4 * Math.ScaleB(1, -13));
    }

    /// <summary>Additions of equal values lose alike: what all lost is much larger than what is left of the values without their mean.</summary>
    [Fact]
    public void RINorm_OneOfALongSeriesAUnitAboveTheOthers_IsWithin4Units()
    {
        const long steps = 100_001, components = 7;
        const double level = 63.1, unit = 1.0 / (1L << 47), eps = 1e-5;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var x = full([1, steps, components], level, ScalarType.Float64);
        x[0, 0] = Math.BitIncrement(level);
        var y = new RINorm(components, eps, dtype: ScalarType.Float64).forward(x)[0, ..2, ^1].Doubles();
        double up = unit * (steps - 1) / steps / Math.Sqrt(eps), bound = 4 * Math.ScaleB(1, Math.ILogB(up) - 52);
        (Math.BitIncrement(level) - level).Should().Be(unit);
        y[0].Should().BeApproximately(up, bound);
        y[1].Should().BeApproximately(-up / (steps - 1), bound);
    }

    [Fact]
    public void LayerNorm_FirstOfALongRowFarFromTheOthers_IsWithin4Units()
    {
        const long length = 4096 * 256;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        const double level = 1.3e-14f, mean = level * (length - 1) / length;
        var x = full([length], (float)level);
        x[0] = 0;
        new LayerNorm(length, 1e-40).forward(x)[0].Doubles()[0].Should().BeApproximately(-mean / Math.Sqrt((mean * level / length) + 1e-40), 4 * Math.ScaleB(1, -14));
    }

    [Fact]
    public void RMSNorm_GradientsTimesTheWeightBelowFloat32_KeepTheirDigits()
    {
        using var scope = NewDisposeScope();
        var (norm, x, gradient) = (new RMSNorm(64), zeros(64).requires_grad_(), ones(64));
        gradient[0] = 1e-30f;
        using (no_grad())
            norm.g[0] = 1.3e-14f;
        norm.forward(x).backward([gradient]);
        x.grad!.Doubles()[0].Should().BeApproximately(1e-30f * (double)1.3e-14f / 1e-8, 8 * 1.3e-36 * Math.ScaleB(1, -23)); // all that divides a row of zeros is eps
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void RMSNorm_GradientOfAZeroWeightWhereEpsIsTiny_IsZero(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (norm, x) = (new RMSNorm(2, 1e-300, dtype: dtype), zeros([2], dtype).requires_grad_());
        using (no_grad())
            norm.g[0] = 0;
        norm.forward(x).backward([Layers.Of(1e10, 0).to(dtype)]);
        x.grad!.Doubles().Should().Equal(0, 0);
    }

    [Fact]
    public void LayerNorm_Float64GradientWhoseTermsNearlyCancel_IsWithin8Units()
    {
        double[] x = [0.06917148687578956, 0.07044832943852919, 0.0709846218878587, 0.06973570167991094, 0.07008228829058416, 0.0691530460930122, 0.07120618351387809, 0.06971171063533588, -0.9690573304016884, -0.9690936227367365, -0.9692323314918772, -0.9687114883238533, -0.9694138101459441, -0.9694932193805971, -0.9697183710744129, -0.970244716389124, -0.44969495759904854];
        double[] gradOutput = [1.0049442801559458, 1.006033899525677, 1.0048513798148437, 1.006536711146512, -5.028644235066017, -5.03112352931343, -5.0291172414820995, -5.026022629292686, 0, 0, 0, 0, 0, 0, 0, 0, -1.003343370963083];
        RowsAreRight(Kind.LayerNormNotAffine, 1e-12, x, gradOutput);
    }

    [Theory]
    [InlineData(new[] { 1e10, 2e10 }, new[] { 1e300, -1e300 }, null)]
    [InlineData(new[] { 1e10, 2e10, 4e10 }, new[] { 1e308, 1e308, 1.1e308 }, null)]
    [InlineData(new[] { 1.5e308, -1.7e308, 1e308 }, new[] { 1e300, -2e300, 1.1e300 }, null)]
    [InlineData(new[] { 1e200, 1e200, 1.0000000001e200, 1.0000000003e200 }, new[] { 1e300, -1e300, 1e100, 3e100 }, null)]
    [InlineData(new[] { 1e40, 2e40, 4e40 }, new[] { 1e300, -2e300, 1.1e300 }, new[] { 1e15, 1.3e15, 1.7e15 })]
    [InlineData(new[] { 1e-300, 2e-300, 4e-300 }, new[] { 3e-160, 5e-160, 1e-160 }, new[] { 1.1e-155, 1.3e-155, 1.7e-155 })]
    [InlineData(new[] { 1e-300, 2e-300, 4e-300 }, new[] { 7 * double.Epsilon, -3 * double.Epsilon, 11 * double.Epsilon }, null)]
    [InlineData(new[] { 1.0, 2, 4 }, new[] { 1e300, 1e-100, 3e-101 }, new[] { 0, 1e-50, 1.1e-50 })]
    public void Rows_OfFloat64GradientsOfAnyMagnitude_AreRight(double[] x, double[] gradOutput, double[]? weight)
    {
        foreach (var kind in (Kind[])[Kind.RMSNorm, Kind.LayerNormWithoutBias])
            RowsAreRight(kind, 0, x, gradOutput, weight);
    }

    [Fact]
    public void LayerNorm_WeightGradientOfARowOfEpsBesideOthers_IsWithin8Units() =>
        RowsAreRight(Kind.LayerNormWithoutBias, 1, [3e-310, -5e-310, 7e-310, 1e-310, 1, 2, 3, 4], [1e100, 2e100, -3e100, 1.7e100, 0, 0, 0, 0], [1, 1, 1, 1]);

    /// <summary>The weight makes the values next to the mean the largest ones.</summary>
    [Theory]
    [InlineData(43)]
    [InlineData(300)]
    public void LayerNorm_OneOfARowAUnitAboveTheOthers_IsWithinTheBounds(int length)
    {
        for (var level = 1.01; level < 1.9; level += 0.1)
        {
            double[] x = [Math.BitIncrement(level), .. Enumerable.Repeat(level, length - 1)];
            RowsAreRight(Kind.LayerNormWithoutBias, 1e-12, x, [.. x.Select((_, i) => Math.Sin(i))], [.. x.Select((_, i) => i == 0 ? 1e-8 : 1)]);
        }
    }

    /// <summary>Asserts the bounds of output and gradients, of <paramref name="x"/> in rows of the weight's length.</summary>
    private static void RowsAreRight(Kind kind, double eps, double[] x, double[] gradOutput, double[]? weight = null, double[]? bias = null, ScalarType dtype = ScalarType.Float64)
    {
        using var scope = NewDisposeScope();
        var width = weight?.Length ?? x.Length;
        var problem = Problem.Simple(kind, [x.Length / width, width]) with { Dtype = dtype, ParameterDtype = dtype, Eps = eps };
        using var layer = problem.NewLayer();
        using (no_grad())
        {
            foreach (var (parameter, values) in layer.parameters().Zip([weight, bias]))
            {
                if (values is not null)
                    parameter.copy_(Layers.Of(values));
            }
        }
        var input = Layers.Of(x).to(dtype).reshape(problem.Shape);
        using var results = Results.Of(problem, layer, input, null, Gradient);
        Exact.Errors(problem, layer, results, input, null, Gradient).Should().AllSatisfy(error => error.units.Should().BeLessThan(error.name == "y" ? Trial.OutputUnits : Trial.GradientUnits, error.name));

        Tensor Gradient(long[] shape) => Layers.Of(gradOutput).to(dtype).reshape(shape);
    }

    private static Wide[] RINormOf(double[] x, double weight, double bias, double eps)
    {
        var (mean, stdev) = (Mean(x), Stdev(x, eps));
        return [.. x.Select(value => ((value - mean) / stdev * weight) + bias)];
    }

    private static Wide Mean(double[] x) => x.Aggregate(Wide.Zero, (sum, value) => sum + value) / x.Length;

    private static Wide Stdev(double[] x, double eps)
    {
        var mean = Mean(x);
        return ((x.Aggregate(Wide.Zero, (sum, value) => sum + ((value - mean) * (value - mean))) / x.Length) + eps).Sqrt();
    }

    private static void ShouldBeWithin4Units(Tensor actual, Wide[] truth)
    {
        var largest = truth.Aggregate(Wide.Zero, (most, value) => Wide.Max(most, value.Abs()));
        foreach (var (value, expected) in Exact.Doubles(actual).Zip(truth))
            Exact.Units(value, expected, largest, actual.dtype).Should().BeLessThanOrEqualTo(4);
    }
}
