namespace Darts.Norm.Tests;

/// <summary>Statistics as a value: whose they are, how long they live, and that calls in flight do not see each other's.</summary>
[Collection(nameof(Alone))]
public sealed class RINormStatisticsTests
{
    [Fact]
    public void Normalize_OfABatch_GivesForwardsBitsAndKeepsNothing()
    {
        using var scope = NewDisposeScope();
        foreach (var dtype in Layers.Dtypes)
        {
            var (rin, x) = ((RINorm)Layers.All["RINorm"].New(dtype), Layers.All["RINorm"].Input(dtype));
            var (y, statistics) = rin.normalize(x);
            rin.mean.Should().BeNull("the layer keeps nothing of it");
            Layers.SameBits(y, rin.forward(x)).Should().BeTrue();
            Layers.SameBits(statistics.mean, rin.mean!).Should().BeTrue();
            Layers.SameBits(statistics.stdev, rin.stdev!).Should().BeTrue();
            (statistics.dtype, statistics.device.type).Should().Be((dtype, DeviceType.CPU));
            statistics.shape.Should().Equal(2, 1, 4);
            var z = Layers.Values([2, 3, 4, 2], dtype);
            Layers.SameBits(rin.transform(x, statistics), rin.transform(x)).Should().BeTrue();
            Layers.SameBits(rin.inverse(z, statistics), rin.inverse(z)).Should().BeTrue();
        }
    }

    [Fact]
    public void Statistics_MadeInAScope_LiveUntilDisposed()
    {
        using var rin = new RINorm(4);
        RINormStatistics statistics;
        using (NewDisposeScope())
            statistics = rin.normalize(Layers.All["RINorm"].Input()).statistics;
        var mean = statistics.mean;
        mean.Doubles().Should().HaveCount(8);
        using var z = Layers.Values([2, 3, 4, 1]);
        rin.inverse(z, statistics).Dispose();
        statistics.Dispose();
        statistics.Dispose();
        mean.IsInvalid.Should().BeTrue();
        foreach (var use in (Action[])[() => rin.inverse(z, statistics), () => _ = statistics.mean, () => _ = statistics[..1], () => statistics.to(CPU), () => statistics.to(ScalarType.Float64)])
            use.Should().Throw<ObjectDisposedException>().WithMessage("*statistics*disposed*");
    }

    [Fact]
    public void Uses_OutsideAnyScope_LeaveWhatTheyGive()
    {
        using var rin = new RINorm(4);
        using var x = Layers.All["RINorm"].Input().requires_grad_();
        using var z = Layers.Values([2, 3, 4, 2]).requires_grad_();
        using var mask = ones([1, 5, 1], ScalarType.Bool);
        rin.missing = Missing.Zero;
        Once();
        Alone.TensorsLeft(Once).Should().Be(0);

        void Once()
        {
            var (y, statistics) = rin.normalize(x, mask);
            using (y)
            using (statistics)
            using (var half = statistics.to(ScalarType.Float16))
            using (var moved = statistics.to(CPU))
            using (var one = statistics[1..])
            using (var forecast = rin.inverse(z, moved, LikelihoodParameter.Location, LikelihoodParameter.Scale))
            using (var decoder = rin.transform(x, half, mask))
            using (var grad = ones_like(forecast))
            {
                _ = half.mean;
                forecast.backward([grad]);
            }
        }
    }

    [Fact]
    public void To_AnotherDtype_ShowsItAndLosesNothing()
    {
        using var scope = NewDisposeScope();
        var rin = new RINorm(4);
        var (_, statistics) = rin.normalize(Layers.All["RINorm"].Input() * 1000);
        var half = statistics.to(ScalarType.Float16);
        (half.mean.dtype, statistics.mean.dtype).Should().Be((ScalarType.Float16, ScalarType.Float32));
        var back = half.to(ScalarType.Float32);
        Layers.SameBits(back.mean, statistics.mean).Should().BeTrue();
        rin.inverse(Layers.Values([2, 3, 4, 1], ScalarType.Float64), half).dtype.Should().Be(ScalarType.Float64);
        statistics.Invoking(s => s.to(ScalarType.Int32)).Should().Throw<ArgumentException>();
        var meta = statistics.to(META);
        meta.device.type.Should().Be(DeviceType.META);
        rin.Invoking(r => r.inverse(Layers.Values([2, 3, 4, 1]), meta)).Should().Throw<ArgumentException>().WithMessage("*meta*");
    }

    [Fact]
    public void Slice_OfTheBatch_InversesThatPartOfIt()
    {
        using var scope = NewDisposeScope();
        var rin = new RINorm(4);
        var (_, statistics) = rin.normalize(Layers.Values([5, 6, 4]));
        var z = Layers.Values([5, 3, 4, 2]);
        var whole = rin.inverse(z, statistics);
        Layers.SameBits(rin.inverse(z[1..3], statistics[1..3]), whole[1..3]).Should().BeTrue();
        Layers.SameBits(rin.inverse(z[4..], statistics[^1..]), whole[4..]).Should().BeTrue();
        Layers.SameBits(rin.inverse(z[2..4], statistics.narrow(2, 2)), whole[2..4]).Should().BeTrue();
        rin.inverse(z[..0], statistics[..0]).shape.Should().Equal(0, 3, 4, 2);
        statistics.Invoking(s => s[3..9]).Should().Throw<ArgumentOutOfRangeException>();
        foreach (var (start, length) in new (long, long)[] { (-1, 2), (0, -1), (0, 6), (6, 0), (long.MaxValue, 1), (1, long.MaxValue) })
            statistics.Invoking(s => s.narrow(start, length)).Should().Throw<ArgumentOutOfRangeException>();
        statistics.narrow(5, 0).shape.Should().Equal(0, 1, 4);
        statistics.Invoking(s => s.narrow(4, 2)).Should().Throw<ArgumentOutOfRangeException>().WithMessage("*5*");
        rin.Invoking(r => r.inverse(z, statistics[..2])).Should().Throw<ArgumentException>().WithMessage("*batch 2*[5, 3, 4, 2]*");
        rin.Invoking(r => r.transform(Layers.Values([5, 6, 4]), statistics[..2])).Should().Throw<ArgumentException>();
        new RINorm(3).Invoking(r => r.inverse(Layers.Values([5, 3, 3, 1]), statistics)).Should().Throw<ArgumentException>("of another number of components");
    }

    [Fact]
    public void NormalizeAndInverse_OnManyThreads_EachGetsItsOwnBack()
    {
        using var rin = (RINorm)Layers.All["RINorm"].New();
        using var inputs = new ConcurrencyTests.Disposables(Enumerable.Range(1, 8).Select(thread => (Layers.Values([thread, 5, 4], start: thread) * thread) + (100 * thread)));
        var left = Alone.TensorsLeft(() => ConcurrencyTests.OnThreads(thread =>
        {
            using var scope = NewDisposeScope();
            var (y, statistics) = rin.normalize(inputs[thread]);
            using (statistics)
                (rin.inverse(y.unsqueeze(-1), statistics).squeeze(-1) - inputs[thread]).abs().max().item<float>().Should().BeLessThan(1e-3f);
        }).Should().BeEmpty());
        left.Should().Be(0);
    }

    [Fact]
    public void Dispose_WhileAnotherThreadComputes_IsAResultOrAClearError()
    {
        using var rin = new RINorm(4);
        using var x = Layers.All["RINorm"].Input();
        using var z = Layers.Values([2, 3, 4, 1]);
        for (var i = 0; i < 200; i++)
        {
            var (y, statistics) = rin.normalize(x);
            y.Dispose();
            Exception? error = null;
            var computing = new Thread(() =>
            {
                try
                {
                    rin.inverse(z, statistics).Dispose();
                }
                catch (Exception thrown)
                {
                    error = thrown;
                }
            });
            computing.Start();
            statistics.Dispose();
            computing.Join();
            (error is null or ObjectDisposedException).Should().BeTrue("{0}", error);
        }
    }

    [Fact]
    public void Uses_Refused_SayWhatHolds()
    {
        using var scope = NewDisposeScope();
        var (rin, x, z) = (new RINorm(4), Layers.All["RINorm"].Input(), Layers.Values([2, 3, 4, 1]));
        var (_, statistics) = rin.normalize(x);
        rin.Invoking(r => r.transform(x, null!)).Should().Throw<ArgumentNullException>().WithParameterName("statistics");
        rin.Invoking(r => r.inverse(z, (RINormStatistics)null!)).Should().Throw<ArgumentNullException>().WithParameterName("statistics");
        rin.Invoking(r => r.transform(null!, statistics)).Should().Throw<ArgumentNullException>().WithMessage("*received null*");
        rin.Invoking(r => r.transform(x.to(ScalarType.Int64), statistics)).Should().Throw<ArgumentException>().WithMessage("*Convert it first*");
        rin.Invoking(r => r.inverse(null!, statistics)).Should().Throw<ArgumentNullException>().WithMessage("*received null*");
        rin.Invoking(r => r.inverse(z.to(ScalarType.Int64), statistics)).Should().Throw<ArgumentException>().WithMessage("*Convert it first*");
        rin.Invoking(r => r.inverse(x, statistics)).Should().Throw<ArgumentException>().WithMessage("*4 dimensions after a forward on 3,*");
        rin.Invoking(r => r.transform(x, statistics.to(META))).Should().Throw<ArgumentException>().WithMessage("*kept its statistics on meta*");
        statistics.Invoking(s => s.to((Device)null!)).Should().Throw<ArgumentNullException>().WithParameterName("device");
        statistics.Invoking(s => s[..9]).Should().Throw<ArgumentOutOfRangeException>().WithMessage("*batch of 2*asked for 9 from 0 on*");
        rin.affine_bias = nn.Parameter(zeros(4, device: META));
        rin.Invoking(r => r.inverse(z, statistics)).Should().Throw<ArgumentException>().WithMessage("*one device*");
        statistics.Dispose();
        statistics.Invoking(s => s.device).Should().Throw<ObjectDisposedException>().WithMessage("*Dispose was called*");
    }

    [Fact]
    public void Mean_OfFloat64ChangedByTheCaller_ChangesNothingElse()
    {
        using var scope = NewDisposeScope();
        var (rin, z) = (new RINorm(4), Layers.Values([2, 3, 4, 1], ScalarType.Float64));
        var (_, statistics) = rin.normalize(Layers.All["RINorm"].Input(ScalarType.Float64));
        var before = rin.inverse(z, statistics);
        statistics.mean.fill_(7);
        Layers.SameBits(rin.inverse(z, statistics), before).Should().BeTrue();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Mean_ShownOnAnotherThreadToo_OutlivesDispose(bool isMoved)
    {
        using var scope = NewDisposeScope();
        var (_, statistics) = new RINorm(4).normalize(Layers.All["RINorm"].Input());
        var mean = statistics.mean;
        var other = new Thread(() => _ = statistics.mean);
        other.Start();
        other.Join();
        if (isMoved)
        {
            using var before = statistics;
            statistics = before.Moved(ScalarType.Float64, CPU);
            statistics.mean.Should().BeSameAs(mean);
        }
        statistics.Dispose();
        mean.IsInvalid.Should().BeFalse("that thread may be computing with it");
        mean.Dispose();
    }

    [Fact]
    public void Mean_ShownOnThisThreadToo_OutlivesADisposeOnTheOther()
    {
        using var scope = NewDisposeScope();
        var (_, statistics) = new RINorm(4).normalize(Layers.All["RINorm"].Input());
        var mean = statistics.mean;
        var other = new Thread(() =>
        {
            _ = statistics.mean;
            statistics.Dispose();
        });
        other.Start();
        other.Join();
        mean.IsInvalid.Should().BeFalse("this thread may be computing with it");
        mean.Dispose();
    }

    [Fact]
    public void Hold_OfWhatADisposeLeftOver_LastsUntilItsRelease()
    {
        using var scope = NewDisposeScope();
        var statistics = new RINorm(4).normalize(Layers.All["RINorm"].Input()).statistics;
        statistics.Hold().Should().BeSameAs(statistics);
        statistics.Dispose();
        statistics.Values.IsInvalid.Should().BeFalse("a call in flight still reads it");
        statistics.TryHold().Should().BeTrue();
        statistics.Release();
        statistics.Invoking(s => s.Hold()).Should().Throw<ObjectDisposedException>();
        statistics.Release();
        statistics.Values.IsInvalid.Should().BeTrue();
        statistics.TryHold().Should().BeFalse();
    }

    [Fact]
    public void Backward_AfterTheStatisticsAreDisposed_StillHasThem()
    {
        using var scope = NewDisposeScope();
        var rin = new RINorm(4);
        var x = Layers.All["RINorm"].Input().requires_grad_();
        var (y, statistics) = rin.normalize(x);
        var stdev = statistics.stdev.clone();
        statistics.Dispose();
        y.sum().backward();
        Layers.SameBits(x.grad!, (1 / stdev.to(ScalarType.Float64)).to(ScalarType.Float32).expand(x.shape)).Should().BeFalse("stdev is rounded to Float32 here");
        ((x.grad! * stdev) - 1).abs().max().item<float>().Should().BeLessThan(1e-6f);
    }

    [Fact]
    public void Backward_WithStatisticsOfInferenceMode_IsThatOfOthers()
    {
        using var scope = NewDisposeScope();
        var rin = new RINorm(4);
        var x = Layers.All["RINorm"].Input();
        RINormStatistics inInference, others = rin.normalize(x).statistics;
        using (inference_mode())
            inInference = rin.normalize(x).statistics;
        var expected = Gradients(others);
        foreach (var (actual, other) in Gradients(inInference).Zip(expected))
            Layers.SameBits(actual, other).Should().BeTrue();

        // Of first and second order.
        Tensor[] Gradients(RINormStatistics statistics)
        {
            var leaf = x.clone().requires_grad_();
            var y = rin.inverse(rin.transform(leaf, statistics).square().unsqueeze(-1), statistics);
            var first = autograd.grad([y.sum()], [leaf, rin.affine_weight!, rin.affine_bias!], retain_graph: true, create_graph: true);
            var second = autograd.grad([first[0].square().sum() + first[1].square().sum()], [leaf, rin.affine_weight!, rin.affine_bias!]);
            return [.. first, .. second];
        }
    }
}
