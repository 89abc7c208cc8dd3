namespace Darts.Norm.Tests.Kernels;

public sealed class Float32OverlapTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Rows that must be written again, and rows that are left to float64, among others, few or many of them. A row alone has none that follows.</summary>
    [Theory]
    [InlineData(16, 200, 0.05)]
    [InlineData(17, 200, 0.1)]
    [InlineData(64, 300, 0.05)]
    [InlineData(79, 300, 0.1)]
    [InlineData(100, 3000, 0.02)] // larger than a core's own caches
    [InlineData(96, 170, 0.5)]
    [InlineData(96, 4000, 0.02)] // larger than a core's own caches
    [InlineData(208, 90, 0.1)]
    [InlineData(321, 60, 0.1)]
    [InlineData(512, 40, 0.1)]
    [InlineData(512, 4200, 0.01)] // larger than all caches
    [InlineData(2048, 20, 0.3)]
    public void Layers_OfRowsThatAreNotPlain_AreTheSameBitsAloneAndAmongOthers(int length, int rows, double share)
    {
        var x = randn(rows, length);
        float[] levels = [3, 100, 1e5f], scales = [0, 1e-30f, 1e25f, float.NaN, float.PositiveInfinity];
        var special = new List<int>();
        var random = new Random(length);
        for (var row = 0; row < rows; row++)
        {
            if (random.NextDouble() >= share)
                continue;
            special.Add(row);
            var kind = random.Next(levels.Length + scales.Length);
            if (kind < levels.Length)
                x[row] += levels[kind];
            else
                x[row] *= scales[kind - levels.Length];
        }
        special.Should().NotBeEmpty();
        using LayerNorm norm = new(length), small = new(length), large = new(length);
        using var plain = new LayerNormNoBias(length);
        using var rms = new RMSNorm(length);
        using var noGrad = no_grad();
        foreach (var (layer, bias) in new[] { (small, 0.1), (large, 1.0) })
        {
            layer.weight!.copy_(linspace(1, 1.5, length));
            layer.bias!.copy_(linspace(-bias, bias, length));
        }
        foreach (var layer in (NormModule[])[norm, small, large, plain, rms])
        {
            using var scope = NewDisposeScope();
            var together = layer.forward(x);
            foreach (var row in special.SelectMany(row => new[] { row - 1, row, row + 1 }).Where(row => row >= 0 && row < rows).Distinct().Take(200))
                Layers.SameBits(layer.forward(x[row..(row + 1)]), together[row..(row + 1)]).Should().BeTrue($"row {row} is the same alone");
            Layers.SameBits(layer.forward(x.repeat(1, 2)[.., ..length]), together).Should().BeTrue("rows that lie apart are the same");
        }
    }
}
