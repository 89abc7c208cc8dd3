using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>A few rows of float32, and the gradients that come in for them.</summary>
/// <param name="x">The address of each row.</param>
/// <param name="xEnd">The end of the memory that may be read with the rows.</param>
/// <param name="gradOutput">The address of each row's gradients.</param>
/// <param name="gradOutputEnd">The end of the memory that may be read with the gradients.</param>
/// <param name="count">How many rows.</param>
/// <param name="length">The values of a row.</param>
internal readonly unsafe struct GradientRows(byte** x, byte* xEnd, byte** gradOutput, byte* gradOutputEnd, int count, long length)
{
    public readonly int Count = count;
    public readonly long Length = length;
    private readonly byte** _x = x, _gradOutput = gradOutput;
    private readonly byte* _xEnd = xEnd, _gradOutputEnd = gradOutputEnd;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Row<Float32> X(int row) => new(_x[row], Length, _xEnd);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Row<Float32> GradOutput(int row) => new(_gradOutput[row], Length, _gradOutputEnd);
}
