using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Forward over long rows of float32, by <see cref="SingleRows{TFormula}"/>.</summary>
internal unsafe struct SingleForwardWork<TFormula> : IWork
    where TFormula : IRowFormula
{
    public RowNormalization<TFormula>.ForwardWork<Float32> Wide; // the same work in float64, for rows that need it
    public float* Weight;
    public float* Bias;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long block)
    {
        const int Most = SingleRows<TFormula>.Most;
        var (end, length, eps) = (Wide.Blocks.End(block), Wide.X.Length, Wide.Eps);
        var y = (float*)Wide.Y;
        var yEnd = y + (end * length);
        var xEnd = (float*)Wide.X.End;
        var x = stackalloc float*[Most];
        double* center = stackalloc double[Most], inverse = stackalloc double[Most];
        for (var first = Wide.Blocks.First(block); first < end; first += Most)
        {
            var count = (int)Math.Min(Most, end - first);
            for (var r = 0; r < count; r++)
                x[r] = (float*)Wide.X[first + r];
            SingleRows<TFormula>.Measure(x, count, length, xEnd, eps, center, inverse);
            SingleRows<TFormula>.Write(x, count, length, xEnd, y + (first * length), yEnd, center, inverse, Weight, Bias);
            for (var r = 0; r < count; r++)
            {
                if (double.IsNaN(inverse[r]))
                    Wide.WriteRow(first + r);
                else if (Wide.Statistics is not null)
                    Wide.KeepStatistics(first + r); // gradients are computed in float64, and want a mean as exact
            }
        }
    }
}
