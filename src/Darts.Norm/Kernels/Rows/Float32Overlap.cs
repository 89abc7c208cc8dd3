using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Writes rows of float32 while it adds up the rows that follow: what one waits for from memory, the other spends on arithmetic.</summary>
/// <remarks>Value for value as <see cref="Float32Rows{TFormula}.WriteInSingle"/> and <see cref="Float32Sums{TFormula}"/>.</remarks>
internal static unsafe class Float32Overlap<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Whether rows of this length can be written and added up together.</summary>
    public static bool Holds(long length) => Vector512.IsHardwareAccelerated && length % Lanes.Count == 0;

    /// <summary>Writes rows that all are plain, and adds up as many that follow, or fewer.</summary>
    public static void Write(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination, RowSum* sums, RowSum* squares)
    {
        if (destination == Destination.Memory)
            Write<Past>(rows, count, next, nextCount, length, to, measured, weight, bias, sums, squares);
        else if (destination == Destination.Caches)
            Write<Ahead>(rows, count, next, nextCount, length, to, measured, weight, bias, sums, squares);
        else
            Write<Near>(rows, count, next, nextCount, length, to, measured, weight, bias, sums, squares);
    }

    private static void Write<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, float* bias, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
    {
        if (bias is not null)
            WriteShifted<TDestination>(rows, count, next, nextCount, length, to, measured, weight, bias, sums, squares);
        else if (weight is not null)
            WriteScaled<TDestination>(rows, count, next, nextCount, length, to, measured, weight, sums, squares);
        else
            WritePlain<TDestination>(rows, count, next, nextCount, length, to, measured, sums, squares);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteShifted<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, float* bias, RowSum* sums, RowSum* squares)
        where TDestination : IDestination => Both<TDestination>(rows, count, next, nextCount, length, to, measured, weight, bias, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteScaled<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, RowSum* sums, RowSum* squares)
        where TDestination : IDestination => Both<TDestination>(rows, count, next, nextCount, length, to, measured, weight, null, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, RowSum* sums, RowSum* squares)
        where TDestination : IDestination => Both<TDestination>(rows, count, next, nextCount, length, to, measured, null, null, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Both<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, float* bias, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
    {
        for (var r = 0; r < count; r++, to += length)
        {
            float* x = rows[r], x2 = next[Math.Min(r, nextCount - 1)];
            var (level, inverse) = (Vector512.Create(measured->Level[r]), Vector512.Create(measured->PlainInverse[r]));
            Vector512<double> sum = default, square = default, squareHigh = default;
            for (var i = 0L; i < length; i += Lanes.Count)
            {
                Vector512<double> v = Float32.WidenEight(x2 + i), w = Float32.WidenEight(x2 + i + 8);
                if (TFormula.Centers)
                    sum += v + w;
                (square, squareHigh) = (Lanes.AddProduct(v, v, square), Lanes.AddProduct(w, w, squareHigh));
                var y = Vector512.Load(x + i);
                if (TFormula.Centers)
                    y -= level;
                y *= inverse;
                if (weight is not null)
                    y *= Vector512.Load(weight + i);
                if (bias is not null)
                    y += Vector512.Load(bias + i);
                TDestination.Store(y, to + i);
            }
            RowSum.Store(sum, sums + r);
            RowSum.Store(square + squareHigh, squares + r);
        }
    }

    private interface IDestination
    {
        public static abstract void Store(Vector512<float> values, float* to);
    }

    private struct Near : IDestination
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> values, float* to) => values.Store(to);
    }

    private struct Ahead : IDestination
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> values, float* to)
        {
            TensorMemory.PrefetchResult(to);
            values.Store(to);
        }
    }

    private struct Past : IDestination
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> values, float* to) => values.StoreAlignedNonTemporal(to);
    }
}
