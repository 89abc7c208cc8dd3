using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>How values of a dtype that kernels compute with are read as float64 and rounded back, to nearest with ties to even.</summary>
internal unsafe interface IElement
{
    /// <summary>The size of a value in bytes.</summary>
    public static abstract int Size { get; }

    /// <summary>Whether values are float32. Float64 has digits and range to spare for these: sums need no compensation, and squares neither overflow nor vanish.</summary>
    public static abstract bool IsSingle { get; }

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

    public static bool IsSingle => false;

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

    /// <summary>As <see cref="Store"/>, past the caches. The address must be a multiple of a vector's size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Stream(Lanes values, byte* to)
    {
        var p = (float*)to;
        Vector256.Create(Narrow(values.A), Narrow(values.B)).StoreAlignedNonTemporal(p);
        Vector256.Create(Narrow(values.C), Narrow(values.D)).StoreAlignedNonTemporal(p + 8);
    }

    /// <summary>The largest magnitude of each of four rows, from the magnitudes' bits: these have the same order as integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Largest(Vector256<int>* rows)
    {
        var (a, b, c, d) = (Fours(rows[0]), Fours(rows[1]), Fours(rows[2]), Fours(rows[3]));
        if (!Sse2.IsSupported)
            return Vector128.Create(Largest(a), Largest(b), Largest(c), Largest(d)).AsSingle();
        var (ab, cd) = (Vector128.Max(Sse2.UnpackLow(a, b), Sse2.UnpackHigh(a, b)).AsInt64(), Vector128.Max(Sse2.UnpackLow(c, d), Sse2.UnpackHigh(c, d)).AsInt64());
        return Vector128.Max(Sse2.UnpackLow(ab, cd).AsInt32(), Sse2.UnpackHigh(ab, cd).AsInt32()).AsSingle();

        static Vector128<int> Fours(Vector256<int> v) => Vector128.Max(v.GetLower(), v.GetUpper());

        static int Largest(Vector128<int> v) => Math.Max(Math.Max(v.GetElement(0), v.GetElement(1)), Math.Max(v.GetElement(2), v.GetElement(3)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Widen(Vector128<float> v) =>
        Avx.IsSupported ? Avx.ConvertToVector256Double(v) : Vector256.Create(Vector128.WidenLower(v), Vector128.WidenUpper(v));

    /// <summary>Reads four values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> WidenFour(float* from) => Widen(Vector128.Load(from));

    /// <summary>Reads eight values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> WidenEight(float* from) => Widen(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Widen(Vector256<float> v) =>
        Avx512F.IsSupported ? Avx512F.ConvertToVector512Double(v) : Vector512.Create(Widen(v.GetLower()), Widen(v.GetUpper()));

    /// <summary>How many values it is until the next address that is a multiple of as many.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long UntilAligned(float* at, int count) => count - (((nint)at / sizeof(float)) & (count - 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Narrow(Vector256<double> v) =>
        Avx.IsSupported ? Avx.ConvertToVector128Single(v) : Vector128.Narrow(v.GetLower(), v.GetUpper());
}

/// <summary>Another dtype, with NaN where a value is missing.</summary>
internal readonly unsafe struct WithGaps<T> : IElement
    where T : IElement
{
    public static int Size => T.Size;

    public static bool IsSingle => T.IsSingle;

    public static bool HasGaps => true;

    public static double Read(byte* from) => T.Read(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Load(byte* from) => T.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes values, byte* to) => T.Store(values, to);
}
