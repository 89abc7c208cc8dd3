namespace Darts.Norm.Kernels;

/// <summary>How items are cut into blocks: by the shape alone, never by the number of threads.</summary>
internal readonly struct Blocks
{
    private const long ValuesABlock = 16 * 1024; // at least, but for the last
    private const long Most = 128;
    private readonly long _items;

    /// <param name="items">How many there are.</param>
    /// <param name="values">How many values an item has.</param>
    /// <param name="least">The fewest items of a block: more than one where each block has sums of its own.</param>
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
