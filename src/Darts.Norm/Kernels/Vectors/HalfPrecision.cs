using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>Float16 and BFloat16: kernels compute with their values as float32, and what they give is rounded back, to nearest with ties to even.</summary>
internal static unsafe class HalfPrecision
{
    /// <summary>The size of a value.</summary>
    public const int Size = sizeof(ushort);

    /// <summary>Reads one value.</summary>
    public static double Read(ScalarType dtype, byte* from)
    {
        float value;
        Widen(dtype, from, &value, 1);
        return value;
    }

    /// <summary>Reads <paramref name="count"/> values of one of the two dtypes.</summary>
    public static void Widen(ScalarType dtype, byte* from, float* to, long count)
    {
        if (dtype == ScalarType.Float16)
            Widen<Float16>((ushort*)from, to, count);
        else
            Widen<BFloat16>((ushort*)from, to, count);
    }

    /// <summary>Rounds and writes <paramref name="count"/> values to one of the two dtypes.</summary>
    public static void Narrow(ScalarType dtype, float* from, byte* to, long count)
    {
        if (dtype == ScalarType.Float16)
            Narrow<Float16>(from, (ushort*)to, count);
        else
            Narrow<BFloat16>(from, (ushort*)to, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<T>(ushort* from, float* to, long count)
        where T : IHalf
    {
        var i = 0L;
        for (; Avx512F.IsSupported && i <= count - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            T.ToFloat(Avx512F.ConvertToVector512UInt32(Vector256.Load(from + i))).Store(to + i);
        for (; i <= count - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            var bits = Vector256.Load(from + i);
            T.ToFloat(Vector256.WidenLower(bits)).Store(to + i);
            T.ToFloat(Vector256.WidenUpper(bits)).Store(to + i + Vector256<float>.Count);
        }
        for (; i < count; i++)
            to[i] = T.ToFloat(Vector256.CreateScalar((uint)from[i])).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow<T>(float* from, ushort* to, long count)
        where T : IHalf
    {
        var i = 0L;
        var bits = (uint*)from;
        for (; Avx512F.IsSupported && i <= count - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            Avx512F.ConvertToVector256UInt16(T.FromFloat(Vector512.Load(bits + i))).Store(to + i);
        for (; i <= count - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            Vector256.Narrow(T.FromFloat(Vector256.Load(bits + i)), T.FromFloat(Vector256.Load(bits + i + Vector256<float>.Count))).Store(to + i);
        for (; i < count; i++)
            to[i] = (ushort)T.FromFloat(Vector256.CreateScalar(bits[i])).ToScalar();
    }

    /// <summary>The conversions between a dtype's bits and float32, in vectors of both widths.</summary>
    private interface IHalf
    {
        public static abstract Vector256<float> ToFloat(Vector256<uint> half);

        public static abstract Vector512<float> ToFloat(Vector512<uint> half);

        public static abstract Vector256<uint> FromFloat(Vector256<uint> bits);

        public static abstract Vector512<uint> FromFloat(Vector512<uint> bits);
    }

    private readonly struct Float16 : IHalf
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> ToFloat(Vector256<uint> half)
        {
            // The exponent is rebiased by a multiplication, which normalises subnormals on the way.
            var magnitude = half & Vector256.Create(0x7FFFu);
            var sign = Vector256.ShiftLeft(half ^ magnitude, 16);
            var value = (Vector256.ShiftLeft(magnitude, 13).AsSingle() * Vector256.Create(0x77800000u).AsSingle()).AsUInt32();
            var special = Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x7BFF)).AsUInt32();
            return (sign | value | (special & Vector256.Create(0x7F800000u))).AsSingle();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> ToFloat(Vector512<uint> half)
        {
            var magnitude = half & Vector512.Create(0x7FFFu);
            var sign = Vector512.ShiftLeft(half ^ magnitude, 16);
            var value = (Vector512.ShiftLeft(magnitude, 13).AsSingle() * Vector512.Create(0x77800000u).AsSingle()).AsUInt32();
            var special = Vector512.GreaterThan(magnitude.AsInt32(), Vector512.Create(0x7BFF)).AsUInt32();
            return (sign | value | (special & Vector512.Create(0x7F800000u))).AsSingle();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> FromFloat(Vector256<uint> bits)
        {
            var magnitude = bits & Vector256.Create(0x7FFFFFFFu);
            var sign = Vector256.ShiftRightLogical(bits ^ magnitude, 16);
            // Adding 1/2 moves a subnormal's last place to a float's; the addition rounds it.
            var subnormal = (magnitude.AsSingle() + Vector256.Create(0.5f)).AsUInt32() - Vector256.Create(0.5f).AsUInt32();
            var odd = Vector256.ShiftRightLogical(magnitude, 13) & Vector256<uint>.One;
            var normal = Vector256.ShiftRightLogical(magnitude + Vector256.Create(0xC8000FFFu) + odd, 13);
            var half = Vector256.ConditionalSelect(Vector256.LessThan(magnitude.AsInt32(), Vector256.Create(0x38800000)).AsUInt32(), subnormal, normal);
            half = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x477FFFFF)).AsUInt32(), Vector256.Create(0x7C00u), half);
            half = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x7F800000)).AsUInt32(), Vector256.Create(0x7E00u), half);
            return sign | half;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<uint> FromFloat(Vector512<uint> bits)
        {
            var magnitude = bits & Vector512.Create(0x7FFFFFFFu);
            var sign = Vector512.ShiftRightLogical(bits ^ magnitude, 16);
            var subnormal = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsUInt32() - Vector512.Create(0.5f).AsUInt32();
            var odd = Vector512.ShiftRightLogical(magnitude, 13) & Vector512<uint>.One;
            var normal = Vector512.ShiftRightLogical(magnitude + Vector512.Create(0xC8000FFFu) + odd, 13);
            var half = Vector512.ConditionalSelect(Vector512.LessThan(magnitude.AsInt32(), Vector512.Create(0x38800000)).AsUInt32(), subnormal, normal);
            half = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude.AsInt32(), Vector512.Create(0x477FFFFF)).AsUInt32(), Vector512.Create(0x7C00u), half);
            half = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude.AsInt32(), Vector512.Create(0x7F800000)).AsUInt32(), Vector512.Create(0x7E00u), half);
            return sign | half;
        }
    }

    private readonly struct BFloat16 : IHalf
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> ToFloat(Vector256<uint> half) => Vector256.ShiftLeft(half, 16).AsSingle();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> ToFloat(Vector512<uint> half) => Vector512.ShiftLeft(half, 16).AsSingle();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> FromFloat(Vector256<uint> bits)
        {
            var odd = Vector256.ShiftRightLogical(bits, 16) & Vector256<uint>.One;
            var rounded = Vector256.ShiftRightLogical(bits + Vector256.Create(0x7FFFu) + odd, 16);
            var nan = Vector256.GreaterThan((bits & Vector256.Create(0x7FFFFFFFu)).AsInt32(), Vector256.Create(0x7F800000)).AsUInt32();
            return Vector256.ConditionalSelect(nan, Vector256.Create(0x7FC0u), rounded);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<uint> FromFloat(Vector512<uint> bits)
        {
            var odd = Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One;
            var rounded = Vector512.ShiftRightLogical(bits + Vector512.Create(0x7FFFu) + odd, 16);
            var nan = Vector512.GreaterThan((bits & Vector512.Create(0x7FFFFFFFu)).AsInt32(), Vector512.Create(0x7F800000)).AsUInt32();
            return Vector512.ConditionalSelect(nan, Vector512.Create(0x7FC0u), rounded);
        }
    }
}
