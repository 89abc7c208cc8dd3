using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>Makes values NaN where a mask is false: a value of all ones is NaN in every dtype.</summary>
internal static unsafe class Mask
{
    /// <param name="values">What to read.</param>
    /// <param name="mask">A byte for each value, zero where it is missing.</param>
    /// <param name="to">Where to write; may be <paramref name="values"/>.</param>
    /// <param name="length">How many values.</param>
    /// <param name="size">The size of a value in bytes: 2, 4 or 8.</param>
    public static void Copy(byte* values, byte* mask, byte* to, long length, int size)
    {
        var i = 0L;
        for (var step = Vector256<byte>.Count / size; i + step <= length; i += step)
        {
            var missing = size switch
            {
                2 => Vector256.Equals(Shorts(mask + i), Vector256<short>.Zero).AsByte(),
                4 => Vector256.Equals(Ints(mask + i), Vector256<int>.Zero).AsByte(),
                _ => Vector256.Equals(Longs(mask + i), Vector256<long>.Zero).AsByte(),
            };
            (Vector256.Load(values + (i * size)) | missing).Store(to + (i * size));
        }
        for (; i < length; i++)
        {
            if (mask[i] == 0)
                new Span<byte>(to + (i * size), size).Fill(byte.MaxValue);
            else
                Buffer.MemoryCopy(values + (i * size), to + (i * size), size, size);
        }
    }

    /// <summary>Writes each byte of a mask as often as a row has values; up to seven bytes more are written after the last.</summary>
    public static void Repeat(byte* mask, long rows, long width, byte* to)
    {
        for (long row = 0; row < rows; row++, to += width)
        {
            var bytes = ~(ulong)((mask[row] - 1L) >> 63); // without a branch: there is nothing to predict in a mask
            for (long i = 0; i < width; i += sizeof(ulong))
                *(ulong*)(to + i) = bytes;
        }
    }

    private static Vector256<short> Shorts(byte* from) =>
        Avx2.IsSupported ? Avx2.ConvertToVector256Int16(from) : Wide(Vector128.Load(from)).AsInt16();

    private static Vector256<int> Ints(byte* from) =>
        Avx2.IsSupported ? Avx2.ConvertToVector256Int32(from) : Wide(Wide(Vector128.CreateScalar(*(ulong*)from).AsByte()).GetLower()).AsInt32();

    private static Vector256<long> Longs(byte* from) =>
        Avx2.IsSupported ? Avx2.ConvertToVector256Int64(from) : Wide(Wide(Wide(Vector128.CreateScalar(*(uint*)from).AsByte()).GetLower()).GetLower()).AsInt64();

    private static Vector256<ushort> Wide(Vector128<byte> bytes) => Vector256.Create(Vector128.WidenLower(bytes), Vector128.WidenUpper(bytes));

    private static Vector256<uint> Wide(Vector128<ushort> shorts) => Vector256.Create(Vector128.WidenLower(shorts), Vector128.WidenUpper(shorts));

    private static Vector256<ulong> Wide(Vector128<uint> ints) => Vector256.Create(Vector128.WidenLower(ints), Vector128.WidenUpper(ints));
}
