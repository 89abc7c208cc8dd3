using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>A run of float32 values, side by side in memory. As <see cref="Row{T}"/>.</summary>
/// <param name="start">The first value.</param>
/// <param name="length">How many values.</param>
/// <param name="end">The end of the memory that may be read beyond the row.</param>
internal readonly unsafe struct Float32Row(float* start, long length, float* end)
{
    public readonly long Length = length;

    /// <summary>The values before this fill whole groups of lanes. What is left, if anything, is the tail.</summary>
    public readonly long Whole = length & -Lanes.Count;

    public readonly float* Start = start;

    private readonly float* _end = end;

    /// <summary>The values from <see cref="Whole"/> on, then zeros.</summary>
    public Vector512<float> Tail
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Start + Whole + Lanes.Count <= _end ? Vector512.Load(Start + Whole) : LoadLast(Start + Whole, Length - Whole)) & FirstOf(Length - Whole);
    }

    /// <summary>All ones for the first of sixteen values, then zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> FirstOf(long count) => Vector512.Load((float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Masks)) + Lanes.Count - count);

    // Static, as in Row<T>.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector512<float> LoadLast(float* from, long count)
    {
        var padded = stackalloc float[Lanes.Count];
        Unsafe.CopyBlockUnaligned(padded, from, (uint)(count * sizeof(float)));
        return Vector512.Load(padded);
    }

    // Sixteen lanes of all ones, then as many of zeros: the address says how many are kept.
    private static ReadOnlySpan<int> Masks =>
    [
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
}
