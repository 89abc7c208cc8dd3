using System.Collections.Concurrent;

namespace Darts.Norm.Tests;

/// <summary>Threads that share one layer.</summary>
[Collection(nameof(Alone))]
public sealed class ConcurrencyTests
{
    private const int Threads = 8;
    private const int Calls = 200;

    public static TheoryData<string> StatelessNames => [.. Layers.All.Keys.Where(name => !name.StartsWith("RINorm", StringComparison.Ordinal))];

    public static TheoryData<string> EveryName => Layers.Names;

    [Theory]
    [MemberData(nameof(StatelessNames))]
    public void Forward_OnManyThreads_GivesEachItsOwnResult(string name)
    {
        using var layer = Layers.All[name].New();
        using var inputs = new Disposables(Enumerable.Range(0, Threads).Select(thread => Layers.Values(Layers.All[name].Shapes[0], start: thread)));
        using var expected = new Disposables(inputs.Select(layer.forward));
        var errors = OnThreads(thread =>
        {
            using var y = layer.forward(inputs[thread]);
            Layers.SameBits(y, expected[thread]).Should().BeTrue();
        });
        errors.Should().BeEmpty();
    }

    [Theory]
    [MemberData(nameof(EveryName))]
    public void Dispose_WhileOtherThreadsCall_IsAResultOrAClearError(string name)
    {
        using var x = Layers.All[name].Input().requires_grad_();
        using var expectedOf = Layers.All[name].New();
        using var expected = expectedOf.forward(x);
        Once();
        var perParameter = Layers.All[name].State.Length * Alone.TensorsLeft(() => nn.Parameter(ones(1)).Dispose());
        Alone.TensorsLeft(() => Enumerable.Range(0, 20).ToList().ForEach(_ => Once())).Should().Be(20 * perParameter);

        void Once()
        {
            var layer = Layers.All[name].New();
            var errors = new ConcurrentBag<Exception>();
            var threads = Enumerable.Range(0, 3).Select(_ => new Thread(() =>
            {
                try
                {
                    while (true)
                    {
                        using var y = layer.forward(x);
                        Layers.SameBits(y, expected).Should().BeTrue();
                    }
                }
                catch (Exception error)
                {
                    errors.Add(error);
                }
            })).ToList();
            threads.ForEach(thread => thread.Start());
            Thread.Sleep(1);
            layer.Dispose();
            threads.ForEach(thread => thread.Join());
            errors.Where(error => error is not ObjectDisposedException).Should().BeEmpty();
        }
    }

    [Fact]
    public void RINorm_OnManyThreads_NeverCrashesAndLeavesNoStatistics()
    {
        using var rin = Layers.All["RINorm"].New() as RINorm;
        using var x = Layers.All["RINorm"].Input().requires_grad_();
        using var z = Layers.Values([2, 3, 4, 2]).requires_grad_();
        using var plain = Layers.All["RINorm"].Input();
        using var gradOut = ones_like(plain);
        using var gradInverse = ones([2, 3, 4, 2]);
        rin!.forward(x).Dispose();
        var left = Alone.TensorsLeft(() => OnThreads(Use).Should().BeEmpty());
        left.Should().Be(0);

        void Use(int thread)
        {
            using var y = (thread % 4) switch { 0 => rin.forward(x), 1 => rin.transform(x), 2 => rin.inverse(z), _ => rin.forward(plain) };
            y.Doubles().All(double.IsFinite).Should().BeTrue();
            y.backward([thread % 4 == 2 ? gradInverse : gradOut]);
        }
    }

    [Fact]
    public void RINorm_MeanReadWhileAnotherThreadRunsForward_StaysUsable()
    {
        using var rin = new RINorm(4);
        using var x = Layers.All["RINorm"].Input();
        rin.forward(x).Dispose();
        var (mean, stdev) = (rin.mean!.Doubles(), rin.stdev!.Doubles());
        OnThreads(thread =>
        {
            if (thread % 2 == 0)
                rin.forward(x).Dispose();
            else
                (rin.mean!.Doubles(), rin.stdev!.Doubles()).Should().BeEquivalentTo((mean, stdev));
        }).Should().BeEmpty();
    }

    [Fact]
    public void RINorm_MeanUsedWhileAnotherThreadRunsForwardAndTheCollectorRuns_LivesUntilTheOperationEnds()
    {
        using var rin = new RINorm(7);
        using var x = Layers.Values([8, 300, 7]);
        rin.forward(x).Dispose();
        OnThreads(
            thread =>
            {
                if (thread % 2 == 0)
                {
                    rin.forward(x).Dispose();
                    GC.KeepAlive(new byte[60_000]); // many of them, and the collector runs
                    return;
                }
                using var mean = rin.mean!.clone(); // ends the process if what is cloned is freed meanwhile
                using var difference = rin.mean! - rin.stdev!;
                mean.shape.Should().Equal(8, 1, 7);
            },
            calls: 20 * Calls).Should().BeEmpty();
    }

    [Fact]
    public void RINorm_OtherBatchSizesOnOtherThreads_GiveAClearErrorAtWorst()
    {
        using var rin = new RINorm(4);
        using var inputs = new Disposables(Enumerable.Range(1, Threads).Select(batch => Layers.Values([batch, 5, 4])));
        var errors = OnThreads(thread =>
        {
            rin.forward(inputs[thread]).Dispose();
            using var y = rin.transform(inputs[thread]);
            y.shape.Should().Equal(inputs[thread].shape);
        });
        errors.Where(error => error is not ArgumentException || !error.Message.Contains("RINorm.transform takes the series that the statistics are of", StringComparison.Ordinal))
            .Should().BeEmpty();
    }

    [Fact]
    public void RINorm_DisposedWhileAnotherThreadRunsForward_LeavesNoStatistics()
    {
        using var x = Layers.All["RINorm"].Input();
        Once();
        Alone.TensorsLeft(() => Enumerable.Range(0, 20).ToList().ForEach(_ => Once())).Should().Be(0);

        void Once()
        {
            var rin = new RINorm(4, affine: false);
            var running = new Thread(() =>
            {
                try
                {
                    for (var i = 0; i < Calls; i++)
                        rin.forward(x).Dispose();
                }
                catch (ObjectDisposedException)
                {
                    // what a thread gets that goes on with a disposed layer
                }
            });
            running.Start();
            Thread.Sleep(1);
            rin.Dispose();
            running.Join();
        }
    }

    /// <summary>What 8 threads throw that use something 200 times each.</summary>
    internal static ConcurrentBag<Exception> OnThreads(Action<int> use, int calls = Calls)
    {
        var errors = new ConcurrentBag<Exception>();
        var threads = Enumerable.Range(0, Threads).Select(thread => new Thread(() =>
        {
            for (var i = 0; i < calls; i++)
            {
                try
                {
                    use(thread);
                }
                catch (Exception e)
                {
                    errors.Add(e);
                }
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        return errors;
    }

    internal sealed class Disposables(IEnumerable<Tensor> tensors) : List<Tensor>(tensors), IDisposable
    {
        public void Dispose() => ForEach(tensor => tensor.Dispose());
    }
}
