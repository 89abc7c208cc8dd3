using System.Numerics;
using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Means and stdevs against sums of any length, over the whole range of float64.</summary>
public sealed unsafe class SeriesStatisticsTests : IDisposable
{
    private const int Guard = 64;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<long, long, int, double> Cases
    {
        get
        {
            var cases = new TheoryData<long, long, int, double>();
            foreach (var (steps, width) in ((long, long)[])[(1, 1), (1, 7), (5, 3), (96, 7), (400, 1), (9, 64), (5, 70)])
            {
                foreach (var exponent in (int[])[-1070, -1022, -540, -500, -30, 0, 500, 505, 520, 1022])
                {
                    foreach (var eps in (double[])[0, 0.25, 1e-293])
                        cases.Add(steps, width, exponent, eps);
                }
            }
            return cases;
        }
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Measure_OfFloat64OfAnySize_IsTheExactMeanAndStdev(long steps, long width, int exponent, double eps)
    {
        foreach (var (level, bits) in ((double, int)[])[(0, 1), (3, 2), (1e15, 50)])
        {
            var x = (Layers.Values([2, steps, width], ScalarType.Float64) + level) * Math.ScaleB(1, exponent - bits);
            ShouldBeExact<Float64>(x, new(eps), Math.ScaleB(1, -100), Math.ScaleB(1, -96));
            ShouldBeExact<WithGaps<Float64>>(Holed(x), new(eps), Math.ScaleB(1, -100), Math.ScaleB(1, -96));
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 3)]
    [InlineData(96, 7)]
    [InlineData(150, 1)]
    [InlineData(9, 64)]
    [InlineData(5, 70)]
    public void Measure_OfNarrowDtypes_IsTheirMeanAndStdevToFloat64sDigits(long steps, long width)
    {
        foreach (var level in (double[])[0, 1000])
        {
            var values = Layers.Values([2, steps, width], ScalarType.Float64) + level;
            foreach (var eps in (double[])[0, 0.25])
            {
                Both<Float32>(values.to(ScalarType.Float16), eps);
                Both<Float32>(values.to(ScalarType.BFloat16), eps);
                Both<Float32>(values.to(ScalarType.Float32), eps);
                Both<Float32>((values * 1e35).to(ScalarType.Float32), eps);
                Both<Float32>((values * 1e-40).to(ScalarType.Float32), eps);
            }
        }

        static void Both<T>(Tensor x, double eps)
            where T : IElement
        {
            ShouldBeExact<T>(x, new(eps), 1e-15, 1e-8);
            ShouldBeExact<WithGaps<T>>(Holed(x), new(eps), 1e-15, 1e-8);
        }
    }

    /// <summary>Far from zero the squares of the values leave a variance few digits: what such components are measured by is their own affair.</summary>
    [Theory]
    [InlineData(9, 40)]
    [InlineData(7, 300)]
    [InlineData(70, 5)]
    public void Measure_OfLevelsNearAndFar_IsExactAndWhateverTheOthersAre(long width, long steps)
    {
        var levels = tensor([0, 10, 30, 50, 70, 100, 1000, 1e5, 1e7], ScalarType.Float64).repeat(8).slice(0, 0, width, 1);
        var x = (randn([2, steps, width], ScalarType.Float64) + levels).to(ScalarType.Float32);
        x[.., .., 3] = 5;
        Check<Float32>(x);
        Check<WithGaps<Float32>>(Holed(x));

        void Check<T>(Tensor x)
            where T : IElement
        {
            ShouldBeExact<T>(x, new(1e-5), 1e-15, 1e-8);
            var all = Measured<T>(x, new(1e-5));
            var (near, far) = (x.clone(), x.clone());
            near[.., .., 3..] = x[.., .., ..1];
            far[.., .., ..4] = x[.., .., 6..7];
            Measured<T>(near, new(1e-5))[..3].Should().Equal(all[..3]);
            Measured<T>(far, new(1e-5))[4..(int)width].Should().Equal(all[4..(int)width]);
        }
    }

    [Fact]
    public void Measure_WithALeastStdev_IsNotBelowIt()
    {
        foreach (var scale in (double[])[1e-200, 1, 1e200])
        {
            var x = Layers.Values([1, 20, 3], ScalarType.Float64) * scale;
            foreach (var (least, expected) in Measured<Float64>(x, default).Select(own => own.stdev).SelectMany(own => new[] { (own / 2, own), (own * 2, own * 2) }))
                Measured<Float64>(x, new(0, least)).Select(one => one.stdev).Should().Contain(expected).And.OnlyContain(stdev => stdev >= least);
        }
    }

    /// <summary>Of one component; the others are as without it, though one may be far from zero.</summary>
    [Theory]
    [InlineData(double.NaN, double.NaN)]
    [InlineData(double.PositiveInfinity, double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity, double.NegativeInfinity)]
    public void Measure_OfAComponentThatIsNotFinite_IsNoStdevAndTheMeanOfIt(double value, double mean)
    {
        foreach (var (component, step) in ((long, long)[])[(0, 0), (2, 33), (3, 0), (5, 0), (8, 33)])
        {
            foreach (var level in (double[])[0, 1e5])
            {
                Check<Float64>(ScalarType.Float64, component, step, level);
                Check<Float32>(ScalarType.Float32, component, step, level);
                if (double.IsInfinity(value))
                    Check<WithGaps<Float32>>(ScalarType.Float32, component, step, level);
            }
        }

        void Check<T>(ScalarType dtype, long component, long step, double level)
            where T : IElement
        {
            var x = Layers.Values([1, 40, 9], dtype);
            x[.., .., 1] += level;
            var sound = Measured<T>(x, new(1e-5));
            x[0, step, component] = value;
            var hurt = Measured<T>(x, new(1e-5));
            for (var c = 0; c < 9; c++)
                hurt[c].Should().Be(c == component ? (mean, 0, double.NaN, 0) : sound[c]);
        }
    }

    [Fact]
    public void Measure_LastValue_IsTheMeanOfTheLastTimeThatHasOne()
    {
        foreach (var scale in (double[])[1, 1e-310, Math.ScaleB(1, 1023)])
        {
            var x = (Layers.Values([2, 7, 3, 5], ScalarType.Float64).abs() / 2) * scale;
            var steps = x.reshape(2, 21, 5);
            CheckLast<Float64>(x, steps.slice(1, 18, 21, 1));
            x[.., 6] = double.NaN;
            x[.., 5, 1] = double.NaN;
            CheckLast<WithGaps<Float64>>(x, stack([x[.., 5, 0], x[.., 5, 2]], 1));
            var alone = x[.., .., 0].contiguous(); // one at a time
            CheckLast<WithGaps<Float64>>(alone, alone[.., 5..6]);
            alone[.., .., 3] = double.NaN;
            alone[.., 1.., 2] = double.NaN;
            var statistics = Measured<WithGaps<Float64>>(alone, new(1e-5, SubtractLast: true));
            statistics[3].Should().Be((0, 0, 1, 0));
            statistics[2].mean.Should().Be(alone[0, 0, 2].item<double>(), "none but the first time has one");
        }

        static void CheckLast<T>(Tensor x, Tensor last)
            where T : IElement
        {
            var (statistics, values) = (Measured<T>(x, new(1e-5, SubtractLast: true)), last.Doubles());
            var (width, count) = ((int)x.size(-1), last.size(1));
            for (var i = 0; i < statistics.Length; i++)
            {
                var (series, c) = (i / width, i % width);
                var sum = Enumerable.Range(0, (int)count).Aggregate(BigInteger.Zero, (sum, k) => sum + Exact(values[(((series * (int)count) + k) * width) + c]));
                ShouldBe((Exact(statistics[i].mean) + Exact(statistics[i].low)) * count, sum, (BigInteger.Abs(sum) >> 100) + (2 * count));
            }
            statistics.Select(one => one.stdev).Should().Equal(Measured<T>(x, new(1e-5)).Select(one => one.stdev), "it stays that about the mean");
        }
    }

    /// <summary>Some values missing; of the second component all, of the third all but one.</summary>
    private static Tensor Holed(Tensor x)
    {
        var there = Layers.Values(x.shape, start: 1000) > -0.7;
        if (x.size(-1) > 2)
        {
            there[.., .., 1] = false;
            there[.., .., 2] = false;
            there[.., x.size(1) / 2, 2] = true;
        }
        return where(there, x, double.NaN).to(x.dtype);
    }

    private static void ShouldBeExact<T>(Tensor x, StatisticsOptions options, double ofMean, double ofVariance)
        where T : IElement
    {
        var (statistics, values) = (Measured<T>(x, options), x.Doubles());
        var (steps, width) = ((int)x.size(1), (int)x.size(2));
        for (var i = 0; i < statistics.Length; i++)
        {
            var (series, c) = (i / width, i % width);
            var own = Enumerable.Range(0, steps).Select(step => values[(((series * steps) + step) * width) + c]).Where(value => !double.IsNaN(value)).Select(Exact).ToList();
            if (own.Count == 0)
            {
                statistics[i].Should().Be((0, 0, 1, 0));
                continue;
            }
            BigInteger n = own.Count;
            var (sum, squares) = own.Aggregate((sum: BigInteger.Zero, squares: BigInteger.Zero), (sums, value) => (sums.sum + value, sums.squares + (value * value)));
            var (mean, low, stdev, lost) = statistics[i];
            var largest = own.Max(BigInteger.Abs);
            ShouldBe((Exact(mean) + Exact(low)) * n, sum, (n * largest / (BigInteger)(1 / ofMean)) + (2 * n));
            // Half a unit of the least number more or less is as good a root.
            var (root, variance) = (Exact(stdev) + Exact(lost), (n * squares) - (sum * sum) + (n * n * (Exact(options.Eps) << 1074)));
            var ofMean2 = (n * n * BigInteger.Abs(Exact(low)) * Exact(Math.BitIncrement(Math.Abs(mean)) - Math.Abs(mean))) >> 50; // of what the mean lost, itself rounded
            ShouldBe(root * root * n * n, variance, (variance / (BigInteger)(1 / ofVariance)) + ofMean2 + (2 * (root + 1) * n * n));
        }
    }

    private static void ShouldBe(BigInteger actual, BigInteger expected, BigInteger bound) => (BigInteger.Abs(actual - expected) <= bound).Should().BeTrue();

    /// <summary>Of each component of each series.</summary>
    private static (double mean, double low, double stdev, double lost)[] Measured<T>(Tensor x, StatisticsOptions options)
        where T : IElement
    {
        var groups = new SeriesGroups(ref x, x.size(-1));
        var count = (int)(groups.Batch * groups.Width);
        var room = SeriesStatistics<T>.Room(groups);
        using var to = new Float64Buffer(4 * count);
        using var gathered = new Float64Buffer(groups.Gathered);
        using var own = new Float64Buffer(room + Guard);
        new Span<double>(own.At, (int)own.Length).Fill(7);
        var statistics = new SeriesStatistics<T>(groups, to.At, options, (byte*)gathered.At, own.At);
        for (long series = 0; series < groups.Batch; series++)
            statistics.Measure(series);
        GC.KeepAlive(x);
        new Span<double>(own.At + room, Guard).IndexOfAnyExcept(7).Should().Be(-1, "it keeps to its room");
        var values = new double[4 * count];
        new Span<double>(to.At, values.Length).CopyTo(values);
        return [.. Enumerable.Range(0, count).Select(i => (values[i], values[count + i], values[(2 * count) + i], values[(3 * count) + i]))];
    }
}
