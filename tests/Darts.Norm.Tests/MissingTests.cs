namespace Darts.Norm.Tests;

/// <summary>Series with holes, against statistics and formulas computed by hand in double precision.</summary>
public sealed class MissingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public enum Marked
    {
        ByNaN,
        ByMask,
        ByBoth,
    }

    public static TheoryData<long[], ScalarType, Marked> Cases => Combinations.Of(
        (long[][])[[3, 50, 7], [2, 40, 129], [2, 10, 3, 5], [1, 9, 70], [4, 200, 1], [2, 1, 3], [2, 700, 16]], Layers.Dtypes, Enum.GetValues<Marked>());

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Normalize_WithHoles_TakesStatisticsOverWhatWasObserved(long[] shape, ScalarType dtype, Marked marked)
    {
        foreach (var (subtractLast, minStdev, level) in ((bool, double, double)[])[(false, 0, 0), (true, 0, 0), (false, 1.5, 0), (false, 0, 1000)])
        {
            var (x, mask, observed) = Holed(shape, dtype, marked, level);
            var rin = new RINorm(shape[^1], dtype: dtype) { missing = Missing.Zero, subtract_last = subtractLast, min_stdev = minStdev };
            var (y, statistics) = rin.normalize(x, mask);
            var expected = ByHand(x, observed, rin);
            Within(statistics.Values.select(0, 0) + statistics.Values.select(0, 1), expected.mean, 1e-13);
            Within(statistics.Values.select(0, 2), expected.stdev, 1e-12);
            Judged(y, where(observed, expected.y, 0), dtype);
            rin.missing = Missing.Keep;
            var (kept, _) = rin.normalize(x, mask);
            Layers.SameBits(kept.isnan(), ~observed).Should().BeTrue("missing stays missing, and nothing else is");
            Layers.SameBits(kept.nan_to_num(), y).Should().BeTrue();
            Layers.SameBits(rin.transform(x, statistics, mask), kept).Should().BeTrue();
        }
    }

    /// <summary>Such components are mapped separately, in float64, from values that the map of the others must not have overwritten.</summary>
    [Theory]
    [InlineData(Marked.ByNaN)]
    [InlineData(Marked.ByMask)]
    [InlineData(Marked.ByBoth)]
    public void Normalize_OfAComponentThatFloat32HasNoRangeFor_IsRightBesideTheOthers(Marked marked)
    {
        foreach (var (shape, first, end) in ((long[], int, int)[])[([3, 50, 7], 4, 5), ([3, 50, 3], 1, 2), ([2, 40, 129], 4, 5), ([2, 40, 129], 0, 129)])
        {
            var (x, mask, observed) = Holed(shape, ScalarType.Float32, marked, level: 0);
            x[.., .., first..end] *= 1e30f;
            var rin = new RINorm(shape[^1]) { missing = Missing.Zero };

            var (y, _) = rin.normalize(x, mask);

            Judged(y, where(observed, ByHand(x, observed, rin).y, 0), ScalarType.Float32);
        }
    }

    [Fact]
    public void WeightGradient_ThatCanBeDifferentiatedAgain_IsThatOfWhatWasObserved()
    {
        var (rin, x) = (new RINorm(2) { missing = Missing.Zero }, Layers.Values([2, 6, 2], ScalarType.Float32));
        x[0, 3, 1] = double.NaN;
        Of(createGraph: true).Zip(Of(createGraph: false)).Should().AllSatisfy(pair => pair.First.Should().BeApproximately(pair.Second, 1e-5));

        double[] Of(bool createGraph) => autograd.grad([rin.forward(x)], [rin.affine_weight!], [Layers.Values([2, 6, 2], ScalarType.Float32).flip(1)], create_graph: createGraph)[0].Doubles();
    }

    /// <summary>Missing values are the same NaN too, bit by bit.</summary>
    [Fact]
    public void Transform_OfAComponentThatIsMissing_IsTheBitsOfNormalize()
    {
        var x = Layers.Values([2, 17, 5], ScalarType.Float32);
        var mask = ones(2, 17, 5, dtype: ScalarType.Bool);
        mask[.., .., 1] = false;
        mask[.., 3] = false;
        var rin = new RINorm(5) { missing = Missing.Keep };

        var (y, statistics) = rin.normalize(x, mask);

        rin.transform(x, statistics, mask).detach().bytes.ToArray().Should().Equal(y.detach().bytes.ToArray());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Backward_WithHoles_IsTheFormulasGradientAndFinite(long[] shape, ScalarType dtype, Marked marked)
    {
        var (x, mask, observed) = Holed(shape, dtype, marked, level: 0);
        var rin = new RINorm(shape[^1], dtype: dtype) { missing = Missing.Zero };
        using (no_grad())
        {
            rin.affine_weight!.copy_(Layers.Values([shape[^1]], dtype).abs() + 0.5);
            rin.affine_bias!.copy_(Layers.Values([shape[^1]], dtype, start: 9));
        }
        x.requires_grad_();
        var gradOut = Layers.Values(shape, dtype, start: 50);
        gradOut = where(observed, gradOut, double.NaN).to(dtype); // a loss that divides by what is missing
        rin.normalize(x, mask).normalized.backward([gradOut]);

        var expected = ByHand(x.detach(), observed, rin);
        var go = where(observed, gradOut.to(ScalarType.Float64), 0);
        var normalised = where(observed, (x.detach().to(ScalarType.Float64) - expected.mean) / expected.stdev, 0);
        var pooled = Enumerable.Range(0, shape.Length - 1).Select(axis => (long)axis).ToArray();
        Judged(x.grad!, go * rin.affine_weight!.to(ScalarType.Float64) / expected.stdev, dtype);
        Judged(rin.affine_weight!.grad!, (go * normalised).sum(pooled), dtype, (go * normalised).abs().amax(pooled));
        Judged(rin.affine_bias!.grad!, go.sum(pooled), dtype, go.abs().amax(pooled));
        Layers.SameBits(x.grad! == 0, ~observed | (x.grad! == 0)).Should().BeTrue("nothing flows through what is missing");
    }

    /// <summary>The mean of the last time's values, which no float64 holds, goes out of the series with the digits that it lost by rounding.</summary>
    [Theory]
    [InlineData(1, ScalarType.Float32)]
    [InlineData(20, ScalarType.Float32)]
    [InlineData(20, ScalarType.Float64)]
    public void Backward_OfASeriesWithoutSpreadOrEps_ReachesNoHole(int components, ScalarType dtype)
    {
        var rin = new RINorm(components, eps: 0, dtype: dtype) { missing = Missing.Zero };
        var x = full([1, 9, components], 5, dtype: dtype);
        x[.., 3] = double.NaN;
        x.requires_grad_();
        rin.forward(x).sum().backward();
        x.grad![.., 3].Doubles().Should().AllBeEquivalentTo(0.0);
    }

    [Fact]
    public void Normalize_LastValueOfSeveralAxes_SubtractsTheirMeanExactly()
    {
        var x = (Layers.Values([2, 5, 3, 4], ScalarType.Float64) * 1e-3) + 1e9;
        foreach (var missing in Enum.GetValues<Missing>())
        {
            var rin = new RINorm(4, dtype: ScalarType.Float64) { subtract_last = true, missing = missing };
            var (y, statistics) = rin.normalize(x);
            // Near 1e9 differences are exact, and so are sums of three of them but for what is far below the bound.
            var origin = x.narrow(1, 0, 1).narrow(2, 0, 1);
            var level = (x - origin).narrow(1, 4, 1).mean([2L], keepdim: true);
            var expected = (x - origin - level) / statistics.Values.select(0, 2).unsqueeze(2).reshape(2, 1, 1, 4);
            (y - expected).abs().max().item<double>().Should().BeLessThanOrEqualTo(4 * Math.ScaleB(1, -52) * expected.abs().max().item<double>());
        }
    }

    [Fact]
    public void SecondOrder_WithHoles_IsFinite()
    {
        var (x, mask, _) = Holed([2, 8, 3], ScalarType.Float64, Marked.ByBoth, level: 0);
        x.requires_grad_();
        var rin = new RINorm(3, dtype: ScalarType.Float64) { missing = Missing.Zero };
        var first = autograd.grad([rin.normalize(x, mask).normalized.pow(3).sum()], [x], retain_graph: true, create_graph: true)[0];
        first.square().sum().backward();
        x.grad!.isfinite().all().item<bool>().Should().BeTrue();
        rin.affine_weight!.grad!.isfinite().all().item<bool>().Should().BeTrue();
    }

    [Theory]
    [InlineData(Missing.Keep)]
    [InlineData(Missing.Zero)]
    public void Normalize_NothingObserved_HasStatistics0And1AndInverseLeavesTheForecast(Missing missing)
    {
        var x = Layers.Values([2, 6, 3]);
        x[.., .., 1] = double.NaN;
        var rin = new RINorm(3) { missing = missing, min_stdev = 5 };
        rin.forward(x).Dispose();
        rin.mean![.., 0, 1].Doubles().Should().Equal(0, 0);
        rin.stdev![.., 0, 1].Doubles().Should().Equal(1, 1);
        var z = Layers.Values([2, 4, 3, 1]);
        Within(rin.inverse(z)[.., .., 1], z[.., .., 1].to(ScalarType.Float64), 1e-6);
    }

    [Fact]
    public void Normalize_NaNByDefault_MakesItsSeriesNaNAndNoOther()
    {
        var x = Layers.Values([2, 6, 3]);
        x[0, 2, 1] = double.NaN;
        var y = new RINorm(3).forward(x);
        y.isnan().sum().item<long>().Should().Be(6);
        y[0, .., 1].isnan().all().item<bool>().Should().BeTrue();
    }

    public static TheoryData<ScalarType, double> Levels => Combinations.Of(Layers.Dtypes, (double[])[0, 3, -7.7, 1e-4, 30000]);

    [Theory]
    [MemberData(nameof(Levels))]
    public void InverseOfForward_ConstantOrSingleValue_GivesItBack(ScalarType dtype, double level)
    {
        foreach (var (steps, subtractLast, minStdev) in ((long, bool, double)[])[(1, false, 0), (9, false, 0), (9, true, 0), (1, true, 0), (9, false, 2)])
        {
            var x = full([2, steps, 3], level, dtype: dtype);
            var rin = new RINorm(3, dtype: dtype) { subtract_last = subtractLast, min_stdev = minStdev };
            using (no_grad())
            {
                rin.affine_weight!.copy_(Layers.Of(0.3, -2, 5));
                rin.affine_bias!.copy_(Layers.Of(0.7, -1, 0.1));
            }
            var y = rin.forward(x);
            y.isfinite().all().item<bool>().Should().BeTrue();
            Judged(rin.inverse(y.unsqueeze(-1)).squeeze(-1), x.to(ScalarType.Float64), dtype);
        }
    }

    public static TheoryData<ScalarType, double> ExtremeLevels => new()
    {
        { ScalarType.Float16, 65504 },
        { ScalarType.Float16, -6e-8 },
        { ScalarType.BFloat16, 3e38 },
        { ScalarType.BFloat16, 1e-40 },
        { ScalarType.Float32, -3.4e38 },
        { ScalarType.Float32, 1e-45 },
        { ScalarType.Float32, 16777217 },
        { ScalarType.Float64, 1.7e308 },
        { ScalarType.Float64, -1e160 },
        { ScalarType.Float64, 5e-324 },
        { ScalarType.Float64, 0.1 },
    };

    [Theory]
    [MemberData(nameof(ExtremeLevels))]
    public void InverseOfForward_OneValueObservedOrAllAlikeAtAnyLevel_GivesItBack(ScalarType dtype, double level)
    {
        foreach (var (steps, observedAt) in ((long, long?)[])[(1, null), (3, null), (100, null), (1, 0), (7, 0), (7, 3), (100, 99)])
        {
            foreach (var (subtractLast, minStdev) in ((bool, double)[])[(false, 0), (true, 0), (false, 3), (true, 3)])
            {
                var x = full([2, steps, 3], level, dtype: dtype);
                if (observedAt is { } at)
                    x = where((arange(steps) == at).reshape(1, -1, 1), x, double.NaN).to(dtype);
                var rin = new RINorm(3, dtype: dtype) { subtract_last = subtractLast, min_stdev = minStdev, missing = observedAt is null ? Missing.None : Missing.Keep };
                using (no_grad())
                {
                    rin.affine_weight!.copy_(Layers.Of(0.3, -2, 5));
                    rin.affine_bias!.copy_(Layers.Of(0.7, -1, 0.1));
                }
                x.requires_grad_();
                var y = rin.forward(x);
                Layers.SameBits(y.isnan(), x.isnan()).Should().BeTrue();
                y.nan_to_num(0).isfinite().all().item<bool>().Should().BeTrue();
                Judged(rin.inverse(y.unsqueeze(-1)).squeeze(-1).nan_to_num(level), full([2, steps, 3], level, dtype: dtype).to(ScalarType.Float64), dtype);
                where(x.isnan(), 0, y).sum().backward();
                x.grad!.isfinite().all().item<bool>().Should().BeTrue();
            }
        }
    }

    public static TheoryData<long[], long[], bool> Masks
    {
        get
        {
            var masks = new TheoryData<long[], long[], bool>();
            foreach (var width in (long[])[2, 5, 16, 65, 129])
            {
                foreach (var isStrided in (bool[])[false, true])
                {
                    foreach (var size in (long[][])[[3, 40, width], [3, 40, 1], [1, 40, 1], [40, 1], [width], [1, 1, width], [3, 1, 1], [1, 40, width], []])
                        masks.Add([3, 40, width], size, isStrided);
                }
            }
            masks.Add([3, 40, 1], [3, 40, 1], false);
            masks.Add([2, 6, 3, 5], [2, 6, 1, 1], false);
            masks.Add([2, 6, 3, 5], [6, 3, 1], true);
            return masks;
        }
    }

    [Theory]
    [MemberData(nameof(Masks))]
    public void Mask_OfEachSizeThatExpands_IsNaNInItsPlace(long[] shape, long[] size, bool isStrided)
    {
        foreach (var dtype in Layers.Dtypes)
        {
            var mask = size.Length == 0 ? tensor(true) : Layers.Values(size, start: 7) > -0.5;
            var x = Layers.Values(shape, dtype);
            var marked = where(mask, x, double.NaN).to(dtype);
            x = where(mask, x, double.PositiveInfinity).to(dtype); // what lies under a hole does not matter
            if (isStrided)
                (x, mask) = (x.transpose(0, -1).contiguous().transpose(0, -1), mask.dim() < 2 ? mask : mask.transpose(0, -1).contiguous().transpose(0, -1));
            foreach (var missing in (Missing[])[Missing.Keep, Missing.Zero])
            {
                var rin = new RINorm(shape[^1], dtype: dtype) { missing = missing };
                var (masked, byNaN) = (Result(x, mask), Result(marked, null));
                for (var i = 0; i < masked.Length; i++)
                    Layers.SameBits(masked[i], byNaN[i]).Should().BeTrue("{0} of {1} with {2}", i, dtype, missing);

                Tensor[] Result(Tensor input, Tensor? m)
                {
                    rin.zero_grad();
                    input = input.detach().requires_grad_();
                    var (y, statistics) = rin.normalize(input, m);
                    where(y.isnan(), 0, y * y).sum().backward();
                    return [y, statistics.Values, rin.transform(input, statistics, m), input.grad!, rin.affine_weight!.grad!.clone(), rin.affine_bias!.grad!.clone()];
                }
            }
        }
    }

    [Fact]
    public void SubtractLast_OfAnOrdinarySeries_IsRevINs()
    {
        var x = Layers.Values([2, 6, 3], ScalarType.Float64);
        var rin = new RINorm(3, dtype: ScalarType.Float64) { subtract_last = true };
        var stdev = (x.var(dim: 1, unbiased: false, keepdim: true) + rin.eps).sqrt();
        Within(rin.forward(x), (x - x[.., ^1.., ..]) / stdev, 1e-13);
        Layers.SameBits(rin.mean!, x[.., ^1.., ..]).Should().BeTrue();
    }

    [Fact]
    public void MinStdev_Refused_SaysWhatHolds()
    {
        var rin = new RINorm(3);
        foreach (var bad in (double[])[-1, double.NaN, double.PositiveInfinity])
            rin.Invoking(r => r.min_stdev = bad).Should().Throw<ArgumentOutOfRangeException>().WithMessage("*min_stdev*at least 0*");
        rin.min_stdev.Should().Be(0);
    }

    [Fact]
    public void Mask_Refused_SaysWhatHoldsAndLeavesNothing()
    {
        var x = Layers.Values([2, 6, 3]);
        var rin = new RINorm(3);
        rin.Invoking(r => r.normalize(x, ones([2, 6, 3], ScalarType.Bool))).Should().Throw<InvalidOperationException>().WithMessage("*missing*Missing.Zero*Missing.Keep*");
        rin.missing = Missing.Zero;
        rin.Invoking(r => r.normalize(x, ones([2, 6, 3]))).Should().Throw<ArgumentException>().WithMessage("*Bool*Float32*");
        rin.Invoking(r => r.normalize(x, ones([2, 5, 3], ScalarType.Bool))).Should().Throw<ArgumentException>().WithMessage("*[2, 6, 3]*[2, 5, 3]*");
        rin.Invoking(r => r.normalize(x, ones([1, 2, 6, 3], ScalarType.Bool))).Should().Throw<ArgumentException>();
        rin.Invoking(r => r.normalize(x, ones([2, 6, 3], ScalarType.Bool, META))).Should().Throw<ArgumentException>().WithMessage("*device*");
        foreach (var size in (long[][])[[2, 6, 3], [2, 6, 1]])
            rin.Invoking(r => r.normalize(x, ones(size, ScalarType.Bool).to_sparse())).Should().Throw<ArgumentException>().WithMessage("*a dense mask*mask.to_dense()*");
        rin.mean.Should().BeNull();
    }

    /// <summary>A third of the values missing; one series all missing, another all but one.</summary>
    private static (Tensor x, Tensor? mask, Tensor observed) Holed(long[] shape, ScalarType dtype, Marked marked, double level)
    {
        var x = Layers.Values(shape, dtype) + level;
        var observed = (Layers.Values(shape, start: 1000) > -0.7).reshape(shape[0], shape[1], -1, shape[^1]);
        observed[0, .., .., 0] = false;
        if (shape[^1] > 2)
        {
            observed[0, .., .., 2] = false;
            observed[0, shape[1] / 2, .., 2] = true;
        }
        observed = observed.reshape(shape);
        var byNaN = marked switch { Marked.ByNaN => observed, Marked.ByMask => ones_like(observed), _ => observed | (Layers.Values(shape, start: 5) > 0) };
        var mask = marked == Marked.ByNaN ? null : observed | ~byNaN; // by both: some by one, some by the other
        return (where(byNaN, x, double.NaN).to(dtype), mask, observed);
    }

    private static (Tensor mean, Tensor stdev, Tensor y) ByHand(Tensor x, Tensor observed, RINorm rin)
    {
        var (batch, components) = (x.size(0), x.size(-1));
        var values = x.to(ScalarType.Float64).reshape(batch, -1, components).Doubles();
        var there = observed.reshape(batch, -1, components).to(ScalarType.Float64).Doubles();
        var steps = values.Length / (batch * components);
        var perTime = steps / x.size(1);
        var (origins, means, stdevs) = (new double[batch * components], new double[batch * components], new double[batch * components]);
        for (long series = 0; series < batch; series++)
        {
            for (long c = 0; c < components; c++)
            {
                var own = Enumerable.Range(0, (int)steps).Where(step => there[At(step)] == 1).ToList();
                long At(long step) => (((series * steps) + step) * components) + c;
                var origin = own.Count == 0 ? 0 : values[At(own[0])]; // near the others: little is lost by subtracting it
                var mean = own.Count == 0 ? 0 : own.Average(step => values[At(step)] - origin);
                var stdev = own.Count == 0 ? 1 : Math.Max(rin.min_stdev, Math.Sqrt(own.Average(step => Math.Pow(values[At(step)] - origin - mean, 2)) + rin.eps));
                if (rin.subtract_last && own.Count > 0)
                    mean = own.Where(step => step / perTime == own[^1] / perTime).Average(step => values[At(step)] - origin);
                var at = (series * components) + c;
                (origins[at], means[at], stdevs[at]) = (origin, mean, stdev);
            }
        }
        long[] shape = [batch, .. Enumerable.Repeat(1L, (int)x.dim() - 2), components];
        var (o, m, s) = (tensor(origins).reshape(shape), tensor(means).reshape(shape), tensor(stdevs).reshape(shape));
        var normalised = (x.to(ScalarType.Float64) - o - m) / s;
        return (o + m, s, (normalised * rin.affine_weight!.to(ScalarType.Float64).detach()) + rin.affine_bias!.to(ScalarType.Float64).detach());
    }

    private static void Within(Tensor actual, Tensor expected, double relative) =>
        ((actual.to(ScalarType.Float64) - expected).abs() - (expected.abs().clamp_min(1) * relative)).max().item<double>().Should().BeLessThanOrEqualTo(0);

    /// <summary>Asserts 4 units in the last place of the series' largest value, or of <paramref name="largest"/>. For float64, the expected values are no more exact than the actual ones.</summary>
    private static void Judged(Tensor actual, Tensor expected, ScalarType dtype, Tensor? largest = null)
    {
        actual.dtype.Should().Be(dtype);
        var (unit, least) = dtype switch
        {
            ScalarType.Float16 => (Math.ScaleB(1, -10), Math.ScaleB(1, -24)),
            ScalarType.BFloat16 => (Math.ScaleB(1, -7), Math.ScaleB(1, -133)),
            ScalarType.Float32 => (Math.ScaleB(1, -23), Math.ScaleB(1, -149)),
            _ => (Math.ScaleB(1, -44), 1e-300),
        };
        largest ??= expected.dim() < 3 ? expected.abs().max() : expected.abs().reshape(expected.size(0), -1, expected.size(-1)).amax([1L]).reshape([expected.size(0), .. Enumerable.Repeat(1L, (int)expected.dim() - 2), expected.size(-1)]);
        largest = maximum(largest, expected.abs());
        var bound = (largest * unit * 4).clamp_min(least);
        ((actual.to(ScalarType.Float64) - expected).abs() / bound).max().item<double>().Should().BeLessThanOrEqualTo(1);
    }
}
