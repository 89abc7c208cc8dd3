namespace Darts.Norm.Kernels;

/// <summary>Work in blocks that do not depend on each other.</summary>
internal interface IWork
{
    public void Run(long block);
}

/// <summary>Runs blocks on as many threads as torch would, fewer where the callers are many, one where the work is small.</summary>
/// <remarks>What a block computes must not depend on who runs it: then the results do not depend on the number of threads.</remarks>
internal static class Workers
{
    /// <summary>So many values keep a thread busy for longer than it takes to wake it.</summary>
    private const long ValuesAThread = 32 * 1024;

    private static int _callers;

    public static void Run<TWork>(TWork work, long blocks, long values)
        where TWork : struct, IWork
    {
        var callers = Interlocked.Increment(ref _callers);
        try
        {
            var threads = values < 2 * ValuesAThread ? 1 : Math.Min(Math.Min(get_num_threads() / callers, blocks), values / ValuesAThread);
            if (threads > 1)
                RunTogether(work, blocks, (int)threads);
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

    private static void RunTogether<TWork>(TWork work, long blocks, int threads)
        where TWork : struct, IWork
    {
        long next = -1;
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ =>
        {
            for (var block = Interlocked.Increment(ref next); block < blocks; block = Interlocked.Increment(ref next))
                work.Run(block);
        });
    }
}

/// <summary>How items are cut into blocks: by the shape alone, never by the number of threads.</summary>
internal readonly struct Blocks
{
    private const long ValuesABlock = 16 * 1024;
    private const long Most = 128;
    private readonly long _items;

    /// <param name="items">How many there are.</param>
    /// <param name="values">How many values an item has.</param>
    /// <param name="least">The fewest items that a block is worth its own sums for.</param>
    public Blocks(long items, long values, long least = 1)
    {
        _items = items;
        Size = Math.Max(Math.Max(least, (items + Most - 1) / Most), (ValuesABlock + values - 1) / values);
        Count = (items + Size - 1) / Size;
    }

    public long Count { get; }

    /// <summary>The items of a block; the last may have fewer.</summary>
    public long Size { get; }

    public long First(long block) => block * Size;

    public long End(long block) => Math.Min(_items, (block + 1) * Size);
}
