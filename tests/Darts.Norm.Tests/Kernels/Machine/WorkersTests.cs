using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Every block once, on as many threads as torch would take, and errors on none of them.</summary>
[Collection(nameof(Alone))] // changes the number of threads
public sealed class WorkersTests : IDisposable
{
    private const int Threads = 3;
    private const long Many = 1 << 20;

    private readonly int _threads = get_num_threads();

    public WorkersTests() => set_num_threads(Threads);

    public void Dispose() => set_num_threads(_threads);

    [Theory]
    [InlineData(1, Many)]
    [InlineData(2, Many)]
    [InlineData(40, Many)]
    [InlineData(40, 10)]
    public void Run_OfBlocks_RunsEachOnce(long blocks, long values)
    {
        var ran = new ConcurrentQueue<long>();
        Workers.Run(new Work(ran.Enqueue), blocks, values);
        ran.Order().Should().Equal(Enumerable.Range(0, (int)blocks).Select(block => (long)block));
    }

    [Theory]
    [InlineData(Many)]
    [InlineData(2 * 16 * 1024)]
    public void Run_OfMuchWork_IsOnAllThreadsAtOnce(long values)
    {
        using var all = new CountdownEvent(Threads);
        var met = new ConcurrentQueue<bool>();
        Workers.Run(
            new Work(_ =>
            {
                all.Signal();
                met.Enqueue(all.Wait(TimeSpan.FromSeconds(20)));
            }),
            Threads,
            values);
        met.Should().Equal(true, true, true);
    }

    /// <summary>libtorch's threads spin after each of its operations: threads of our own would wait for a core.</summary>
    [Fact]
    public void Run_OfMuchWorkOnLinux_IsOnLibtorchsThreads()
    {
        if (!OperatingSystem.IsLinux())
            return;
        using var all = new CountdownEvent(Threads);
        var caller = Environment.CurrentManagedThreadId;
        var areThePools = new ConcurrentQueue<bool>();
        Workers.Run(
            new Work(_ =>
            {
                all.Signal();
                all.Wait(TimeSpan.FromSeconds(20));
                if (Environment.CurrentManagedThreadId != caller)
                    areThePools.Enqueue(Thread.CurrentThread.IsThreadPoolThread);
            }),
            Threads,
            Many);
        areThePools.Should().Equal(false, false);
    }

    /// <summary>A thread's caches hold the blocks that it took before.</summary>
    [Fact]
    public void Run_OfMuchWorkOnLinux_GivesAThreadTheSameBlocksAgain()
    {
        if (!OperatingSystem.IsLinux())
            return;
        var first = Takers();
        for (var i = 0; i < 20; i++)
            Takers().Should().Equal(first);

        static int[] Takers()
        {
            using var all = new CountdownEvent(Threads);
            var takers = new int[Threads];
            Workers.Run(
                new Work(block =>
                {
                    takers[block] = Environment.CurrentManagedThreadId;
                    all.Signal();
                    all.Wait(TimeSpan.FromSeconds(20));
                }),
                Threads,
                Many);
            return takers;
        }
    }

    /// <summary>When a thread is held up at a block, the others take what is left of its share.</summary>
    [Fact]
    public void Run_OfMuchWork_LeavesNoThreadIdle()
    {
        using var rest = new CountdownEvent(39);
        Workers.Run(
            new Work(block =>
            {
                if (block == 0)
                    rest.Wait(TimeSpan.FromSeconds(20)).Should().BeTrue();
                else
                    rest.Signal();
            }),
            40,
            Many);
    }

    [Fact]
    public void Run_OfMuchWork_HoldsNothingOfItAfterwards()
    {
        var counts = Shared();
        Alone.Collect();
        counts.IsAlive.Should().BeFalse();

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference Shared()
        {
            var counts = new int[40];
            Workers.Run(new Work(block => counts[block]++), 40, Many);
            return new(counts);
        }
    }

    [Theory]
    [InlineData(10, 10)]
    [InlineData(1, Many)]
    public void Run_OfLittleWorkOrOneBlock_IsOnTheCallersThread(long blocks, long values)
    {
        var threads = new ConcurrentQueue<int>();
        Workers.Run(new Work(_ => threads.Enqueue(Environment.CurrentManagedThreadId)), blocks, values);
        threads.Should().OnlyContain(thread => thread == Environment.CurrentManagedThreadId);
    }

    /// <summary>Two callers at a time share three threads: one for each.</summary>
    [Fact]
    public void Run_WithinAnother_TakesItsShareOfTheThreads()
    {
        var inner = new ConcurrentQueue<(int outer, int inner)>();
        Workers.Run(
            new Work(_ =>
            {
                var outer = Environment.CurrentManagedThreadId;
                Workers.Run(new Work(_ => inner.Enqueue((outer, Environment.CurrentManagedThreadId))), 20, Many);
            }),
            1,
            Many);
        inner.Should().HaveCount(20).And.OnlyContain(pair => pair.outer == pair.inner);
    }

    [Theory]
    [InlineData(Many)]
    [InlineData(10)]
    public void Run_OfWorkThatThrows_ThrowsItAndTheNextIsOnAllThreads(long values)
    {
        for (var i = 0; i < 2; i++)
        {
            var run = () => Workers.Run(new Work(block => throw new InvalidOperationException($"block {block}")), 20, values);
            run.Should().Throw<InvalidOperationException>().WithMessage("block *");
        }
        Run_OfMuchWork_IsOnAllThreadsAtOnce(Many);
    }

    private readonly struct Work(Action<long> run) : IWork
    {
        public void Run(long block) => run(block);
    }
}
