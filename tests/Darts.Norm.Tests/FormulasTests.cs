using Darts.Norm.Kernels;

namespace Darts.Norm.Tests;

/// <summary>What the formulas say where the kernels answer on a CPU: each against the other.</summary>
public sealed class FormulasTests : IDisposable
{
    private static readonly long[] Shape = [3, 7, 2, 5];
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<bool, double, Missing, bool> Options
    {
        get
        {
            var data = new TheoryData<bool, double, Missing, bool>();
            foreach (var subtractLast in new[] { false, true })
            {
                foreach (var leastStdev in new[] { 0, 1.25 })
                {
                    data.Add(subtractLast, leastStdev, Missing.None, false);
                    data.Add(subtractLast, leastStdev, Missing.Keep, false);
                    data.Add(subtractLast, leastStdev, Missing.Keep, true);
                    data.Add(subtractLast, leastStdev, Missing.Zero, true);
                }
            }
            return data;
        }
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Options))]
    public void StatisticsAndRINorm_OfAnyOptions_AreTheKernels(bool subtractLast, double leastStdev, Missing missing, bool isMasked)
    {
        var x = Layers.Values(Shape, ScalarType.Float64) + 3;
        if (missing != Missing.None)
        {
            x = x.masked_fill(Layers.Values(Shape, ScalarType.Float64, start: 3) > 1, double.NaN);
            x[1, .., .., 2] = tensor(double.NaN); // a series of which nothing was observed
        }
        var mask = isMasked ? Layers.Values(Shape, ScalarType.Float64, start: 9) < 1 : null;
        var (options, gaps) = (new StatisticsOptions(1e-5, leastStdev, subtractLast), new MissingValues(missing, mask));

        using var rin = new RINorm(5, dtype: ScalarType.Float64) { subtract_last = subtractLast, min_stdev = leastStdev, missing = missing };
        using (no_grad())
        {
            rin.affine_weight!.copy_(Layers.Values([5], ScalarType.Float64).abs() + 0.5);
            rin.affine_bias!.copy_(Layers.Values([5], ScalarType.Float64, start: 4));
        }
        var (normalized, statistics) = rin.normalize(x, mask);
        using var _ = statistics;
        var byFormula = Formulas.SeriesStatistics(x, options, gaps);
        Close(statistics.Values[0] + statistics.Values[1], byFormula[0]);
        Close(statistics.Values[2], byFormula[2]);
        Close(normalized, Formulas.RINorm(new(x, rin.affine_weight, rin.affine_bias, byFormula, mask), gaps, ScalarType.Float64));
    }

    [Fact]
    public void Statistics_OfNoTimeSteps_AreThoseOfNothingAndNoError()
    {
        foreach (var subtractLast in new[] { false, true })
            Formulas.SeriesStatistics(zeros(2, 0, 3), new(1e-5, 0, subtractLast), default).shape.Should().Equal(4, 2, 1, 3);
    }

    [Fact]
    public void Statistics_FarFromZero_HaveTheSpreadAboutTheMeanAndItsRest() =>
        Formulas.SeriesStatistics(Layers.Of(1e15, 1e15 + 1, 1e15 + 1).reshape(1, 3, 1), default, default).select(0, 2).Doubles()[0].Should().BeApproximately(Math.Sqrt(2.0 / 9), 1e-12);

    [Fact]
    public void RINorm_StatisticsWithARest_SubtractsIt()
    {
        var x = Layers.Of(1, 2, 3).reshape(1, 3, 1);
        var statistics = Layers.Of(1.5, 0.25, 2, 0).reshape(4, 1, 1, 1);
        Formulas.RINorm(new(x, null, null, statistics, null), default, ScalarType.Float64).Doubles().Should().Equal(-0.375, 0.125, 0.625);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void LayerNorm_OnTheMetaDevice_HasShapeDtypeAndGraph(bool isAffine, bool hasBias)
    {
        var x = ones(2, 3, 4, ScalarType.Float16, META).requires_grad_();
        var weight = isAffine ? ones(3, 4, device: META).requires_grad_() : null;
        var bias = hasBias ? ones(3, 4, device: META).requires_grad_() : null;
        var y = Formulas.LayerNorm(x, [3, 4], weight, bias, 1e-5);
        y.shape.Should().Equal(2, 3, 4);
        (y.dtype, y.device_type, y.Handle == x.Handle).Should().Be((ScalarType.Float16, DeviceType.META, false));
        y.sum().backward();
        foreach (var leaf in new[] { x, weight, bias }.OfType<Tensor>())
            leaf.grad!.shape.Should().Equal(leaf.shape);
    }

    [Fact]
    public void Statistics_OfNaNThatIsNotMissing_AreNaNInItsSeries()
    {
        var x = Layers.Of(1, 2, double.NaN, 4, 5, 6).reshape(1, 3, 2);
        foreach (var values in Formulas.SeriesStatistics(x, new(1e-5, 0, false), new(Missing.None, null)).select(0, 0).Doubles().Chunk(2))
            values.Select(double.IsNaN).Should().Equal(true, false);
    }

    [Fact]
    public void Statistics_OnTheMetaDeviceWithGaps_AreShapesAlone() =>
        Formulas.SeriesStatistics(ones(2, 6, 3, device: META), new(1e-5, 0, true), new(Missing.Zero, null)).shape.Should().Equal(4, 2, 1, 3);

    [Fact]
    public void RINormInverse_WithParameters_IsTheWrittenFormula()
    {
        var z = Layers.Of(1, 2, 3, 4).reshape(1, 1, 2, 2);
        var statistics = Layers.Of(10, 20, 0, 0, 2, 4, 0, 0).reshape(4, 1, 1, 2);
        var (weight, bias) = (Layers.Of(1.75, 3.75), Layers.Of(1, -1));
        // eps² = 0.25: (z - bias) / (weight + eps²) · stdev + mean.
        Formulas.RINormInverse(new(z, weight, bias, statistics, null), 0.5, [LikelihoodParameter.Location], ScalarType.Float64).Doubles().Should().Equal(10, 11, 24, 25);
    }

    [Theory]
    [InlineData("affine_weight")]
    [InlineData("affine_bias")]
    public void RINormInverse_OneParameterAlone_IsTheKernelsAndUndoesForward(string absent)
    {
        using var scope = NewDisposeScope();
        var rin = (RINorm)Layers.All["RINorm"].New(ScalarType.Float64);
        rin.eps = 1e-12;
        rin.pytorch().register_parameter(absent, null);
        var x = Layers.All["RINorm"].Input(ScalarType.Float64);
        var z = rin.forward(x).unsqueeze(-1).detach().requires_grad_();
        var y = rin.inverse(z);
        Close(y.squeeze(-1), x);
        var gradient = Layers.Values(y.shape, ScalarType.Float64, start: 3);
        var twice = autograd.grad([y], [z, .. rin.parameters()], [gradient], retain_graph: true, create_graph: true);
        twice.Zip(autograd.grad([y], [z, .. rin.parameters()], [gradient])).Should().AllSatisfy(pair => Close(pair.First, pair.Second));
    }

    private static void Close(Tensor actual, Tensor expected)
    {
        actual.shape.Should().Equal(expected.shape);
        ((actual - expected).abs() <= 1e-13).logical_or(actual.isnan() & expected.isnan()).all().item<bool>().Should().BeTrue();
    }
}
