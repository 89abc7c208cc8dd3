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
    public static bool IsFaster(in Rows rows, Destination destination) => Vector512.IsHardwareAccelerated && destination != Destination.Memory && !rows.IsHalf;

    /// <summary>Whether so few rows are left to float64, which writes them a second time, that it is faster for these.</summary>
    public static bool LeavesFew(Float32Statistics* measured, ulong notPlain, int count)
    {
        var left = 0;
        for (; notPlain != 0; notPlain &= notPlain - 1)
            left += double.IsNaN(measured->Inverse[BitOperations.TrailingZeroCount(notPlain)]) ? 1 : 0;
        return left <= count / 4;
    }

    /// <summary>Writes rows, and adds up as many that follow, or fewer. Those that are left to float64 get values without meaning.</summary>
    /// <param name="rows">The address of each row.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="arePlain">Whether all of them are plain.</param>
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
        float** rows, int count, bool arePlain, float** next, int nextCount, long length, float* end, float* to, Float32Statistics* measured,
        float* weight, float* bias, Destination destination, Vector256<int>* largest, RowSum* sums, RowSum* squares)
    {
        if (length % Lanes.Count != 0)
        {
            Float32Sums<TFormula>.AddUpTails(next, nextCount, length, end, sums, squares);
            Write<Partial>(rows, count, arePlain, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        }
        else if (destination == Destination.Caches)
        {
            Write<LoadedAhead>(rows, count, arePlain, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        }
        else
        {
            Write<Whole>(rows, count, arePlain, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        }
    }

    private static void Write<TDestination>(
        float** rows, int count, bool arePlain, float** next, int nextCount, long length, float* to, Float32Statistics* measured,
        float* weight, float* bias, Vector256<int>* largest, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
    {
        if (largest is not null)
            Write<TDestination, Watched>(rows, count, arePlain, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        else if (bias is not null)
            Write<TDestination, WithBias>(rows, count, arePlain, next, nextCount, length, to, measured, weight, bias, null, sums, squares);
        else if (weight is not null)
            Write<TDestination, WeightOnly>(rows, count, arePlain, next, nextCount, length, to, measured, weight, null, null, sums, squares);
        else
            Write<TDestination, None>(rows, count, arePlain, next, nextCount, length, to, measured, null, null, null, sums, squares);
    }

    private static void Write<TDestination, TParameters>(
        float** rows, int count, bool arePlain, float** next, int nextCount, long length, float* to, Float32Statistics* measured,
        float* weight, float* bias, Vector256<int>* largest, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
        where TParameters : IParameters
    {
        if (arePlain || !TFormula.Centers)
            WritePlain<TDestination, TParameters>(rows, count, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
        else
            WriteMixed<TDestination, TParameters>(rows, count, next, nextCount, length, to, measured, weight, bias, largest, sums, squares);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TDestination, TParameters>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured,
        float* weight, float* bias, Vector256<int>* largest, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
        where TParameters : IParameters
    {
        for (var r = 0; r < count; r++, to += length)
        {
            var following = next[Math.Min(r, nextCount - 1)]; // of fewer rows, the last is added up again
            WriteRow<TDestination, TParameters>(rows[r], following, length, to, measured, r, hasRest: false, weight, bias, largest, sums + r, squares + r);
        }
    }

    /// <summary>As <see cref="WritePlain{TDestination, TParameters}"/>, of rows that are not all plain. A method of its own, as two loops in one are slower for each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteMixed<TDestination, TParameters>(
        float** rows, int count, float** next, int nextCount, long length, float* to, Float32Statistics* measured,
        float* weight, float* bias, Vector256<int>* largest, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
        where TParameters : IParameters
    {
        for (var r = 0; r < count; r++, to += length)
        {
            var following = next[Math.Min(r, nextCount - 1)];
            if (float.IsNaN(measured->PlainInverse[r]))
                WriteRow<TDestination, TParameters>(rows[r], following, length, to, measured, r, hasRest: true, weight, bias, largest, sums + r, squares + r);
            else
                WriteRow<TDestination, TParameters>(rows[r], following, length, to, measured, r, hasRest: false, weight, bias, largest, sums + r, squares + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteRow<TDestination, TParameters>(
        float* x, float* following, long length, float* to, Float32Statistics* measured, int r, bool hasRest, float* weight, float* bias, Vector256<int>* largest, RowSum* sums, RowSum* squares)
        where TDestination : IDestination
        where TParameters : IParameters
    {
        long whole = length & -Lanes.Count, last = length - Lanes.Count;
        var row = hasRest ? new Standardized<TFormula, Float32x16>(measured, r) : new(measured->Level[r], measured->PlainInverse[r]);
        Vector512<double> sum = default, square = default, squareHigh = default;
        if (TDestination.IsPartial)
            (sum, square) = (RowSum.LoadWide(sums), RowSum.LoadWide(squares));
        Float32x16 products = default;
        long at = 0, nextAt = Float32.UntilAligned(to, Lanes.Count);
        for (var i = 0L; i < whole; i += Lanes.Count)
        {
            Vector512<double> v = Float32.WidenEight(following + i), w = Float32.WidenEight(following + i + 8);
            if (TFormula.Centers)
                sum += v + w;
            (square, squareHigh) = (Lanes.AddProduct(v, v, square), Lanes.AddProduct(w, w, squareHigh));
            Write<TDestination, TParameters>(x, TDestination.IsPartial ? at : i, to, row, hasRest, weight, bias, ref products);
            at = Math.Min(nextAt, last);
            nextAt += Lanes.Count;
        }
        for (nextAt -= Lanes.Count; TDestination.IsPartial && nextAt < length; nextAt += Lanes.Count)
            Write<TDestination, TParameters>(x, Math.Min(nextAt, last), to, row, hasRest, weight, bias, ref products);
        RowSum.Store(sum, sums);
        RowSum.Store(square + squareHigh, squares);
        if (TParameters.IsWatched)
            largest[r] = products.Folded();
    }

    /// <summary>Writes sixteen values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TDestination, TParameters>(float* x, long i, float* to, Standardized<TFormula, Float32x16> row, bool hasRest, float* weight, float* bias, ref Float32x16 products)
        where TDestination : IDestination
        where TParameters : IParameters
    {
        var y = row.Of(Float32x16.Load(x + i), hasRest);
        if (TParameters.HasWeight(weight))
            y *= Float32x16.Load(weight + i);
        if (TParameters.IsWatched)
            products = Float32x16.LargerMagnitude(products, y);
        if (TParameters.HasBias)
            y += Float32x16.Load(bias + i);
        TDestination.Store(y, to + i);
    }

    /// <summary>Where results go, and whether vectors fill the rows. A type for each case, so that the loops are compiled without asking for each value.</summary>
    private interface IDestination
    {
        public static abstract bool IsPartial { get; }

        public static abstract void Store(Float32x16 values, float* to);
    }

    private readonly struct Whole : IDestination
    {
        public static bool IsPartial => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Float32x16 values, float* to) => values.Store(to);
    }

    private readonly struct LoadedAhead : IDestination
    {
        public static bool IsPartial => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Float32x16 values, float* to)
        {
            TensorMemory.PrefetchResult(to);
            values.Store(to);
        }
    }

    private readonly struct Partial : IDestination
    {
        public static bool IsPartial => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Float32x16 values, float* to) => values.Store(to);
    }

    /// <summary>Which parameters there are, and whether the largest products with the weight are asked for.</summary>
    private interface IParameters
    {
        public static abstract bool HasBias { get; }

        public static abstract bool IsWatched { get; }

        public static abstract bool HasWeight(float* weight);
    }

    private readonly struct None : IParameters
    {
        public static bool HasBias => false;

        public static bool IsWatched => false;

        public static bool HasWeight(float* weight) => false;
    }

    private readonly struct WeightOnly : IParameters
    {
        public static bool HasBias => false;

        public static bool IsWatched => false;

        public static bool HasWeight(float* weight) => true;
    }

    private readonly struct WithBias : IParameters
    {
        public static bool HasBias => true;

        public static bool IsWatched => false;

        public static bool HasWeight(float* weight) => weight is not null;
    }

    private readonly struct Watched : IParameters
    {
        public static bool HasBias => true;

        public static bool IsWatched => true;

        public static bool HasWeight(float* weight) => true;
    }
}
