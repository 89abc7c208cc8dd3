using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Writes rows of float32 while it adds up the rows that follow: the processor computes the one while it waits for the memory of the other.</summary>
/// <remarks>Value for value what <see cref="Float32Rows{TFormula}"/> writes and <see cref="Float32Sums{TFormula}"/> adds up.</remarks>
internal static unsafe class Float32Overlap<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Whether this is faster: there must be registers enough, and what is written past the caches waits for nothing.</summary>
    public static bool Holds(in Rows rows, Destination destination) => Vector512.IsHardwareAccelerated && destination != Destination.Memory && !rows.IsHalf;

    /// <summary>Whether so few rows are not plain that to write those a second time costs less than to add up the next rows apart.</summary>
    public static bool Pays(ulong notPlain, int count) => BitOperations.PopCount(notPlain) <= count / 4;

    /// <summary>Writes rows, and adds up as many that follow, or fewer.</summary>
    /// <param name="rows">The address of each row.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="notPlain">A bit for each row that is not plain. One that is left to float64 gets values without meaning.</param>
    /// <param name="next">The address of each row that follows.</param>
    /// <param name="nextCount">How many follow, at least one.</param>
    /// <param name="length">The values of a row.</param>
    /// <param name="end">The end of the memory that may be read.</param>
    /// <param name="to">Where the first row's results go.</param>
    /// <param name="measured">The rows' statistics.</param>
    /// <param name="weight">The layer's, or null.</param>
    /// <param name="bias">The layer's, or null.</param>
    /// <param name="destination">How results are written.</param>
    /// <param name="largest">Receives the largest magnitudes of each row's x̂ · weight; null where nothing asks for them. With them there must be both parameters.</param>
    /// <param name="sums">Receives the following rows' sums.</param>
    /// <param name="squares">Receives the following rows' sums of squares.</param>
    public static void Write(
        float** rows, int count, ulong notPlain, float** next, int nextCount, long length, float* end, float* to, Float32Statistics* measured,
        float* weight, float* bias, Destination destination, Vector256<int>* largest, RowSum* sums, RowSum* squares)
    {
        if (length % Lanes.Count != 0)
        {
            Float32Sums<TFormula>.AddUpTails(next, nextCount, length, end, sums, squares);
            Write<Partial>(rows, count, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        }
        else if (destination == Destination.Caches)
        {
            Write<LoadedAhead>(rows, count, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        }
        else
        {
            Write<Plain>(rows, count, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        }
        for (; notPlain != 0; notPlain &= notPlain - 1)
        {
            var r = BitOperations.TrailingZeroCount(notPlain);
            if (largest is null)
                Float32Rows<TFormula>.WriteFar<Float32x16>(rows[r], length, to + (r * length), measured, r, weight, bias, destination);
            else
                Float32Rows<TFormula>.WriteWatchedFar<Float32x16>(rows[r], length, to + (r * length), measured, r, weight, bias, destination, largest + r);
        }
    }

    private static void Write<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Vector256<int>* largest, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
    {
        if (largest is not null)
            WriteWatched<TDestination>(rows, count, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        else if (bias is not null)
            WriteShifted<TDestination>(rows, count, next, nextCount, length, to, measured, weight, bias, sums, squares);
        else if (weight is not null)
            WriteScaled<TDestination>(rows, count, next, nextCount, length, to, measured, weight, sums, squares);
        else
            WritePlain<TDestination>(rows, count, next, nextCount, length, to, measured, sums, squares);
    }

    // A method for each set of parameters, as in Float32Rows.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteWatched<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Vector256<int>* largest, RowSum* sums, RowSum* squares)
        where TDestination : IDestination => WriteRows<TDestination>(rows, count, next, nextCount, length, to, measured, weight, bias, largest, isWatched: true, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteShifted<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, float* bias, RowSum* sums, RowSum* squares)
        where TDestination : IDestination => WriteRows<TDestination>(rows, count, next, nextCount, length, to, measured, weight, bias, null, isWatched: false, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteScaled<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, float* weight, RowSum* sums, RowSum* squares)
        where TDestination : IDestination => WriteRows<TDestination>(rows, count, next, nextCount, length, to, measured, weight, null, null, isWatched: false, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured, RowSum* sums, RowSum* squares)
        where TDestination : IDestination => WriteRows<TDestination>(rows, count, next, nextCount, length, to, measured, null, null, null, isWatched: false, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteRows<TDestination>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured,
        float* weight, float* bias, Vector256<int>* largest, bool isWatched, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
    {
        long whole = length & -Lanes.Count, last = length - Lanes.Count;
        for (var r = 0; r < count; r++, to += length)
        {
            float* x = rows[r], following = next[Math.Min(r, nextCount - 1)]; // of fewer rows, the last is added up again
            var (level, inverse) = (Vector512.Create(measured->Level[r]), Vector512.Create(measured->PlainInverse[r]));
            Vector512<double> sum = default, square = default, squareHigh = default;
            if (TDestination.IsPartial)
                (sum, square) = (RowSum.LoadWide(sums + r), RowSum.LoadWide(squares + r));
            Float32x16 products = default;
            long at = 0, nextAt = Float32.UntilAligned(to, Lanes.Count);
            for (var i = 0L; i < whole; i += Lanes.Count)
            {
                Vector512<double> v = Float32.WidenEight(following + i), w = Float32.WidenEight(following + i + 8);
                if (TFormula.Centers)
                    sum += v + w;
                (square, squareHigh) = (Lanes.AddProduct(v, v, square), Lanes.AddProduct(w, w, squareHigh));
                Write<TDestination>(x, TDestination.IsPartial ? at : i, to, level, inverse, weight, bias, isWatched, ref products);
                at = Math.Min(nextAt, last);
                nextAt += Lanes.Count;
            }
            for (nextAt -= Lanes.Count; TDestination.IsPartial && nextAt < length; nextAt += Lanes.Count)
                Write<TDestination>(x, Math.Min(nextAt, last), to, level, inverse, weight, bias, isWatched, ref products);
            RowSum.Store(sum, sums + r);
            RowSum.Store(square + squareHigh, squares + r);
            if (isWatched)
                largest[r] = products.Folded();
        }
    }

    /// <summary>Writes sixteen values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TDestination>(float* x, long i, float* to, Vector512<float> level, Vector512<float> inverse, float* weight, float* bias, bool isWatched, ref Float32x16 products)
        where TDestination : IDestination
    {
        var y = Vector512.Load(x + i);
        if (TFormula.Centers)
            y -= level;
        y *= inverse;
        if (weight is not null)
            y *= Vector512.Load(weight + i);
        if (isWatched)
            products = Float32x16.LargerMagnitude(products, new(y));
        if (bias is not null)
            y += Vector512.Load(bias + i);
        TDestination.Store(y, to + i);
    }

    /// <summary>A <see cref="Destination"/>, as a type: the loops are compiled for each.</summary>
    private interface IDestination
    {
        /// <summary>Whether vectors do not fill the rows.</summary>
        public static abstract bool IsPartial { get; }

        public static abstract void Store(Vector512<float> values, float* to);
    }

    private readonly struct Plain : IDestination
    {
        public static bool IsPartial => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> values, float* to) => values.Store(to);
    }

    private readonly struct LoadedAhead : IDestination
    {
        public static bool IsPartial => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> values, float* to)
        {
            TensorMemory.PrefetchResult(to);
            values.Store(to);
        }
    }

    private readonly struct Partial : IDestination
    {
        public static bool IsPartial => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> values, float* to) => values.Store(to);
    }
}
