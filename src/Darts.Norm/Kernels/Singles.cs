using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Thirty-two float32 values that are computed with together, in float32.</summary>
/// <remarks>As in <see cref="Lanes"/>, the number and the order of additions are part of the result.</remarks>
internal readonly unsafe struct Singles(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
{
    public const int Count = 32;

    public readonly Vector256<float> A = a, B = b, C = c, D = d;

    /// <summary>How many values hold <paramref name="length"/> in whole groups.</summary>
    public static long Padded(long length) => (length + Count - 1) / Count * Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Singles Load(float* from) => new(Vector256.Load(from), Vector256.Load(from + 8), Vector256.Load(from + 16), Vector256.Load(from + 24));

    /// <summary>The first values; zero from <paramref name="count"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Singles First(long count)
    {
        var mask = Mask(count);
        return new(A & Vector256.Load(mask), B & Vector256.Load(mask + 8), C & Vector256.Load(mask + 16), D & Vector256.Load(mask + 24));
    }

    /// <summary>All ones for the first of sixteen values, if any, then zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> WideMask(long count) => Vector512.Load(Mask(count));

    /// <summary>The sums of four values each: of two in float32, of these in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public (Vector256<double> low, Vector256<double> high) Fours()
    {
        var (x, y) = (A + C, B + D);
        return (Float32.Widen(x.GetLower()) + Float32.Widen(y.GetLower()), Float32.Widen(x.GetUpper()) + Float32.Widen(y.GetUpper()));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Singles operator +(Singles x, Singles y) => new(x.A + y.A, x.B + y.B, x.C + y.C, x.D + y.D);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Singles operator *(Singles x, Singles y) => new(x.A * y.A, x.B * y.B, x.C * y.C, x.D * y.D);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float* Mask(long count) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Masks)) + Count - count;

    // Thirty-two lanes of all ones, then as many of zeros: the address says how many are kept.
    private static ReadOnlySpan<int> Masks =>
    [
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
}

/// <summary>A run of float32 values, side by side in memory, thirty-two at a time. As <see cref="Row{T}"/>.</summary>
/// <param name="start">The first value.</param>
/// <param name="length">How many values.</param>
/// <param name="end">The end of the memory that may be touched beyond the row.</param>
internal readonly unsafe struct SingleRow(float* start, long length, float* end)
{
    public readonly long Length = length;

    /// <summary>The values before this fill whole groups. What is left, if anything, is the tail.</summary>
    public readonly long Whole = length & -Singles.Count;

    private readonly float* _start = start;
    private readonly float* _end = end;

    public float* Start => _start;

    /// <summary>The values from <see cref="Whole"/> on, then zeros.</summary>
    public Singles Tail
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Whole == Length ? default : (_start + Whole + Singles.Count <= _end ? Singles.Load(_start + Whole) : LoadLast(_start + Whole, Length - Whole)).First(Length - Whole);
    }

    public Singles this[long i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Singles.Load(_start + i);
    }

    /// <summary>Sixteen values of the tail; zeros beyond the row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> WidePart(long i)
    {
        if (_start + i + 16 <= _end)
            return Vector512.Load(_start + i) & Singles.WideMask(Length - i);
        var last = LoadLast(_start + i, Math.Max(Length - i, 0));
        return Vector512.Create(last.A, last.B) & Singles.WideMask(Length - i);
    }

    /// <summary>Eight values; what lies beyond the row is anything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<float> Part(long i) => _start + i + 8 <= _end ? Vector256.Load(_start + i) : LoadLast(_start + i, Length - i).A;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetPart(long i, Vector256<float> values)
    {
        if (_start + i + 8 <= _end)
            values.Store(_start + i);
        else
            StoreLast(values, _start + i, Length - i);
    }

    // No method of the row's own: a row whose address is taken does not stay in registers.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Singles LoadLast(float* from, long count)
    {
        var padded = stackalloc float[Singles.Count];
        Unsafe.CopyBlockUnaligned(padded, from, (uint)(count * sizeof(float)));
        return Singles.Load(padded);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreLast(Vector256<float> values, float* to, long count)
    {
        var padded = stackalloc float[Vector256<float>.Count];
        values.Store(padded);
        Unsafe.CopyBlockUnaligned(to, padded, (uint)(count * sizeof(float)));
    }
}

/// <summary>A parameter's values in float32, in memory for whole groups.</summary>
internal readonly unsafe struct SingleParameter : IDisposable
{
    private readonly Doubles _room;

    /// <param name="values">The same values in float64; none for a parameter that is not there.</param>
    /// <param name="length">How many, at least four.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public SingleParameter(Doubles values, long length)
    {
        (Fits, Least) = (true, 1);
        if (values.At is null)
            return;
        _room = new(Singles.Padded(length) * sizeof(float) / sizeof(double));
        var (fits, least, largest) = (Vector256<double>.AllBitsSet, Vector256.Create(double.PositiveInfinity), Vector256<double>.Zero);
        var last = length - Vector256<double>.Count; // which may take some for the second time
        for (var i = 0L; ; i = Math.Min(i + Vector256<double>.Count, last))
        {
            var value = Vector256.Load(values.At + i);
            var (rounded, magnitude) = (Float32.Narrow(value), Vector256.Abs(value));
            rounded.Store(At + i);
            var isPlain = Vector256.GreaterThan(magnitude, Vector256.Create(1e-18)) & Vector256.LessThan(magnitude, Vector256.Create(1e18));
            fits &= Vector256.Equals(Float32.Widen(rounded), value) & (isPlain | Vector256.Equals(value, Vector256<double>.Zero));
            (least, largest) = (Vector256.Min(least, magnitude), Vector256.Max(largest, magnitude));
            if (i == last)
                break;
        }
        Fits = Vector256.EqualsAll(fits.AsInt64(), Vector256<long>.AllBitsSet);
        Least = Math.Min(Math.Min(least.GetElement(0), least.GetElement(1)), Math.Min(least.GetElement(2), least.GetElement(3)));
        Largest = Math.Max(Math.Max(largest.GetElement(0), largest.GetElement(1)), Math.Max(largest.GetElement(2), largest.GetElement(3)));
    }

    public float* At => (float*)_room.At;

    /// <summary>The least magnitude, one for a parameter that is not there.</summary>
    public double Least { get; }

    /// <summary>The largest magnitude, zero for a parameter that is not there.</summary>
    public double Largest { get; }

    /// <summary>Whether float32 holds it and products with it.</summary>
    public bool Fits { get; }

    /// <summary>Whether it leaves the largest value of a row times <paramref name="weight"/> nearly as it is, where normalising leaves that near one or above.</summary>
    /// <remarks>What a larger one might leave of it has fewer digits than float32.</remarks>
    public bool IsSmallBeside(SingleParameter weight) => Largest <= weight.Least / 8;

    /// <summary>The largest magnitude over the least; one for a parameter that is not there.</summary>
    public double Ratio => Math.Max(1, Largest / Least);

    /// <summary>Whether float32 has range to spare for the gradients of a row times this weight: what falls below it does not show beside the largest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<double> FitsGradients(Vector256<double> largest, Vector256<double> inverse, Vector256<double> mean, Vector256<double> along)
    {
        const double Room = 1L << 60;
        var (lost, losesNothing) = (Vector256.Abs(along), Vector256.Equals(along, Vector256<double>.Zero));
        return Vector256.GreaterThan(largest * Least, Vector256.Create(1 / Room)) & Vector256.LessThan(largest * Math.Max(Largest, 1), Vector256.Create(Room))
            & Vector256.GreaterThan(inverse, Vector256.Create(1e-12)) & Vector256.LessThan(inverse, Vector256.Create(1e12))
            & Vector256.LessThan(Vector256.Abs(mean), Vector256.Create(1e30)) & (losesNothing | Vector256.GreaterThan(lost, Vector256.Create(1e-30))) & Vector256.LessThan(lost, Vector256.Create(1e20));
    }

    /// <summary>Whether all of it is zero, or it is not there.</summary>
    public bool IsZero => Largest == 0;

    public void Dispose() => _room.Dispose();
}
