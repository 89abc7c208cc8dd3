using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>How values of half precision are read and rounded: every value, and every tie between two.</summary>
public sealed unsafe class HalfPrecisionTests
{
    private const int Bits = 1 << 16;

    private const int Guard = 3;

    [Fact]
    public void Widen_EveryFloat16_IsItsValue() => WidensAll(ScalarType.Float16, bits => (float)BitConverter.UInt16BitsToHalf(bits));

    [Fact]
    public void Widen_EveryBFloat16_IsItsValue() => WidensAll(ScalarType.BFloat16, bits => BitConverter.UInt32BitsToSingle((uint)bits << 16));

    [Fact]
    public void Narrow_BetweenAnyTwoFloat16_IsTheNearerAndTheEvenOne() =>
        NarrowsAll(ScalarType.Float16, bits => (double)BitConverter.UInt16BitsToHalf(bits), infinity: 0x7C00, beyond: 65536, nan: 0x7E00);

    [Fact]
    public void Narrow_BetweenAnyTwoBFloat16_IsTheNearerAndTheEvenOne() =>
        NarrowsAll(ScalarType.BFloat16, bits => BitConverter.UInt32BitsToSingle((uint)bits << 16), infinity: 0x7F80, beyond: Math.ScaleB(1, 128), nan: 0x7FC0);

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void WidenAndNarrow_OfAnyCount_AreEachValueAndNoMore(ScalarType dtype)
    {
        for (var count = 0; count <= 70; count++)
        {
            using var x = linspace(-3, 3, count + Guard, dtype: dtype);
            var (widened, narrowed) = (new float[count + Guard], new ushort[count + Guard]);
            fixed (float* values = widened)
            fixed (ushort* bits = narrowed)
            {
                HalfPrecision.Widen(dtype, TensorMemory.Start(x), values, count);
                HalfPrecision.Narrow(dtype, values, (byte*)bits, count);
            }
            using var single = x.to(ScalarType.Float32);
            widened.Should().Equal([.. single.data<float>().ToArray()[..count], .. new float[Guard]]);
            narrowed.Should().Equal([.. new ReadOnlySpan<ushort>(TensorMemory.Start(x), count), .. new ushort[Guard]]);
            for (var i = 0; i < count; i++)
                HalfPrecision.Read(dtype, TensorMemory.Start(x) + (i * HalfPrecision.Size)).Should().Be(widened[i]);
        }
    }

    private static void WidensAll(ScalarType dtype, Func<ushort, float> expected)
    {
        var (values, widened) = (new ushort[Bits], new float[Bits]);
        for (var bits = 0; bits < Bits; bits++)
            values[bits] = (ushort)bits;
        fixed (ushort* from = values)
        fixed (float* to = widened)
            HalfPrecision.Widen(dtype, (byte*)from, to, Bits);
        for (var bits = 0; bits < Bits; bits++)
        {
            var value = expected((ushort)bits);
            if (float.IsNaN(value) ? !float.IsNaN(widened[bits]) : BitConverter.SingleToInt32Bits(value) != BitConverter.SingleToInt32Bits(widened[bits]))
                Assert.Fail($"{bits:x4} is {value}, but was read as {widened[bits]}");
        }
    }

    /// <summary>Tries each value, and between it and the next larger one: a little more, the tie, and a little before and behind the tie.</summary>
    private static void NarrowsAll(ScalarType dtype, Func<ushort, double> valueOf, ushort infinity, double beyond, ushort nan)
    {
        var cases = new List<(float value, ushort bits)>();
        foreach (var sign in (ushort[])[0, 0x8000])
        {
            for (ushort bits = 0; bits < infinity; bits++)
            {
                var (value, next) = (valueOf(bits), bits + 1 == infinity ? beyond : valueOf((ushort)(bits + 1)));
                var tie = (float)((value + next) / 2);
                ushort even = (ushort)((bits & 1) == 0 ? bits : bits + 1);
                var (least, most) = ((float)value, (float)next);
                foreach (var (between, nearest) in ((float, ushort)[])[(least, bits), (MathF.BitIncrement(least), bits), (MathF.BitDecrement(tie), bits), (tie, even), (MathF.BitIncrement(tie), (ushort)(bits + 1)), (MathF.BitDecrement(most), (ushort)(bits + 1))])
                    cases.Add((sign == 0 ? between : -between, (ushort)(nearest | sign)));
            }
            foreach (var large in (float[])[(float)beyond, float.MaxValue, float.PositiveInfinity])
                cases.Add((sign == 0 ? large : -large, (ushort)(infinity | sign)));
        }
        cases.Add((float.NaN, nan));
        var (values, narrowed) = (cases.Select(one => one.value).ToArray(), new ushort[cases.Count]);
        fixed (float* from = values)
        fixed (ushort* to = narrowed)
            HalfPrecision.Narrow(dtype, from, (byte*)to, values.Length);
        for (var i = 0; i < values.Length; i++)
        {
            var (value, bits) = cases[i];
            if (float.IsNaN(value) ? (narrowed[i] & 0x7FFF) != bits : narrowed[i] != bits)
                Assert.Fail($"{value:r} is {bits:x4}, but was written as {narrowed[i]:x4}");
        }
    }
}
