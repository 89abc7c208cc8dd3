using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>Makes values NaN where a mask is false: a value of all ones is NaN in float32 as in float64.</summary>
internal static unsafe class Mask
{
    /// <param name="values">What to read.</param>
    /// <param name="mask">A byte for each value, zero where it is missing.</param>
    /// <param name="to">Where to write; may be <paramref name="values"/>.</param>
    /// <param name="length">How many values.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy<T>(byte* values, byte* mask, byte* to, long length)
        where T : IElement
    {
        var i = 0L;
        for (var step = Vector256<byte>.Count / T.Size; i + step <= length; i += step)
            (Vector256.Load(values + (i * T.Size)) | Missing<T>(mask + i)).Store(to + (i * T.Size));
        for (; i < length; i++)
        {
            if (mask[i] == 0)
                new Span<byte>(to + (i * T.Size), T.Size).Fill(byte.MaxValue);
            else
                Buffer.MemoryCopy(values + (i * T.Size), to + (i * T.Size), T.Size, T.Size);
        }
    }

    /// <summary>Writes each byte of a mask as often as a row has values; up to seven bytes more are written after the last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Repeat(byte* mask, long rows, long width, byte* to)
    {
        if (width <= sizeof(ulong)) // one store for a row: a loop would take longer
        {
            for (long row = 0; row < rows; row++, to += width)
                *(ulong*)to = Bytes(mask[row]);
            return;
        }
        for (long row = 0; row < rows; row++, to += width)
        {
            var bytes = Bytes(mask[row]);
            for (long i = 0; i < width; i += sizeof(ulong))
                *(ulong*)(to + i) = bytes;
        }
    }

    /// <summary>All ones where there is a value. Without a branch: there is nothing to predict in a mask.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Bytes(byte mask) => ~(ulong)((mask - 1L) >> 63);

    /// <summary>All ones in the values that are missing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Missing<T>(byte* mask)
        where T : IElement => T.IsSingle ? Vector256.Equals(Ints(mask), Vector256<int>.Zero).AsByte() : Vector256.Equals(Longs(mask), Vector256<long>.Zero).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Ints(byte* from) =>
        Avx2.IsSupported ? Avx2.ConvertToVector256Int32(from) : Wide(Wide(Vector128.CreateScalar(*(ulong*)from).AsByte()).GetLower()).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<long> Longs(byte* from) =>
        Avx2.IsSupported ? Avx2.ConvertToVector256Int64(from) : Wide(Wide(Wide(Vector128.CreateScalar(*(uint*)from).AsByte()).GetLower()).GetLower()).AsInt64();

    private static Vector256<ushort> Wide(Vector128<byte> bytes) => Vector256.Create(Vector128.WidenLower(bytes), Vector128.WidenUpper(bytes));

    private static Vector256<uint> Wide(Vector128<ushort> shorts) => Vector256.Create(Vector128.WidenLower(shorts), Vector128.WidenUpper(shorts));

    private static Vector256<ulong> Wide(Vector128<uint> ints) => Vector256.Create(Vector128.WidenLower(ints), Vector128.WidenUpper(ints));
}
