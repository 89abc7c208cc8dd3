using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Masks of any length: what is missing becomes NaN, the rest and what lies beside it stays.</summary>
public sealed unsafe class MaskTests
{
    [Fact]
    public void Copy_OfEachSizeAndLength_HasOnesWhereTheMaskIsZeroAndTheValuesElsewhere()
    {
        for (var length = 0; length <= 70; length++)
        {
            Copies<Float32>(length);
            Copies<Float64>(length);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(24)]
    [InlineData(41)]
    public void Repeat_OfAMask_WritesEachByteAsOftenAsARowIsWide(int width)
    {
        const int rows = 5;
        var mask = stackalloc byte[rows + 1];
        (mask[0], mask[1], mask[2], mask[3], mask[4], mask[5]) = (1, 0, 0, 255, 2, 1);
        var to = new byte[3 * ((rows * width) + 8)];
        Array.Fill(to, (byte)7);
        fixed (byte* at = to)
            Mask.Repeat(mask, rows, width, at);
        for (var i = 0; i < rows * width; i++)
            (to[i] != 0).Should().Be(mask[i / width] != 0, "byte {0} of width {1}", i, width);
        to[((rows * width) + 7)..].Should().OnlyContain(value => value == 7, "no more than seven bytes are written behind");
    }

    private static void Copies<T>(int length)
        where T : IElement
    {
        var random = new Random(length);
        var (values, mask, to) = (new byte[(length * T.Size) + 1], new byte[length + 8], new byte[(length * T.Size) + 1]);
        random.NextBytes(values);
        for (var i = 0; i < length; i++)
            mask[i] = (byte)(random.Next(2) == 0 ? 0 : 1 << random.Next(8));
        to[^1] = 7; // behind the values
        fixed (byte* from = values, at = mask, goal = to)
        {
            Mask.Copy<T>(from, at, goal, length);
            Check(values, to);
            Mask.Copy<T>(from, at, from, length);
        }
        Check(to, values);
        to[^1].Should().Be(7);

        void Check(byte[] original, byte[] copy)
        {
            for (var i = 0; i < length * T.Size; i++)
                (copy[i] == (mask[i / T.Size] == 0 ? byte.MaxValue : original[i])).Should().BeTrue("byte {0} of {1} values of size {2}", i, length, T.Size);
        }
    }
}
