using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Forward over rows of float32, by <see cref="Float32Rows{TFormula}"/>.</summary>
internal unsafe struct Float32ForwardWork<TFormula> : IWork
    where TFormula : IRowFormula
{
    public ForwardWork<TFormula, Float32> Wide; // the same work in float64, for rows that need it
    public double Ratio; // the weight's largest magnitude over its least
    public bool IsInSingle; // whether results are computed in float32, with the parameters below
    public float* Weight;
    public float* Bias;
    public float LargestBias;
    public Destination Destination;

    private readonly bool Overlaps => IsInSingle && Float32Overlap<TFormula>.IsFaster(Wide.X, Destination);

    public readonly void Run(long block)
    {
        var (first, end) = (Wide.Blocks.First(block), Wide.Blocks.End(block));
        var together = (int)Math.Min(Float32Rows<TFormula>.Together(Wide.X.Length, Overlaps), end - first);
        using var tile = new Tile(Wide.X, Wide.Y, together, end);
        WriteRows(first, end, together, tile);
    }

    // A method of its own: beside the try and finally of a using, nothing stays in registers.
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void WriteRows(long first, long end, int together, in Tile tile)
    {
        var (length, eps, destination, overlaps, isWatched) = (Wide.X.Length, Wide.Eps, Destination, Overlaps, IsInSingle && LargestBias != 0);
        var farthest = Sum.Farthest(IsInSingle && !isWatched ? Float32Rows<TFormula>.FarInSingle : Float32Rows<TFormula>.FarInDouble, length / RowSum.Count);
        float** x = stackalloc float*[Float32Statistics.Most], next = stackalloc float*[Float32Statistics.Most];
        RowSum* sums = stackalloc RowSum[Float32Statistics.Most], squares = stackalloc RowSum[Float32Statistics.Most];
        var largest = stackalloc Vector256<int>[Float32Statistics.Most];
        Float32Statistics measured;
        var (count, isAddedUp) = ((int)Math.Min(together, end - first), false);
        for (int nextCount; first < end; first += count, count = nextCount)
        {
            nextCount = (int)Math.Min(together, end - first - count);
            float* y = (float*)tile.Start(first), yEnd = (float*)tile.End, xEnd = (float*)Wide.X.End;
            if (!isAddedUp)
            {
                xEnd = (float*)Wide.X.Read(first, count, (byte**)x, tile.Widened);
                Float32Sums<TFormula>.AddUp(x, count, length, xEnd, sums, squares);
            }
            var notPlain = Float32Rows<TFormula>.Measure(x, count, length, xEnd, eps, farthest, Ratio, sums, squares, isWatched, &measured);
            isAddedUp = overlaps && nextCount > 0 && Float32Overlap<TFormula>.LeavesFew(&measured, notPlain, count);
            if (isAddedUp)
            {
                Wide.X.Starts(first + count, nextCount, (byte**)next);
                Float32Overlap<TFormula>.Write(x, count, notPlain == 0, next, nextCount, length, xEnd, y, &measured, Weight, Bias, destination, isWatched ? largest : null, sums, squares);
            }
            else if (isWatched)
            {
                Float32Rows<TFormula>.WriteWatched(x, count, length, y, &measured, Weight, Bias, destination, largest);
            }
            else if (IsInSingle)
            {
                Float32Rows<TFormula>.WriteInSingle(x, count, length, y, &measured, Weight, Bias, destination);
            }
            else
            {
                Float32Rows<TFormula>.WriteInDouble(x, 0, count, length, xEnd, y, yEnd, eps, &measured, Wide.Weight, Wide.Bias, destination);
            }
            if (isWatched)
                Float32Rows<TFormula>.WriteLost(x, count, length, xEnd, y, eps, &measured, largest, LargestBias, Wide.Weight, Wide.Bias, destination);
            if (Wide.Statistics is not null)
                measured.Keep(count, eps, Wide.Statistics + first, Wide.X.Count, TFormula.Centers);
            for (; notPlain != 0; notPlain &= notPlain - 1)
            {
                var r = BitOperations.TrailingZeroCount(notPlain);
                if (double.IsNaN(measured.Inverse[r]))
                    Wide.WriteRow(first + r, (byte*)x[r], (byte*)xEnd, (byte*)(y + (r * length)));
            }
            if (isAddedUp)
            {
                var written = x;
                x = next;
                next = written;
            }
            tile.Write(first, count);
        }
        if (destination == Destination.Memory)
            TensorMemory.Fence();
    }
}
