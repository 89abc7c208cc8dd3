using System.Runtime.Intrinsics;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>The ends of rows of float32 values.</summary>
public sealed unsafe class Float32RowTests
{
    /// <summary>To read behind the row would end the process.</summary>
    [Fact]
    public void Tail_BeforeMemoryThatNobodyMayTouch_IsItsOwnValues()
    {
        if (!OperatingSystem.IsLinux())
            return;
        using var memory = new GuardedMemory();
        var end = memory.End;
        for (var length = 17; length < 32; length++)
        {
            var start = end - length;
            for (var i = 0; i < length; i++)
                start[i] = i;
            var tail = new float[16];
            Float32Row.Tail(start, length, end).CopyTo(tail);
            tail.Should().Equal([.. Enumerable.Range(16, length - 16).Select(i => (float)i), .. new float[32 - length]]);
        }
    }
}
