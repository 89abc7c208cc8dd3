using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>How values of a dtype are read as float64 and rounded back, once, to nearest with ties to even.</summary>
internal unsafe interface IElement
{
    /// <summary>The size of a value in bytes.</summary>
    public static abstract int Size { get; }

    /// <summary>Whether values are float32, so that <see cref="Singles"/> hold them.</summary>
    public static virtual bool IsSingle => false;

    /// <summary>Whether they are, and the machine has registers of 512 bits: in memory, such vectors are no gain.</summary>
    public static virtual bool IsWide => false;

    /// <summary>Whether float64 has digits and range to spare: its sums need no compensation, and squares neither overflow nor vanish.</summary>
    public static abstract bool FitsInDouble { get; }

    /// <summary>Whether NaN marks a value that is missing.</summary>
    public static abstract bool HasGaps { get; }

    /// <summary>Reads one value.</summary>
    public static abstract double Read(byte* from);

    /// <summary>Reads <see cref="Lanes.Count"/> values.</summary>
    public static abstract Lanes Load(byte* from);

    /// <summary>Rounds and writes <see cref="Lanes.Count"/> values.</summary>
    public static abstract void Store(Lanes values, byte* to);
}

internal readonly unsafe struct Float64 : IElement
{
    public static int Size => sizeof(double);

    public static bool FitsInDouble => false;

    public static bool HasGaps => false;

    public static double Read(byte* from) => *(double*)from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Load(byte* from) => Lanes.Load((double*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes values, byte* to) => values.Store((double*)to);
}

internal readonly unsafe struct Float32 : IElement
{
    public static int Size => sizeof(float);

    public static bool IsSingle => true;

    public static bool IsWide => Vector512.IsHardwareAccelerated;

    public static bool FitsInDouble => true;

    public static bool HasGaps => false;

    public static double Read(byte* from) => *(float*)from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Load(byte* from)
    {
        var p = (float*)from;
        return new(Widen(Vector128.Load(p)), Widen(Vector128.Load(p + 4)), Widen(Vector128.Load(p + 8)), Widen(Vector128.Load(p + 12)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes values, byte* to)
    {
        var p = (float*)to;
        Narrow(values.A).Store(p);
        Narrow(values.B).Store(p + 4);
        Narrow(values.C).Store(p + 8);
        Narrow(values.D).Store(p + 12);
    }

    /// <summary>The same past the caches, to memory that is aligned for it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Stream(Lanes values, byte* to)
    {
        var p = (float*)to;
        Vector256.Create(Narrow(values.A), Narrow(values.B)).StoreAlignedNonTemporal(p);
        Vector256.Create(Narrow(values.C), Narrow(values.D)).StoreAlignedNonTemporal(p + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Widen(Vector128<float> v) =>
        Avx.IsSupported ? Avx.ConvertToVector256Double(v) : Vector256.Create(Vector128.WidenLower(v), Vector128.WidenUpper(v));

    /// <summary>Four values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> WidenFour(float* from) => Widen(Vector128.Load(from));

    /// <summary>Eight values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> WidenEight(float* from) => Widen(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Widen(Vector256<float> v) =>
        Avx512F.IsSupported ? Avx512F.ConvertToVector512Double(v) : Vector512.Create(Widen(v.GetLower()), Widen(v.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Narrow(Vector256<double> v) =>
        Avx.IsSupported ? Avx.ConvertToVector128Single(v) : Vector128.Narrow(v.GetLower(), v.GetUpper());
}

internal readonly unsafe struct Float16 : IElement
{
    public static int Size => 2;

    public static bool FitsInDouble => true;

    public static bool HasGaps => false;

    public static double Read(byte* from) => (double)*(Half*)from;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Lanes Load(byte* from)
    {
        var bits = Vector256.Load((ushort*)from);
        return new(
            Float32.Widen(ToFloat(Vector256.WidenLower(bits).GetLower())),
            Float32.Widen(ToFloat(Vector256.WidenLower(bits).GetUpper())),
            Float32.Widen(ToFloat(Vector256.WidenUpper(bits).GetLower())),
            Float32.Widen(ToFloat(Vector256.WidenUpper(bits).GetUpper())));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store(Lanes values, byte* to)
    {
        var low = Vector256.Create(FromFloat(HalfPrecision.RoundToOdd(values.A)), FromFloat(HalfPrecision.RoundToOdd(values.B)));
        var high = Vector256.Create(FromFloat(HalfPrecision.RoundToOdd(values.C)), FromFloat(HalfPrecision.RoundToOdd(values.D)));
        Vector256.Narrow(low, high).Store((ushort*)to);
    }

    // The exponent is rebiased by a multiplication, which normalises subnormals on the way.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> ToFloat(Vector128<uint> half)
    {
        var magnitude = half & Vector128.Create(0x7FFFu);
        var sign = Vector128.ShiftLeft(half ^ magnitude, 16);
        var value = (Vector128.ShiftLeft(magnitude, 13).AsSingle() * Vector128.Create(0x77800000u).AsSingle()).AsUInt32();
        var special = Vector128.GreaterThan(magnitude.AsInt32(), Vector128.Create(0x7BFF)).AsUInt32();
        return (sign | value | (special & Vector128.Create(0x7F800000u))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> FromFloat(Vector128<uint> bits)
    {
        var magnitude = bits & Vector128.Create(0x7FFFFFFFu);
        var sign = Vector128.ShiftRightLogical(bits ^ magnitude, 16);
        // Adding 1/2 moves a subnormal's last place to a float's; the addition rounds it.
        var subnormal = (magnitude.AsSingle() + Vector128.Create(0.5f)).AsUInt32() - Vector128.Create(0.5f).AsUInt32();
        var odd = Vector128.ShiftRightLogical(magnitude, 13) & Vector128<uint>.One;
        var normal = Vector128.ShiftRightLogical(magnitude + Vector128.Create(0xC8000FFFu) + odd, 13);
        var half = Vector128.ConditionalSelect(Vector128.LessThan(magnitude.AsInt32(), Vector128.Create(0x38800000)).AsUInt32(), subnormal, normal);
        half = Vector128.ConditionalSelect(Vector128.GreaterThan(magnitude.AsInt32(), Vector128.Create(0x477FFFFF)).AsUInt32(), Vector128.Create(0x7C00u), half);
        half = Vector128.ConditionalSelect(Vector128.GreaterThan(magnitude.AsInt32(), Vector128.Create(0x7F800000)).AsUInt32(), Vector128.Create(0x7E00u), half);
        return sign | half;
    }
}

internal readonly unsafe struct BFloat16 : IElement
{
    public static int Size => 2;

    public static bool FitsInDouble => true;

    public static bool HasGaps => false;

    public static double Read(byte* from) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)from << 16);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Lanes Load(byte* from)
    {
        var bits = Vector256.Load((ushort*)from);
        var (low, high) = (Vector256.ShiftLeft(Vector256.WidenLower(bits), 16).AsSingle(), Vector256.ShiftLeft(Vector256.WidenUpper(bits), 16).AsSingle());
        return new(Float32.Widen(low.GetLower()), Float32.Widen(low.GetUpper()), Float32.Widen(high.GetLower()), Float32.Widen(high.GetUpper()));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store(Lanes values, byte* to)
    {
        var low = Vector256.Create(FromFloat(HalfPrecision.RoundToOdd(values.A)), FromFloat(HalfPrecision.RoundToOdd(values.B)));
        var high = Vector256.Create(FromFloat(HalfPrecision.RoundToOdd(values.C)), FromFloat(HalfPrecision.RoundToOdd(values.D)));
        Vector256.Narrow(low, high).Store((ushort*)to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> FromFloat(Vector128<uint> bits)
    {
        var odd = Vector128.ShiftRightLogical(bits, 16) & Vector128<uint>.One;
        var rounded = Vector128.ShiftRightLogical(bits + Vector128.Create(0x7FFFu) + odd, 16);
        var nan = Vector128.GreaterThan((bits & Vector128.Create(0x7FFFFFFFu)).AsInt32(), Vector128.Create(0x7F800000)).AsUInt32();
        return Vector128.ConditionalSelect(nan, Vector128.Create(0x7FC0u), rounded);
    }
}

/// <summary>Another dtype, with NaN where a value is missing.</summary>
internal readonly unsafe struct Gaps<T> : IElement
    where T : IElement
{
    public static int Size => T.Size;

    public static bool IsSingle => T.IsSingle;

    public static bool FitsInDouble => T.FitsInDouble;

    public static bool HasGaps => true;

    public static double Read(byte* from) => T.Read(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Load(byte* from) => T.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes values, byte* to) => T.Store(values, to);
}

internal static class HalfPrecision
{
    /// <summary>Float32 with the last bit set where anything was lost: rounding that to fewer digits rounds the float64 value once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> RoundToOdd(Vector256<double> value)
    {
        var lower = Float32.Narrow(value);
        var back = Float32.Widen(lower);
        var inexact = Narrow(~Vector256.Equals(back, value).AsUInt64());
        var tooFar = Narrow(Vector256.GreaterThan(Vector256.Abs(back), Vector256.Abs(value)).AsUInt64());
        var towardZero = lower.AsUInt32() + tooFar; // the mask is -1
        return towardZero | (inexact & Vector128<uint>.One);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Narrow(Vector256<ulong> mask) => Vector128.Narrow(mask.GetLower(), mask.GetUpper());
}
