using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>A run of float32 values, side by side in memory, thirty-two at a time. As <see cref="Row{T}"/>.</summary>
/// <param name="start">The first value.</param>
/// <param name="length">How many values.</param>
/// <param name="end">The end of the memory that may be touched beyond the row.</param>
internal readonly unsafe struct Float32Row(float* start, long length, float* end)
{
    public readonly long Length = length;

    /// <summary>The values before this fill whole groups. What is left, if anything, is the tail.</summary>
    public readonly long Whole = length & -Float32x32.Count;

    public readonly float* Start = start;

    private readonly float* _end = end;

    /// <summary>The values from <see cref="Whole"/> on, then zeros.</summary>
    public Float32x32 Tail
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Whole == Length ? default : (Start + Whole + Float32x32.Count <= _end ? Float32x32.Load(Start + Whole) : LoadLast(Start + Whole, Length - Whole)).First(Length - Whole);
    }

    public Float32x32 this[long i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Float32x32.Load(Start + i);
    }

    /// <summary>Sixteen values of the tail; zeros beyond the row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> WidePart(long i)
    {
        if (Start + i + 16 <= _end)
            return Vector512.Load(Start + i) & Float32x32.WideMask(Length - i);
        var last = LoadLast(Start + i, Math.Max(Length - i, 0));
        return Vector512.Create(last.A, last.B) & Float32x32.WideMask(Length - i);
    }

    /// <summary>Eight values. Those beyond the row are arbitrary.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<float> Part(long i) => Start + i + 8 <= _end ? Vector256.Load(Start + i) : LoadLast(Start + i, Length - i).A;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetPart(long i, Vector256<float> values)
    {
        if (Start + i + 8 <= _end)
            values.Store(Start + i);
        else
            StoreLast(values, Start + i, Length - i);
    }

    // Static, as in Row<T>.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Float32x32 LoadLast(float* from, long count)
    {
        var padded = stackalloc float[Float32x32.Count];
        Unsafe.CopyBlockUnaligned(padded, from, (uint)(count * sizeof(float)));
        return Float32x32.Load(padded);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreLast(Vector256<float> values, float* to, long count)
    {
        var padded = stackalloc float[Vector256<float>.Count];
        values.Store(padded);
        Unsafe.CopyBlockUnaligned(to, padded, (uint)(count * sizeof(float)));
    }
}
