using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>How items are cut into blocks.</summary>
public sealed class BlocksTests
{
    [Theory]
    [InlineData(10, 16 * 1024, 1, 1, 10)]
    [InlineData(10, 16 * 1024, 4, 4, 3)]
    [InlineData(10, (16 * 1024) - 1, 1, 2, 5)]
    [InlineData(10, 1, 1, 16 * 1024, 1)]
    [InlineData(128, 1 << 20, 1, 1, 128)]
    [InlineData(129, 1 << 20, 1, 2, 65)]
    [InlineData(1000, 1 << 20, 1, 8, 125)]
    [InlineData(1, 5, 64, 3277, 1)]
    public void New_OfItems_HoldAllAndDependOnTheShapeAlone(long items, long values, long least, long size, long count)
    {
        var blocks = new Blocks(items, values, least);
        (blocks.Size, blocks.Count).Should().Be((size, count));
        for (long block = 0; block < count; block++)
            (blocks.First(block), blocks.End(block)).Should().Be((block * size, Math.Min(items, (block + 1) * size)));
    }
}
