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
        for (var length = 17; length < 32; length++)
        {
            var start = end - length;
            float[] read = new float[16], tail = new float[16];
            for (var i = 0; i < length; i++)
                start[i] = i;
            var row = new Float32Row(start, length, end);
            row.Tail.CopyTo(tail);
            for (var i = row.Whole; i < length; i += 8)
            {
                fixed (float* to = &read[i - row.Whole])
                    row.Part(i).Store(to);
                row.SetPart(i, -row.Part(i));
            }
            var values = Enumerable.Range(16, length - 16).Select(i => (float)i).ToArray();
            read[..values.Length].Should().Equal(values);
            tail.Should().Equal([.. values, .. new float[16 - values.Length]]);
            new Span<float>(start + 16, values.Length).ToArray().Should().Equal(values.Select(value => -value));
        }
    }
}
