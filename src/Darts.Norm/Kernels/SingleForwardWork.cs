using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Forward over rows of float32, by <see cref="SingleRows{TFormula}"/>.</summary>
internal unsafe struct SingleForwardWork<TFormula> : IWork
    where TFormula : IRowFormula
{
    public RowNormalization<TFormula>.ForwardWork<Float32> Wide; // the same work in float64, for rows that need it
    public double LeastSquare; // of a row that float32 is enough for
    public double Ratio; // of the weight's magnitudes
    public bool IsInSingle; // what is written; then with these parameters
    public float* Weight;
    public float* Bias;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long block)
    {
        var (end, length, eps) = (Wide.Blocks.End(block), Wide.X.Length, Wide.Eps);
        var destination = Wide.Destination;
        var x = stackalloc float*[SingleStatistics.Most];
        SingleStatistics measured;
        var first = Wide.Blocks.First(block);
        var together = (int)Math.Min(SingleRows<TFormula>.Together(length), end - first);
        var farthest = Sum.Farthest(IsInSingle ? SingleRows<TFormula>.FarInSingle : SingleRows<TFormula>.FarInDouble, length / RowSum.Count);
        using var tile = new Tile(Wide.X, Wide.Y, together, end);
        for (; first < end; first += together)
        {
            var count = (int)Math.Min(together, end - first);
            var xEnd = (float*)Wide.X.Read(first, count, (byte**)x, tile.Widened);
            byte* y = tile.Start(first), yEnd = tile.End;
            SingleRows<TFormula>.Measure(x, count, length, xEnd, eps, LeastSquare, farthest, Ratio, &measured);
            if (IsInSingle)
                SingleRows<TFormula>.WriteInSingle(x, count, length, xEnd, (float*)y, (float*)yEnd, &measured, Weight, Bias, destination);
            else
                SingleRows<TFormula>.WriteInDouble(x, count, length, xEnd, (float*)y, (float*)yEnd, eps, &measured, Wide.Weight, Wide.Bias, destination);
            if (Wide.Statistics is not null)
                measured.Keep(count, eps, Wide.Statistics + first, Wide.X.Count);
            for (var r = 0; r < count; r++)
            {
                if (double.IsNaN(measured.Inverse[r]))
                    Wide.WriteRow(first + r, (byte*)x[r], (byte*)xEnd, y + (r * length * sizeof(float)));
            }
            tile.Write(first, count);
        }
        if (destination == Destination.Memory)
            Memory.Fence();
    }
}
