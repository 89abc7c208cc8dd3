using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Long rows of float32, within 4 units in the last place of the row's largest value.</summary>
public sealed class Float32RowsTests : IDisposable
{
    private const long Length = 200;
    internal const double HalfEpsilon = 5.9604644775390625e-08; // a unit in the last place of a value is no less than so much of it
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(0, 1000)] // the values that the mean is guessed from lie far from the others
    [InlineData(0, 1e15)]
    [InlineData(1e5, 1e5)]
    [InlineData(-3e5, 7)]
    public void LayerNorm_OfValuesFarFromTheirMean_IsRight(double level, double outlier)
    {
        var x = Values() + level;
        foreach (var i in Enumerable.Range(0, 8).Select(i => i * Length / 8))
            x[.., (int)i] = (float)outlier;

        ShouldBeRight(new LayerNorm(Length), x);
    }

    [Theory]
    [InlineData(1554, 1160, 5.72975779f)]
    [InlineData(825, 591, 1.00323141f)]
    [InlineData(1537, 1152, 3.05614758f)]
    public void LayerNorm_OfTwoValues_IsRight(int length, int ones, float value)
    {
        var x = zeros(1, length);
        x[0, (length - ones)..] = value;
        foreach (var i in new[] { length / 4, length / 2, 3 * length / 4 })
            x[0, i] = 0f;

        ShouldBeRight(new LayerNorm(length), x);
    }

    /// <summary>All values have the same rounding errors, which therefore don't cancel.</summary>
    [Theory]
    [InlineData(64, 34, -562.31213f, 466.14166f, 0.3)]
    [InlineData(97, 50, 0.005383171f, -0.011139224f, 0.3)]
    [InlineData(128, 66, -522.9836f, 624.0405f, 0.3)]
    [InlineData(100, 52, -0.0018554953f, -2.3609f, 0.3)]
    [InlineData(64, 32, 0.0017841834f, 0.0017841836f, 0)] // only eps divides
    [InlineData(129, 65, 0.00010815708f, 0.00010815707f, 0)]
    public void LayerNorm_OfTwoValuesOnly_IsRight(int length, int ones, float one, float other, double spread)
    {
        var x = full([9, length], other);
        x[.., ..ones] = one;
        using var norm = new LayerNorm(length);
        using (no_grad())
            norm.weight!.copy_(1 + (spread * linspace(-2, 2, length)));

        ShouldBeRight(norm, x);
    }

    /// <summary>A value near the mean, of which few digits are left, gets a weight that makes it the row's largest.</summary>
    [Theory]
    [InlineData(64, 10)]
    [InlineData(96, 1e3)]
    [InlineData(192, 1e5)]
    public void LayerNorm_OfOneLargeWeight_IsRight(int length, double weight)
    {
        var x = randn(400, length);
        x[.., 7] = x.mean([1L]) + (x[.., 7] * (float)(1 / weight));
        using var norm = new LayerNorm(length);
        using (no_grad())
            norm.weight![7] = weight;

        ShouldBeRight(norm, x);
    }

    [Theory]
    [InlineData(128, false, 32)]
    [InlineData(128, true, 16)]
    [InlineData(129, false, 8)]
    [InlineData(512, true, 4)]
    [InlineData(2048, false, 1)]
    public void Together_OfALength_AreManyShortRows(long length, bool overlaps, int expected) => Float32Rows<LayerNormFormula>.Together(length, overlaps).Should().Be(expected);

    /// <summary>What the bias leaves of each value are the digits that float32 rounds away.</summary>
    [Fact]
    public void LayerNorm_WhoseBiasLeavesNothingButRoundings_IsRight()
    {
        using var norm = new LayerNorm(Length);
        var x = Values()[..1] + 50;
        using (no_grad())
            norm.bias!.copy_(-norm.call(x)[0]);

        ShouldBeRight(norm, x);
    }

    /// <summary>The mean lies so near the level that even float64 rounds it.</summary>
    [Theory]
    [InlineData(1023, 1, 0)]
    [InlineData(1023, 1, 0.5)] // in float64, beside a bias that is not small
    [InlineData(1023, 1e30, 0)] // written in float64
    [InlineData(1057, 1, 0)]
    public void LayerNorm_OfOneValueBesideALevel_IsRight(int length, double weight, double bias)
    {
        var x = OneValueBeside(-18896.848f, length);
        using var norm = new LayerNorm(length, eps: 1e-12);
        using (no_grad())
        {
            norm.weight!.fill_(weight);
            norm.weight![7] = 1000 * weight;
            norm.weight![length - 2] = 1000 * weight; // behind the whole groups, if any is
            norm.bias!.fill_(bias);
        }

        ShouldBeRight(norm, x);
    }

    [Theory]
    [InlineData(64, 1.927f)]
    [InlineData(1024, 1.92f)]
    public void LayerNorm_OfFourValuesInTurn_IsRight(int length, float weight)
    {
        var x = tensor(new[] { 2.0096138f, -0.043553434f, 2.0254893f, 0.03362401f }).repeat_interleave(length / 4);
        using var norm = new LayerNorm(length);
        using (no_grad())
            norm.weight!.fill_(weight);

        ShouldBeRight(norm, stack([x, x.reshape(4, -1).t().reshape(-1)]));
    }

    /// <summary>All rounding errors are near their largest, and take the largest value over a power of two, where the last rounding is twice as large.</summary>
    [Theory]
    [InlineData(1.9098699f, 0.010010007f, new[] { 1.0404036f, -0.9685087f, 1.0178503f, -0.9508171f, 0.99270874f, -0.9282976f, 0.9796909f, -0.9746661f, 0.99533737f, -0.940635f, 0.9656128f, -0.9428793f, 0.99875075f, -0.9340802f, 1.0045052f, -0.9489288f })]
    [InlineData(1.9670576f, 0, new[] { 1.2605624f, -0.74565274f, 1.2450545f, -0.7391095f, 1.2416804f, -0.7340466f, 1.2360065f, -0.7448302f, 1.2431909f, -0.7467222f, 1.2418681f, -0.74258727f, 1.2339617f, -0.74390334f, 1.2489603f, -0.7371016f })]
    public void LayerNorm_WhoseLargestValueIsRoundedToAPowerOfTwo_IsRight(float weight, float bias, float[] row)
    {
        using var norm = new LayerNorm(row.Length);
        using (no_grad())
        {
            norm.weight!.fill_(weight);
            norm.bias![0] = bias;
        }

        ShouldBeRight(norm, tensor(row).unsqueeze(0));
    }

    /// <summary>Each sum in float32 of a large square and a small one is rounded to the same side.</summary>
    [Fact]
    public void RMSNorm_WhoseSquaresAreAllRoundedAlike_IsRight()
    {
        var x = zeros(1, 64);
        x[0, ..14] = 1.0014442f;
        x[0, 15] = 0.11698603f;
        x[0, 16..30] = 0.00024401852f;
        x[0, 32..46] = 0.00024401852f;
        using var norm = new RMSNorm(64);
        using (no_grad())
            norm.g.fill_(1.8717401f);

        ShouldBeRight(norm, x);
    }

    /// <summary>The row's mean is at the threshold beyond which its squares are taken about the mean. Which way it goes must not depend on the rows beside it.</summary>
    [Theory]
    [InlineData(new float[] { 5195619, 5357294, 5180841, 5348783, 5193933, 5356591, 5193122, 5346833, 5191706, 5351433, 5195620, 5351600, 5189080, 5357163, 5180099, 5359201, 5193775, 5354988, 5182077, 5357587, 5197548, 5344800, 5188622, 5347117, 5183313, 5360940, 5183531, 5355759 })]
    [InlineData(new float[] { 5123473, 5289691, 5120478, 5291782, 5114189, 5291775, 5127046, 5279517, 5124328, 5273945, 5129212, 5278858, 5131369, 5282704, 5113791, 5282056, 5124446, 5283903, 5098925, 5286000, 5117463, 5280349, 5121975, 5278833, 5112015, 5285034, 5130543, 5287905, 5153418, 5294226 })]
    public void Measure_OfARowAtTheThreshold_IsTheSameBesideAnyOthers(float[] row)
    {
        float[] near = [.. row.Select((_, i) => (float)(i % 2))], far = [.. near.Select(value => value + 1e6f)];
        var alone = InverseOfTheLast(row);

        InverseOfTheLast(near, row).Should().Be(alone);
        InverseOfTheLast(far, row).Should().Be(alone);
        InverseOfTheLast(far, far, far, far);
        InverseOfTheLast(row).Should().Be(alone, "what a call leaves behind is none of the next one's business");
    }

    /// <summary>Float32 rounds the mean by half a unit, which shows in a value close to it.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7.999)]
    public void LayerNorm_OfAMeanAsLargeAsTheSpread_IsRight(double ratio)
    {
        var x = tensor(new[] { 2.003f, -0.0029f }).repeat(512).repeat(400, 1);
        x[.., 1] -= arange(400) * 1e-6f;
        (x[.., 1022], x[.., 1023]) = (1.0006f, 1.0005f);
        using var norm = new LayerNorm(1024);
        using (no_grad())
        {
            norm.weight!.fill_(0.999);
            norm.weight![1023] = 0.999 * ratio;
        }

        ShouldBeRight(norm, x);
    }

    /// <summary>Of the rows that are measured together, some take their squares about zero and some about their mean.</summary>
    [Theory]
    [InlineData(64)]
    [InlineData(96)]
    [InlineData(101)]
    [InlineData(300)]
    public void Layers_OfRowsNearAndFar_AreTheSameBitsAloneAndTogether(int length)
    {
        var x = Layers.Values([41, length], ScalarType.Float32);
        x += x.std(1, keepdim: true) * linspace(-2, 2, 41).unsqueeze(-1);
        using LayerNorm norm = new(length), shifted = new(length);
        using var rms = new RMSNorm(length);
        using var noGrad = no_grad();
        shifted.weight!.copy_(linspace(1.4, 1.6, length));
        shifted.bias!.copy_(linspace(-0.15, 0.15, length)); // takes some rows below a power of two
        foreach (var layer in (NormModule[])[norm, shifted, rms])
        {
            var together = layer.forward(x);
            for (var row = 0; row < 41; row++)
                Layers.SameBits(layer.forward(x[row..(row + 1)]), together[row..(row + 1)]).Should().BeTrue();
            ShouldBeRight(layer, x);
        }
    }

    [Theory]
    [InlineData(1e-30)]
    [InlineData(1e-42)]
    [InlineData(1e25)]
    [InlineData(0)]
    public void Layers_OfARowThatFloat32CannotSquare_AreRightThereAndBeside(double scale)
    {
        var x = Values();
        x[4] *= (float)scale;

        ShouldBeRight(new LayerNorm(Length, eps: 0.25), x);
        ShouldBeRight(new LayerNormNoBias(Length), x);
        ShouldBeRight(new RMSNorm(Length), x);
    }

    [Theory]
    [InlineData(1e30f)]
    [InlineData(1e-30f)]
    public void Layers_OfParametersFarFromOne_AreRight(float parameter)
    {
        using var norm = new LayerNorm(Length);
        using var rms = new RMSNorm(Length);
        using (no_grad())
        {
            norm.weight!.fill_(parameter);
            norm.bias!.fill_(parameter / 16);
            rms.g.fill_(parameter);
        }

        ShouldBeRight(norm, Values());
        ShouldBeRight(rms, Values());
    }

    [Theory]
    [InlineData(1e-30, 1e35)]
    [InlineData(1.1e-20, 0.9e20)]
    [InlineData(1.1e-18, 0.9e18)]
    [InlineData(0, 1e10)]
    public void RMSNorm_OfALargeWeightOnATinyValue_IsRight(double weight, double large)
    {
        using var rms = new RMSNorm(Length);
        var x = full([1, Length], 1e3f);
        x[0, 5] = 1e-38f; // subnormal once normalised, and then the row's largest
        using (no_grad())
        {
            rms.g.fill_(weight);
            rms.g[5] = large;
        }

        ShouldBeRight(rms, x);
    }

    [Fact]
    public void RMSNorm_OfALargeWeightOnATinyValueBelowEps_IsRight()
    {
        using var rms = new RMSNorm(Length, eps: 1.5);
        var x = full([1, Length], 1e-12f);
        x[0, 5] = 1e-40f; // subnormal, and the row's largest in the end
        using (no_grad())
        {
            rms.g.fill_(1e-17);
            rms.g[5] = 1e17;
        }

        ShouldBeRight(rms, x);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Layers_OfARowWithoutAnswer_AreRightBeside(double value)
    {
        var x = Values();
        x[3, 7] = (float)value;

        ShouldBeRight(new LayerNorm(Length), x);
        ShouldBeRight(new RMSNorm(Length), x);
    }

    [Theory]
    [InlineData(1024, 0.1f, 3)]
    [InlineData(1024, 1f, 0)]
    [InlineData(1024, 1f, 1)]
    [InlineData(1024, 1f, 2)]
    [InlineData(64, 1f, 3)]
    public void LayerNorm_WhoseBiasCancelsTheLargestValue_IsRight(int length, float weight, int column)
    {
        using var norm = new LayerNorm(length);
        var x = Layers.Values([19, length], ScalarType.Float32) * 1e-3f;
        x[.., column] = 1f; // the root of the length once normalised
        using (no_grad())
        {
            norm.weight!.fill_(weight);
            norm.bias!.zero_();
            norm.bias![column] = -0.99 * Math.Sqrt(length) * weight;
        }

        ShouldBeRight(norm, x);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void LayerNorm_WhoseBiasCancelsTheLargestValueOfASmallWeight_IsRight(int column)
    {
        using var norm = new LayerNorm(1024);
        var x = zeros(1, 1024);
        x[0, column] = 1f;
        using (no_grad())
        {
            norm.weight![column] = 0.003;
            norm.bias!.copy_(-norm.call(x)[0]);
            norm.bias![column] *= 0.99;
        }

        ShouldBeRight(norm, x);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(75)]
    [InlineData(128)]
    [InlineData(203)]
    public void LayerNorm_OfASmallBias_IsRight(int length)
    {
        using var norm = new LayerNorm(length);
        using (no_grad())
            norm.bias!.copy_(linspace(-0.1, 0.1, length));

        ShouldBeRight(norm, Layers.Values([19, length], ScalarType.Float32));
    }

    [Theory]
    [InlineData(64, 1e-4)]
    [InlineData(512, 1e-4)]
    [InlineData(512, 1e-5)]
    public void LayerNorm_WhoseBiasCancelsWhatEpsLeaves_IsRight(int length, double scale)
    {
        using var norm = new LayerNorm(length);
        var x = Layers.Values([1, length], ScalarType.Float32) * (float)scale;
        using (no_grad())
            norm.bias!.copy_(-norm.call(x)[0]);

        ShouldBeRight(norm, x);
    }

    [Fact]
    public void LayerNorm_OfAConstantRow_IsItsBias()
    {
        using var norm = new LayerNorm(Length);
        var x = full([3, Length], 12345.678f);

        norm.forward(x).abs().max().item<float>().Should().Be(0);
    }

    [Fact]
    public void Forward_WithAndWithoutGradients_IsTheSameBits()
    {
        using var norm = new LayerNorm(Length);
        var x = Values() + 1000;
        using var noGrad = no_grad();
        var plain = norm.forward(x);
        using var grad = enable_grad();

        Layers.SameBits(norm.forward(x).detach(), plain).Should().BeTrue();
    }

    /// <summary>One level, but for one value, which is the next larger float32.</summary>
    internal static Tensor OneValueBeside(float level, int length, int at = 0)
    {
        var x = full([1, length], level);
        x[0, at] = MathF.BitIncrement(level);
        return x;
    }

    private static Tensor Values() => Layers.Values([19, Length], ScalarType.Float32);

    /// <summary>What is left of such a row is nothing, which float32 holds as well; a batch is padded with them.</summary>
    [Theory]
    [InlineData(0, 1e-5)]
    [InlineData(3.3f, 1e-5)]
    [InlineData(-1e30f, 1)]
    public void Measure_OfAConstantRow_LeavesItToFloat32(float value, double eps)
    {
        float[] row = [.. Enumerable.Repeat(value, 37)];
        InverseOfTheLast<LayerNormFormula>(eps, row).Should().Be(1 / Math.Sqrt(eps));
        if (value == 0)
            InverseOfTheLast<RMSNormFormula>(1e-8, row).Should().Be(1 / 1e-8);
    }

    /// <summary>Beside a larger one their squares do not show; an eps that leaves a result below float32's digits does not do.</summary>
    [Theory]
    [InlineData(1e-8, 1e8)]
    [InlineData(1e-13, double.NaN)]
    [InlineData(1e-5, double.NaN)]
    public void Measure_OfARowWhoseSquaresVanish_IsByEpsAloneIfThatKeepsItsDigits(double eps, double inverse) =>
        InverseOfTheLast<RMSNormFormula>(eps, [.. Enumerable.Repeat(1e-30f, 70)]).Should().Be(inverse);

    [Theory]
    [InlineData(16)]
    [InlineData(40)]
    [InlineData(100)]
    public void Measure_OfARow_SquaresInFloat64(int length)
    {
        float[] row = [.. Enumerable.Range(0, length).Select(i => 1 + (i * 1.1f))];
        InverseOfTheLast<RMSNormFormula>(1e-8, row).Should().BeApproximately(1 / Math.Sqrt(row.Average(value => (double)value * value)), 1e-15);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(33)]
    [InlineData(63)]
    public void Layers_OfShortRows_AreRight(int length)
    {
        var x = Layers.Values([300, length], ScalarType.Float32);
        x[100..200] += 1000;
        x[250] = 0f;
        using LayerNorm norm = new(length), shifted = new(length);
        using var rms = new RMSNorm(length);
        using (no_grad())
        {
            norm.weight!.copy_(linspace(-2, 2, length));
            shifted.weight!.copy_(linspace(1.4, 1.6, length));
            shifted.bias!.copy_(linspace(-0.15, 0.15, length));
            rms.g.copy_(norm.weight!);
        }
        foreach (var layer in (NormModule[])[norm, shifted, rms])
            ShouldBeRight(layer, x);
    }

    private static double InverseOfTheLast(params float[][] rows) => InverseOfTheLast<LayerNormFormula>(1e-5, rows);

    private static unsafe double InverseOfTheLast<TFormula>(double eps, params float[][] rows)
        where TFormula : IRowFormula
    {
        var length = rows[0].Length;
        using var room = new Float64Buffer(rows.Length * Lanes.Padded(length));
        var from = (float*)room.At;
        var starts = stackalloc float*[rows.Length];
        for (var r = 0; r < rows.Length; r++)
        {
            starts[r] = from + (r * length);
            rows[r].CopyTo(new Span<float>(starts[r], length));
        }
        RowSum* sums = stackalloc RowSum[Float32Statistics.Most], squares = stackalloc RowSum[Float32Statistics.Most];
        var end = from + (2 * room.Length);
        Float32Sums<TFormula>.AddUp(starts, rows.Length, length, end, sums, squares);
        Float32Statistics measured;
        Float32Rows<TFormula>.Measure(starts, rows.Length, length, end, eps, Float32Rows<TFormula>.FarInSingle, ratio: 1, sums, squares, isWatched: false, &measured);
        return measured.Inverse[rows.Length - 1];
    }

    private static void ShouldBeRight(NormModule module, Tensor x)
    {
        using var noGrad = no_grad();
        var actual = module.call(x).to(ScalarType.Float64);
        using var layer = module.to(ScalarType.Float64);
        var expected = module.call(x.to(ScalarType.Float64));
        var unit = (expected.nan_to_num().abs().amax([-1], keepdim: true) * HalfEpsilon).clamp_min(float.Epsilon);
        ((actual - expected).abs() <= 4 * unit).logical_or(actual.isnan() & expected.isnan()).all().item<bool>().Should().BeTrue($"the largest difference is {(actual - expected).abs().max().item<double>()}");
    }
}
