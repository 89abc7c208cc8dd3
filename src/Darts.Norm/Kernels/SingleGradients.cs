using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a few rows of float32: those of the values in float32, the rows' parts of the parameters' in float64.</summary>
/// <remarks>A part that is rounded is one of as many as there are rows, and their roundings add up. Rows whose gradients float32 might not hold are left to float64.</remarks>
internal static unsafe class SingleGradients<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>For shorter rows it is not worth while.</summary>
    public const long Shortest = 64;

    /// <summary>So far ahead the results' lines are asked for: behind the stores of two sums few of them are waited for at a time.</summary>
    private const long Ahead = 1024;

    /// <summary>As <see cref="RowGradients{TFormula, T}.Write"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(
        float** rows, float* end, float** gradRows, float* gradEnd, int count, long length, float* to, float* toEnd, RowStatistics* statistics, Loss* lost, double* weight, SingleParameter singleWeight, double* weightSums, double* biasSums, bool streams)
    {
        var (all, ahead) = (weightSums is not null && biasSums is not null, count * length);
        for (var r = 0; r < count; r++, to += length)
        {
            Row<Float32> x = new((byte*)rows[r], length, (byte*)end), go = new((byte*)gradRows[r], length, (byte*)gradEnd), gx = new((byte*)to, length, (byte*)toEnd);
            if (!singleWeight.FitsGradients(lost[r], statistics[r].Inverse))
            {
                RowGradients<TFormula, Float32>.WriteRow(x, go, gx, statistics + r, lost + r, weight, weightSums, biasSums, ahead);
                continue;
            }
            if (all && statistics[r].CenterLow == 0) // what is zero can be subtracted as well
                WriteAll(x, go, gx, statistics + r, lost + r, singleWeight.At, weightSums, biasSums, streams, ahead);
            else
                WriteSome(x, go, gx, statistics + r, lost + r, singleWeight.At, weightSums, biasSums, streams, ahead);
            if (x.Whole < length)
                RowGradients<TFormula, Float32>.WriteTail(x, go, gx, statistics + r, lost + r, weight, weightSums, biasSums);
        }
    }

    // Methods of their own: beside calls nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteAll(
        Row<Float32> x, Row<Float32> go, Row<Float32> gx, RowStatistics* statistics, Loss* lost, float* weight, double* weightSums, double* biasSums, bool streams, long ahead) =>
        Each(new(*statistics, lost, null, weightSums, biasSums), new(*statistics, lost, weight), isFar: false, all: true, x, go, gx, streams, ahead);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteSome(
        Row<Float32> x, Row<Float32> go, Row<Float32> gx, RowStatistics* statistics, Loss* lost, float* weight, double* weightSums, double* biasSums, bool streams, long ahead) =>
        Each(new(*statistics, lost, null, weightSums, biasSums), new(*statistics, lost, weight), isFar: true, all: false, x, go, gx, streams, ahead);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Each(RowGradient<TFormula> row, SingleGradient single, bool isFar, bool all, Row<Float32> x, Row<Float32> go, Row<Float32> gx, bool streams, long ahead)
    {
        float* values = (float*)x.Start, gradients = (float*)go.Start, to = (float*)gx.Start;
        for (long i = 0; i < x.Whole; i += Lanes.Count)
        {
            Row<Float32>.Prefetch(x, go, i + ahead);
            if (all && !streams)
                gx.Prefetch(i + Ahead);
            row.Accumulate(x[i], go[i], i, isFar, all);
            var (low, high) = (single.Of(Vector256.Load(values + i), Vector256.Load(gradients + i), i), single.Of(Vector256.Load(values + i + 8), Vector256.Load(gradients + i + 8), i + 8));
            if (streams)
            {
                low.StoreAlignedNonTemporal(to + i);
                high.StoreAlignedNonTemporal(to + i + 8);
                continue;
            }
            low.Store(to + i);
            high.Store(to + i + 8);
        }
    }

    /// <summary><see cref="RowGradient{TFormula}"/> in float32: what the center is beyond its float32 is subtracted with the mean.</summary>
    private readonly struct SingleGradient
    {
        private readonly Vector256<float> _center, _inverse, _mean, _along;
        private readonly float* _weight;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public SingleGradient(RowStatistics s, Loss* lost, float* weight)
        {
            var center = (float)s.Center;
            var rest = s.Center - center + s.CenterLow;
            (_center, _inverse) = (Vector256.Create(center), Vector256.Create((float)s.Inverse));
            (_mean, _along) = (Vector256.Create((float)(lost->Mean - (rest * lost->Along))), Vector256.Create((float)lost->Along));
            _weight = weight;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<float> Of(Vector256<float> x, Vector256<float> go, long i)
        {
            if (_weight is not null)
                go *= Vector256.Load(_weight + i); // first: so what float32 cannot hold of it does not show beside the largest
            return (go * _inverse) - _mean - ((x - _center) * _along);
        }
    }
}
