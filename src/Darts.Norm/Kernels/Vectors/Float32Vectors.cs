using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>As many float32 values as one of the machine's registers holds. The result for each is the same, however many that are.</summary>
/// <remarks>For loops that keep several of them in registers. <see cref="Float32Series"/>, which keeps few, takes a <see cref="Vector512{T}"/> on every machine.</remarks>
internal unsafe interface IFloat32Vector<TSelf>
    where TSelf : struct, IFloat32Vector<TSelf>
{
    /// <summary>How many.</summary>
    public static abstract int Count { get; }

    public static abstract TSelf Create(float value);

    public static abstract TSelf Load(float* from);

    public void Store(float* to);

    /// <summary>Stores past the caches. The address must be a multiple of the vector's size.</summary>
    public void Stream(float* to);

    /// <summary>The larger of <paramref name="largest"/>, which is not negative, and the magnitude of <paramref name="value"/>.</summary>
    public static abstract TSelf LargerMagnitude(TSelf largest, TSelf value);

    /// <summary>The bits of eight values whose largest is the largest of these, none of which is negative.</summary>
    public Vector256<int> Folded();

    public static abstract TSelf operator +(TSelf x, TSelf y);

    public static abstract TSelf operator -(TSelf x, TSelf y);

    public static abstract TSelf operator *(TSelf x, TSelf y);
}

/// <summary>Eight values.</summary>
internal readonly unsafe struct Float32x8(Vector256<float> values) : IFloat32Vector<Float32x8>
{
    public readonly Vector256<float> Values = values;

    public static int Count => Vector256<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 Create(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 Load(float* from) => new(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => Values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(float* to) => Values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 LargerMagnitude(Float32x8 largest, Float32x8 value) =>
        new(Vector256.Max(largest.Values.AsInt32(), value.Values.AsInt32() & Vector256.Create(int.MaxValue)).AsSingle()); // the bits have the same order

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<int> Folded() => Values.AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 operator +(Float32x8 x, Float32x8 y) => new(x.Values + y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 operator -(Float32x8 x, Float32x8 y) => new(x.Values - y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 operator *(Float32x8 x, Float32x8 y) => new(x.Values * y.Values);
}

/// <summary>Sixteen values.</summary>
internal readonly unsafe struct Float32x16(Vector512<float> values) : IFloat32Vector<Float32x16>
{
    public readonly Vector512<float> Values = values;

    public static int Count => Vector512<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 Create(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 Load(float* from) => new(Vector512.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => Values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(float* to) => Values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 LargerMagnitude(Float32x16 largest, Float32x16 value) =>
        new(Vector512.Max(largest.Values.AsInt32(), value.Values.AsInt32() & Vector512.Create(int.MaxValue)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<int> Folded() => Vector256.Max(Values.GetLower().AsInt32(), Values.GetUpper().AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 operator +(Float32x16 x, Float32x16 y) => new(x.Values + y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 operator -(Float32x16 x, Float32x16 y) => new(x.Values - y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 operator *(Float32x16 x, Float32x16 y) => new(x.Values * y.Values);
}
