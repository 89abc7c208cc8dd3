using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Where rows are written: in place, or by way of float32.</summary>
public sealed unsafe class TileTests
{
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void Write_OfAFewRowsAtATime_PutsEachInItsPlace(ScalarType dtype)
    {
        const int length = 5, together = 3, count = 7;
        using var scope = NewDisposeScope();
        var x = zeros([count, length], dtype);
        var rows = new Rows(ref x, length);
        var results = zeros_like(x);
        using var tile = new Tile(rows, TensorMemory.Start(results), together, count, inputs: 2);
        for (var first = 0; first < count; first += together)
        {
            var (taken, y) = (Math.Min(together, count - first), (nint)tile.Start(first));
            for (var i = 0; i < taken * length; i++)
                ((float*)y)[i] = (first * length) + i;
            ((tile.End - (byte*)y) >= taken * length * sizeof(float)).Should().BeTrue();
            if (rows.IsHalf)
                (y - (nint)tile.Widened).Should().Be(2 * together * length * sizeof(float), "the inputs' rows lie before it");
            tile.Write(first, taken);
        }
        results.Doubles().Should().Equal(Enumerable.Range(0, count * length).Select(i => (double)i));
    }
}
