using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>What a row's gradients are measured by.</summary>
public sealed unsafe class RowGradientsTests
{
    /// <summary>In a row alone and in two at a time, in whole groups and beyond them.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Reduce_OfRowsOfFloat32_FindsTheLargestGradientWhereverItIs(int count)
    {
        const int Length = (2 * Lanes.Count) + 5;
        float* x = stackalloc float[2 * Length], go = stackalloc float[2 * Length];
        byte** rows = stackalloc byte*[2], gradRows = stackalloc byte*[2];
        for (var row = 0; row < 2; row++)
        {
            rows[row] = (byte*)(x + (row * Length));
            gradRows[row] = (byte*)(go + (row * Length));
        }
        for (var i = 0; i < count * Length; i++)
        {
            new Span<float>(go, 2 * Length).Fill(1);
            go[i] = -2;
            GradientStatistics statistics = default;
            RowGradients<LayerNormFormula>.Reduce(
                new(rows, (byte*)(x + (2 * Length)), gradRows, (byte*)(go + (2 * Length)), count, Length), null, 0, &statistics, null, null, loses: true);
            for (var row = 0; row < count; row++)
                statistics.Largest[row].Should().Be(row == i / Length ? 2 : 1);
        }
    }
}
