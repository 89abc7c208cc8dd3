using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The end of a row of float32 values. As of a <see cref="Row{T}"/>.</summary>
internal static unsafe class Float32Row
{
    /// <summary>The values beyond the whole groups of lanes, then zeros.</summary>
    /// <param name="row">The row's first value.</param>
    /// <param name="length">How many values it has.</param>
    /// <param name="end">The end of the memory that may be read beyond the row.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Tail(float* row, long length, float* end)
    {
        var whole = length & -Lanes.Count;
        return (row + whole + Lanes.Count <= end ? Vector512.Load(row + whole) : LoadLast(row + whole, length - whole)) & FirstOf(length - whole);
    }

    /// <summary>All ones for the first of sixteen values, then zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> FirstOf(long count) => Vector512.Load((float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Masks)) + Lanes.Count - count);

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
