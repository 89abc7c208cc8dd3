using System.Runtime.Intrinsics;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Thirty-two float32 values at a time, and rows of them.</summary>
public sealed unsafe class Float32x32Tests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 32)]
    [InlineData(32, 32)]
    [InlineData(33, 64)]
    public void Padded_OfALength_IsTheNextWholeGroup(long length, long expected) => Float32x32.Padded(length).Should().Be(expected);

    /// <summary>What reads or writes behind the row ends the process.</summary>
    [Fact]
    public void SingleRow_BeforeMemoryThatNobodyMayTouch_ReadsAndWritesItsOwnValues()
    {
        if (!OperatingSystem.IsLinux())
            return;
        using var memory = new GuardedMemory();
        var end = memory.End;
        for (var length = 33; length < 64; length++)
        {
            var start = end - length;
            float[] read = new float[32], tail = new float[32], wide = new float[32];
            for (var i = 0; i < length; i++)
                start[i] = i;
            var row = new Float32Row(start, length, end);
            var last = row.Tail;
            Vector256<float>[] parts = [last.A, last.B, last.C, last.D];
            for (var i = 0; i < parts.Length; i++)
                parts[i].CopyTo(tail, 8 * i);
            row.WidePart(32).CopyTo(wide);
            row.WidePart(48).CopyTo(wide, 16);
            for (long i = 32; i < length; i += 8)
            {
                fixed (float* to = &read[i - 32])
                    row.Part(i).Store(to);
                row.SetPart(i, -row.Part(i));
            }
            var values = Enumerable.Range(32, length - 32).Select(i => (float)i).ToArray();
            read[..values.Length].Should().Equal(values);
            tail.Should().Equal([.. values, .. new float[32 - values.Length]]);
            wide.Should().Equal(tail);
            new Span<float>(start + 32, values.Length).ToArray().Should().Equal(values.Select(value => -value));
        }
    }

    /// <summary>Within each bound, and not at it.</summary>
    [Theory]
    [InlineData(1, 1, 1, 0, 0, true)]
    [InlineData(2, 1f / (1L << 60), 1, 0, 0, true)]
    [InlineData(0.5, 2f / (1L << 60), 1, 0, 0, false)]
    [InlineData(0.5, 1L << 59, 1, 0, 0, true)]
    [InlineData(0.5, 1L << 60, 1, 0, 0, false)] // of a weight below one the gradient itself
    [InlineData(4, 1L << 58, 1, 0, 0, false)]
    [InlineData(1, 1, 1e-12, 0, 0, false)]
    [InlineData(1, 1, 1e12, 0, 0, false)]
    [InlineData(1, 1, 1, 1e30, 0, false)]
    [InlineData(1, 1, 1, -1e30, 0, false)]
    [InlineData(1, 1, 1, 0, 1, true)]
    [InlineData(1, 1, 1, 0, -1, true)]
    [InlineData(1, 1, 1, 0, 1e-30, false)]
    [InlineData(1, 1, 1, 0, 1e20, false)]
    public void FitsGradients_OfAWeightAndARow_IsWhetherFloat32HasRangeToSpare(double weight, float gradient, double inverse, double mean, double along, bool expected)
    {
        using var tensor = full(5, weight, ScalarType.Float64);
        using var weights = Float64Buffer.Of(tensor, 5);
        using var parameter = new Float32Parameter(weights, 5);
        var fits = parameter.FitsGradients(Vector256.Create((double)gradient), Vector256.Create(inverse), Vector256.Create(mean), Vector256.Create(along)).AsInt64();
        fits.Should().Be(expected ? Vector256<long>.AllBitsSet : Vector256<long>.Zero);
    }
}
