using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Thirty-two float32 values that are computed with together, in float32.</summary>
/// <remarks>As in <see cref="Lanes"/>, the number and the order of additions are part of the result.</remarks>
internal readonly unsafe struct Float32x32(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
{
    public const int Count = 32;

    public readonly Vector256<float> A = a, B = b, C = c, D = d;

    /// <summary>How many values hold <paramref name="length"/> in whole groups.</summary>
    public static long Padded(long length) => (length + Count - 1) / Count * Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x32 Load(float* from) => new(Vector256.Load(from), Vector256.Load(from + 8), Vector256.Load(from + 16), Vector256.Load(from + 24));

    /// <summary>The first values; zero from <paramref name="count"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Float32x32 First(long count)
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
    public static Float32x32 operator +(Float32x32 x, Float32x32 y) => new(x.A + y.A, x.B + y.B, x.C + y.C, x.D + y.D);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x32 operator *(Float32x32 x, Float32x32 y) => new(x.A * y.A, x.B * y.B, x.C * y.C, x.D * y.D);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float* Mask(long count) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Masks)) + Count - count;

    // Thirty-two lanes of all ones, then as many of zeros: the address says how many are kept.
    private static ReadOnlySpan<int> Masks =>
    [
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
}
