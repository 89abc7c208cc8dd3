using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Sums in float64. For float64 values, which leave no digits to spare, what each addition loses is summed as well.</summary>
internal static unsafe class Sum
{
    /// <summary>2³⁰: if this many roundings of float64 are all alike, a root of the sum is off by one rounding of float32.</summary>
    private const double RoundingsOfOne = 1L << 30;

    /// <summary><c>sum += value</c>; the loss goes to <paramref name="lost"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add<TVector>(ref TVector sum, ref TVector lost, TVector value)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var total = Pair<TVector>.Sum(sum, value);
        lost += total.Low;
        sum = total.High;
    }

    /// <summary><c>sum += value</c>; the loss goes to <paramref name="lost"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add<T>(ref double sum, ref double lost, double value)
        where T : IElement
    {
        if (T.IsSingle)
        {
            sum += value;
            return;
        }
        var (total, loss) = TwoSum(sum, value);
        lost += loss;
        sum = total;
    }

    /// <summary>Adds float64 values, as many as a register holds, and what they lost to running sums in memory: <paramref name="length"/> sums, then as many losses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddAt<TVector>(double* sums, long length, TVector value, TVector lost)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var total = Pair<TVector>.Sum(TVector.Load(sums), value);
        total.High.Store(sums);
        (TVector.Load(sums + length) + (total.Low + lost)).Store(sums + length);
    }

    /// <summary>Adds values to others, one to one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddTo<TNumber>(TNumber* sums, TNumber* more, long length)
        where TNumber : unmanaged, INumber<TNumber>
    {
        var i = 0L;
        for (; i <= length - Vector256<TNumber>.Count; i += Vector256<TNumber>.Count)
            (Vector256.Load(sums + i) + Vector256.Load(more + i)).Store(sums + i);
        for (; i < length; i++)
            sums[i] += more[i];
    }

    /// <summary>Adds one set of running sums to another.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Merge<T>(double* sums, double* more, long length)
        where T : IElement
    {
        if (T.IsSingle)
        {
            AddTo(sums, more, length);
            return;
        }
        var padded = Lanes.Padded(length);
        for (long i = 0; i < length; i += Float64x4.Count)
            AddAt(sums + i, padded, Float64x4.Load(more + i), Float64x4.Load(more + padded + i));
    }

    /// <summary>The running sums of a block, all zero; null where there are none.</summary>
    public static double* Cleared(double* sums, long block, long length)
    {
        if (sums is null)
            return null;
        sums += block * length;
        NativeMemory.Clear(sums, (nuint)length * sizeof(double));
        return sums;
    }

    /// <summary>The gradient of a parameter from the sums of all blocks, added in order and rounded once.</summary>
    /// <param name="sums">Those of each block, one block after the other.</param>
    /// <param name="blocks">How many blocks.</param>
    /// <param name="length">How many values the parameter has.</param>
    /// <param name="place">The size and dtype of the gradient; null where none is wanted.</param>
    /// <param name="unit">A power of two that the sums are multiplied by.</param>
    public static Tensor? Combined<T>(Float64Buffer sums, long blocks, long length, Place? place, double unit = 1)
        where T : IElement
    {
        if (place is null)
            return null;
        for (long block = 1; block < blocks; block++)
            Merge<T>(sums.At, sums.At + (block * Float64Buffer.Padded<T>(length)), length);
        Round<T>(sums.At, length);
        for (long i = 0; unit != 1 && i < length; i++)
            sums.At[i] *= unit;
        var gradient = TensorMemory.New(place.Shape, place.Dtype);
        Float64Buffer.Write(sums.At, gradient);
        return gradient;
    }

    /// <summary>Puts what running sums lost back into them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round<T>(double* sums, long length)
        where T : IElement
    {
        if (T.IsSingle)
            return;
        var lost = sums + Lanes.Padded(length);
        for (long i = 0; i < length; i++)
        {
            if (double.IsFinite(sums[i]))
                sums[i] += lost[i];
        }
    }

    /// <summary>How many times a variance the square of a mean may be, if the variance is mean(x²) - mean(x)².</summary>
    /// <param name="most">The most it may be.</param>
    /// <param name="additions">How many roundings mean(x²) has: if they are all alike, it has fewer digits to spare.</param>
    public static double Farthest(double most, long additions) => Math.Min(most, RoundingsOfOne / Math.Max(1, additions));

    /// <summary>(total + rest) / count, and what rounding that lost.</summary>
    public static (double quotient, double lost) Divide(double total, double rest, double count)
    {
        if (!double.IsFinite(total))
            return (total / count, 0);
        (total, rest) = TwoSum(total, rest); // the losses of many equal values add up to many last places of their total
        var quotient = total / count;
        if (!double.IsFinite(quotient))
            return (quotient, 0);
        (quotient, _) = Plus(quotient);
        return Plus(quotient); // of the nearest number, whose rest has all its digits: equal values lose them with their mean to no other

        // The remainder is exact, so the fused operation gives the same on every machine, with or without an instruction for it.
        (double, double) Plus(double quotient) => TwoSum(quotient, (Math.FusedMultiplyAdd(-quotient, count, total) + rest) / count);
    }

    /// <summary>The rounded sum and what the rounding lost, exactly.</summary>
    public static (double sum, double lost) TwoSum(double a, double b)
    {
        var sum = a + b;
        var shown = sum - a;
        return (sum, (a - (sum - shown)) + (b - shown));
    }
}
