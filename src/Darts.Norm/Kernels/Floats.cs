using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Float32 values that are computed with together, as many as the machine's registers hold: what becomes of one does not depend on that.</summary>
/// <remarks>A <see cref="Vector512{T}"/> that the machine has no registers for would be computed in memory.</remarks>
internal unsafe interface IFloats<TSelf>
    where TSelf : struct, IFloats<TSelf>
{
    /// <summary>How many. Thirty-two are whole pairs of them.</summary>
    public static abstract int Count { get; }

    public static abstract TSelf Create(float value);

    public static abstract TSelf Load(float* from);

    public void Store(float* to);

    /// <summary>The same past the caches, to memory that is aligned for it.</summary>
    public void Stream(float* to);

    public static abstract TSelf operator +(TSelf x, TSelf y);

    public static abstract TSelf operator -(TSelf x, TSelf y);

    public static abstract TSelf operator *(TSelf x, TSelf y);
}

/// <summary>Eight values.</summary>
internal readonly unsafe struct Eight(Vector256<float> values) : IFloats<Eight>
{
    public readonly Vector256<float> Values = values;

    public static int Count => Vector256<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Eight Create(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Eight Load(float* from) => new(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => Values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(float* to) => Values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Eight operator +(Eight x, Eight y) => new(x.Values + y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Eight operator -(Eight x, Eight y) => new(x.Values - y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Eight operator *(Eight x, Eight y) => new(x.Values * y.Values);
}

/// <summary>Sixteen values.</summary>
internal readonly unsafe struct Sixteen(Vector512<float> values) : IFloats<Sixteen>
{
    public readonly Vector512<float> Values = values;

    public static int Count => Vector512<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Sixteen Create(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Sixteen Load(float* from) => new(Vector512.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => Values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(float* to) => Values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Sixteen operator +(Sixteen x, Sixteen y) => new(x.Values + y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Sixteen operator -(Sixteen x, Sixteen y) => new(x.Values - y.Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Sixteen operator *(Sixteen x, Sixteen y) => new(x.Values * y.Values);
}
