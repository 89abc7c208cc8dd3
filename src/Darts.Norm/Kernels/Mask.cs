using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Makes values NaN where a mask is false: a value of all ones is NaN in every dtype.</summary>
internal static unsafe class Mask
{
    /// <param name="values">What to change.</param>
    /// <param name="mask">A byte for each value, zero where it is missing.</param>
    /// <param name="length">How many values.</param>
    /// <param name="size">The size of a value in bytes: 2, 4 or 8.</param>
    public static void Apply(byte* values, byte* mask, long length, int size)
    {
        var i = 0L;
        for (; i + Vector128<byte>.Count <= length; i += Vector128<byte>.Count)
        {
            var (low, high) = Vector128.Widen(Vector128.Equals(Vector128.Load(mask + i), Vector128<byte>.Zero).AsSByte());
            var to = values + (i * size);
            if (size == 2)
            {
                Or(to, low.AsByte());
                Or(to + 16, high.AsByte());
                continue;
            }
            Or(to, low, size);
            Or(to + (8 * size), high, size);
        }
        for (; i < length; i++)
        {
            if (mask[i] == 0)
                new Span<byte>(values + (i * size), size).Fill(byte.MaxValue);
        }
    }

    private static void Or(byte* to, Vector128<short> missing, int size)
    {
        var (low, high) = Vector128.Widen(missing);
        if (size == 4)
        {
            Or(to, low.AsByte());
            Or(to + 16, high.AsByte());
            return;
        }
        Or(to, low);
        Or(to + 32, high);
    }

    private static void Or(byte* to, Vector128<int> missing)
    {
        var (low, high) = Vector128.Widen(missing);
        Or(to, low.AsByte());
        Or(to + 16, high.AsByte());
    }

    private static void Or(byte* to, Vector128<byte> missing) => (Vector128.Load(to) | missing).Store(to);
}
