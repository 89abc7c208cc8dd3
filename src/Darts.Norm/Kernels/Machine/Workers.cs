namespace Darts.Norm.Kernels;

/// <summary>Runs blocks on as many threads as torch would, fewer where the callers are many, one where the work is small.</summary>
/// <remarks>What a block computes must not depend on who runs it: then the results do not depend on the number of threads.</remarks>
internal static class Workers
{
    /// <summary>From this many values on, a thread is busy for longer than it takes to wake it.</summary>
    private const long ValuesAThread = 16 * 1024;

    private static int _callers;

    public static void Run<TWork>(TWork work, long blocks, long values)
        where TWork : struct, IWork
    {
        var callers = Interlocked.Increment(ref _callers);
        try
        {
            // The whole team even where there are fewer blocks: a team that shrinks and grows ends threads and starts them again.
            var threads = values < 2 * ValuesAThread || blocks == 1 ? 1 : get_num_threads() / callers;
            if (threads > 1)
                new Share<TWork>(work, blocks, threads).Run(threads);
            else
                RunAlone(work, blocks);
        }
        finally
        {
            Interlocked.Decrement(ref _callers);
        }
    }

    private static void RunAlone<TWork>(TWork work, long blocks)
        where TWork : struct, IWork
    {
        for (long block = 0; block < blocks; block++)
            work.Run(block);
    }

    /// <summary>Each thread starts with blocks that are the same in every call, as its core's caches may still hold what it read and wrote there. Then it takes those that other threads have left.</summary>
    private sealed class Share<TWork> : SharedWork
        where TWork : struct, IWork
    {
        private const int Line = 64 / sizeof(long); // so far apart, counters do not wait for each other

        private TWork _work; // not readonly: it would be copied for each block
        private readonly long _blocks;
        private readonly int _threads;
        private readonly long[] _taken;

        public Share(TWork work, long blocks, int threads)
        {
            (_work, _blocks, _threads) = (work, blocks, threads);
            _taken = new long[threads * Line];
            for (var thread = 0; thread < threads; thread++)
                _taken[thread * Line] = First(thread) - 1;
        }

        protected override void Take(int thread)
        {
            for (var i = 0; i < _threads; i++)
            {
                var owner = (thread + i) % _threads;
                ref var taken = ref _taken[owner * Line];
                var end = First(owner + 1);
                for (var block = Interlocked.Increment(ref taken); block < end; block = Interlocked.Increment(ref taken))
                    _work.Run(block);
            }
        }

        private long First(int thread) => thread * _blocks / _threads;
    }
}
