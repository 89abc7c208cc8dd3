using System.Runtime.Intrinsics;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Rows of float32 values, read and written to their ends.</summary>
public sealed unsafe class Float32RowTests
{
    /// <summary>To read or write behind the row would end the process.</summary>
    [Fact]
    public void Parts_BeforeMemoryThatNobodyMayTouch_ReadsAndWritesItsOwnValues()
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
}
