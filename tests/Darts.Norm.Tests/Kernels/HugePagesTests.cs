using System.Globalization;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

public class HugePagesTests
{
    [Fact]
    public void Like_OfManyBytes_AsksForHugePages()
    {
        if (!Directory.Exists("/sys/kernel/mm/transparent_hugepage"))
            return; // not Linux, or without them

        using var x = zeros(8 << 20);
        using var result = Memory.Like(x);

        IsAskedFor(result.storage<float>().data_ptr() + (16 << 20)).Should().BeTrue();
    }

    /// <summary>Whether the mapping around an address has the flag.</summary>
    private static bool IsAskedFor(long address)
    {
        var isAround = false;
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            var range = line.Split(' ')[0].Split('-');
            if (range.Length == 2 && long.TryParse(range[0], NumberStyles.HexNumber, null, out var first) && long.TryParse(range[1], NumberStyles.HexNumber, null, out var end))
                isAround = first <= address && address < end;
            else if (isAround && line.StartsWith("VmFlags:", StringComparison.Ordinal))
                return line.Split(' ').Contains("hg");
        }
        return false;
    }
}
