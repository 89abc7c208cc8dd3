using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>What a row's gradients are measured by.</summary>
public sealed unsafe class RowGradientsTests
{
    [Fact]
    public void Project_OfARowOfFloat32_FindsTheLargestGradientWhereverItIs()
    {
        const int Length = 2 * Lanes.Count;
        float* x = stackalloc float[Length], go = stackalloc float[Length];
        byte* row = (byte*)x, gradRow = (byte*)go;
        for (var i = 0; i < Length; i++)
        {
            new Span<float>(go, Length).Fill(1);
            go[i] = -2;
            var (statistics, lost) = (new RowStatistics(1, 0), default(Loss));
            RowGradients<LayerNormFormula, Float32>.Project(&row, (byte*)(x + Length), &gradRow, (byte*)(go + Length), 1, Length, null, 0, &statistics, &lost);
            lost.Largest.Should().Be(2);
        }
    }
}
