namespace Darts.Norm.Tests.Kernels;

/// <summary>Gradients of long rows of float32, within 8 units in the last place of the largest term.</summary>
public sealed class Float32GradientsTests : IDisposable
{
    private const int Rows = 11;
    private readonly DisposeScope _scope = NewDisposeScope();

    /// <summary>Lengths of rows, and levels as multiples of the spread.</summary>
    public static TheoryData<int, double> Cases => Combinations.Of((int[])[63, 64, 79, 96, 300, 1040], (double[])[0, 2, -700, 1e5]);

    public void Dispose() => _scope.Dispose();

    /// <summary>Each row has gradients of another size, some of them out of float32's range.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_OfAnySize_AreRight(int length, double level)
    {
        foreach (var spread in (double[])[1, 1e-9, 1e9, 5e11, 1e-16, 1e16])
        {
            foreach (var weight in (double[])[1, 0, 1e-17, 1e17, 1e-22, 1e22])
            {
                using var scope = NewDisposeScope();
                using var norm = Norm(length, weight);
                var x = ((Layers.Values([Rows, length], ScalarType.Float32) + level) * spread).to(ScalarType.Float32);
                ShouldBeRight(norm, x, GradOutput(length, [1, 1e-7, 1e-18, 1e-25, 1e-42, 0, 1e-34, 1e17, 1e25, 1e37, -1]), $"length {length}, level {level}, spread {spread}, weight {weight}");
            }
        }
    }

    /// <summary>The incoming gradient over the spread would underflow float32; the large weight makes the result normal again.</summary>
    [Theory]
    [InlineData(1e6)]
    [InlineData(1e9)]
    [InlineData(5e11)]
    public void Gradients_ThatTheWeightMakesLargeAgain_AreRight(double spread)
    {
        using var norm = new LayerNorm(64);
        using (no_grad())
            norm.weight!.fill_(1e17);
        var x = tensor(new[] { spread, spread, -spread, -spread }, ScalarType.Float32).repeat(16).unsqueeze(0);
        var go = tensor(new[] { 1e-34, -1e-34 }, ScalarType.Float32).repeat(32).unsqueeze(0);

        ShouldBeRight(norm, x, go, $"spread {spread}");
    }

    /// <summary>The products with a level have the same rounding errors, and an outlier multiplies their sum.</summary>
    [Fact]
    public void Gradients_OfALongRowAboutALevel_AreRight()
    {
        using var norm = new LayerNorm(1000000);
        using (no_grad())
            norm.weight!.fill_(1.292734);
        var (x, go) = (full([1, 1000000], 960.5863f), full([1, 1000000], 1.0746106f));
        x[0, 333333] = 1960.5863f;

        ShouldBeRight(norm, x, go, "1000000");
    }

    /// <summary>What rounding the mean adds to each value is summed over the row.</summary>
    [Theory]
    [InlineData(1025, 8388609, 1e-5, 1, 0)]
    [InlineData(1057, 8388609, 1e3, 1, 0)] // eps outweighs the spread
    [InlineData(20001, 1.0000001f, 0.5, 1, 0)]
    [InlineData(20001, 8388609, 1e-5, 1, 0)]
    [InlineData(20001, 8388609, 1e-5, 1, 1)]
    [InlineData(20001, 8388609, 1e-5, 1e19, 0)] // a weight that is left to float64
    [InlineData(20001, 8.000001f, 1e-20, 1, 0)]
    [InlineData(20001, 8.000001f, 1e-20, 1e10, 0)] // a row that is
    public void Gradients_OfOneValueBesideALevel_AreRight(int length, float level, double eps, double weight, double bias)
    {
        using var norm = new LayerNorm(length, eps: eps);
        using (no_grad())
        {
            norm.weight!.fill_(weight);
            norm.bias!.fill_(bias);
        }
        var (x, go) = (Float32RowsTests.OneValueBeside(level, length), rand(1, length));
        var (gradient, weightGradient) = GradientsOf(norm, x, go, ScalarType.Float32);

        var (expected, expectedWeight) = GradientsOf(norm, x, go, ScalarType.Float64);
        var term = expected.abs().max();
        ((gradient - expected).abs() <= 8 * Float32RowsTests.HalfEpsilon * term).all().item<bool>().Should().BeTrue();
        ((weightGradient - expectedWeight).abs() <= 8 * Float32RowsTests.HalfEpsilon * expectedWeight.abs()).all().item<bool>().Should().BeTrue();
        norm.to(ScalarType.Float32).zero_grad();
        norm.forward(x).backward([go]); // the parameters' alone
        Layers.SameBits(norm.weight!.grad!.to(ScalarType.Float64), weightGradient).Should().BeTrue();
    }

    /// <summary>The rounding error of the mean is a large part of the one value's difference to it, and that value's gradient is large.</summary>
    [Theory]
    [InlineData(40, 1)]
    [InlineData(1208, 1)]
    [InlineData(1208, 1e19)] // a weight that is left to float64
    public void Gradients_OfALargeGradientAtTheOneValueBesideALevel_AreRight(int length, double weight)
    {
        using var norm = new LayerNorm(length, eps: 1.5e-5);
        using (no_grad())
            norm.weight!.fill_(weight);
        var go = GradOutput(length, [8.8e-7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])[..1];
        go[0, length - 3] *= 1e10f;

        ShouldBeRight(norm, Float32RowsTests.OneValueBeside(3.9e9f, length, at: length - 3), go, $"length {length}");
    }

    /// <summary>A row's gradients depend neither on the rows beside it nor on which parameters are trained.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_OfRowsAloneAndWithFrozenParameters_AreTheSameBits(int length, double level)
    {
        using var norm = Norm(length, 1);
        var x = Layers.Values([Rows, length], ScalarType.Float32) + level;
        var go = GradOutput(length, [1, 1, 1e-25, 1, 1e25, 1, 1, 1e-42, 1, 1, 1]);
        var together = Gradient(x, go);
        for (var row = 0; row < Rows; row++)
            Layers.SameBits(Gradient(x[row..(row + 1)], go[row..(row + 1)]), together[row..(row + 1)]).Should().BeTrue();
        norm.zero_grad();
        _ = Gradient(x, go);
        var (weight, bias) = (norm.weight!.grad!.clone(), norm.bias!.grad!.clone());
        foreach (var frozen in (TorchSharp.Modules.Parameter[])[norm.weight!, norm.bias!])
        {
            frozen.requires_grad = false;
            norm.zero_grad();
            Layers.SameBits(Gradient(x, go), together).Should().BeTrue();
            (norm.weight!.requires_grad ? Layers.SameBits(norm.weight!.grad!, weight) : Layers.SameBits(norm.bias!.grad!, bias)).Should().BeTrue();
            frozen.requires_grad = true;
        }

        Tensor Gradient(Tensor rows, Tensor gradOutput)
        {
            using var input = rows.detach().clone().requires_grad_();
            norm.forward(input).backward([gradOutput]);
            return input.grad!.clone();
        }
    }

    /// <summary>Two rows where the centers' low parts show, before two where they do not.</summary>
    [Fact]
    public void Gradients_OfOneValueBesideALevelAmongOthers_AreThoseOfTheRowAlone()
    {
        using var norm = Norm(300, 1);
        var (x, go) = (cat([Float32RowsTests.OneValueBeside(4194305, 300), Float32RowsTests.OneValueBeside(8388609, 300), rand(2, 300)]), rand(4, 300));
        var together = GradientsOf(norm, x, go, ScalarType.Float32).x;
        for (var row = 0; row < 4; row++)
            Layers.SameBits(GradientsOf(norm, x[row..(row + 1)], go[row..(row + 1)], ScalarType.Float32).x, together[row..(row + 1)]).Should().BeTrue();
        go[1..] = 0;
        Layers.SameBits(GradientsOf(norm, x[..1], go[..1], ScalarType.Float32).weight, GradientsOf(norm, x, go, ScalarType.Float32).weight).Should().BeTrue();
    }

    [Fact]
    public void Gradients_OfOneValueBesideALevelWithoutAWeight_AreThoseOfAWeightOfOnes()
    {
        using LayerNorm norm = new(1025), plain = new(1025, elementwise_affine: false);
        var (x, go) = (Float32RowsTests.OneValueBeside(8388609, 1025).requires_grad_(), rand(1, 1025));
        plain.forward(x).backward([go]);

        Layers.SameBits(x.grad!.to(ScalarType.Float64), GradientsOf(norm, x.detach(), go, ScalarType.Float32).x).Should().BeTrue();
    }

    /// <summary>Also of a bias without a weight. In whole groups and beyond them, in a row alone and in two at a time.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float64)]
    public void Gradients_OfAnyParametersThatAreThere_AreThoseOfAWeightOfOnesAndNoBias(ScalarType dtype)
    {
        foreach (var length in (int[])[7, 20, 64, 85])
        {
            using var all = new LayerNorm(length, dtype: dtype);
            var (x, go) = (Layers.Values([3, length], dtype), Layers.Values([3, length], dtype).flip(1));
            var expected = Of(all);
            foreach (var (hasWeight, hasBias) in ((bool, bool)[])[(true, false), (false, true), (false, false)])
            {
                using var some = new LayerNorm(length, dtype: dtype);
                if (!hasWeight)
                    some.weight = null;
                if (!hasBias)
                    some.bias = null;
                foreach (var (actual, whole) in Of(some).Zip(expected))
                    (actual is null || Layers.SameBits(actual, whole!)).Should().BeTrue($"length {length}, weight {hasWeight}, bias {hasBias}");
                (some.weight?.grad is not null, some.bias?.grad is not null).Should().Be((hasWeight, hasBias));
            }

            Tensor?[] Of(LayerNorm norm)
            {
                var input = x.detach().clone().requires_grad_();
                norm.forward(input).backward([go]);
                return [input.grad, norm.weight?.grad, norm.bias?.grad];
            }
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Gradients_OfARowWithoutAnswer_AreRightBeside(float value)
    {
        foreach (var column in (int[])[5, 78]) // among whole groups, and behind them
        {
            using var norm = Norm(79, 1);
            var go = GradOutput(79, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
            go[3, column] = value;
            var x = Layers.Values([Rows, 79], ScalarType.Float32).requires_grad_();
            norm.forward(x).backward([go]);

            x.grad!.isnan().any(1).Doubles().Should().Equal(Enumerable.Range(0, Rows).Select(row => row == 3 ? 1.0 : 0));
        }
    }

    [Theory]
    [InlineData(48)]
    [InlineData(49)]
    [InlineData(98)]
    [InlineData(103)]
    public void RMSNorm_OfARowExactlyAtEps_LetsTheGradientFlowThroughIt(int length)
    {
        using var norm = new RMSNorm(length, eps: 1);
        var x = ones(1, length).requires_grad_();

        norm.forward(x).backward([arange(length, ScalarType.Float32).view(1, length)]);

        x.grad!.sum().abs().item<float>().Should().BeLessThan(1e-3f, "a common factor of the row changes nothing");
    }

    private static Tensor GradOutput(int length, double[] sizes) =>
        (Layers.Values([Rows, length], ScalarType.Float64).flip(1) * tensor(sizes).unsqueeze(-1)).to(ScalarType.Float32);

    /// <summary>Weights of about this size; for size zero, every third is zero.</summary>
    private static LayerNorm Norm(int length, double size)
    {
        var norm = new LayerNorm(length);
        using var noGrad = no_grad();
        norm.weight!.copy_(size == 0 ? arange(length, ScalarType.Float32) % 3 : size * (1.25 + (0.75 * linspace(-1, 1, length).sin())));
        norm.bias!.fill_(size);
        return norm;
    }

    private static void ShouldBeRight(LayerNorm norm, Tensor x, Tensor go, string because)
    {
        var actual = GradientsOf(norm, x, go, ScalarType.Float32);
        var expected = GradientsOf(norm, x, go, ScalarType.Float64);
        var (values, gradients) = (x.to(ScalarType.Float64), go.to(ScalarType.Float64));
        var inverse = 1 / (values.var(1, unbiased: false, keepdim: true) + norm.eps).sqrt();
        var normal = (values - values.mean([1L], keepdim: true)) * inverse;
        var weighted = gradients * norm.weight!.detach();
        var terms = stack([weighted, weighted.mean([1L], keepdim: true).expand_as(weighted), normal * (weighted * normal).mean([1L], keepdim: true)]);
        ShouldBeWithin(actual.x, expected.x, terms.abs().amax([0]) * inverse, because);
        ShouldBeWithin(actual.weight, expected.weight, (gradients * normal).abs().amax([0]), because);
    }

    private static (Tensor x, Tensor weight) GradientsOf(LayerNorm norm, Tensor x, Tensor go, ScalarType dtype)
    {
        norm.to(dtype).zero_grad();
        var input = x.to(dtype, copy: true).requires_grad_();
        norm.forward(input).backward([go.to(dtype)]);
        return (input.grad!.to(ScalarType.Float64), norm.weight!.grad!.to(ScalarType.Float64));
    }

    private static void ShouldBeWithin(Tensor actual, Tensor expected, Tensor term, string because)
    {
        var isBeyond = expected.abs() > float.MaxValue;
        var isRight = ((actual - expected).abs() <= 8 * (Float32RowsTests.HalfEpsilon * term).clamp_min(float.Epsilon)).logical_or(isBeyond & (actual == expected.to(ScalarType.Float32).to(ScalarType.Float64)));
        isRight.all().item<bool>().Should().BeTrue($"{because}: the largest difference is {((actual - expected).abs() / term.clamp_min(float.Epsilon) / Float32RowsTests.HalfEpsilon).nan_to_num().max().item<double>()} units");
    }
}
