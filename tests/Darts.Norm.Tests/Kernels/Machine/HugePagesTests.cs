using System.Globalization;
using System.Runtime.InteropServices;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

public sealed class HugePagesTests
{
    [Fact]
    public void Like_OfManyBytes_AsksForHugePages()
    {
        if (!Directory.Exists("/sys/kernel/mm/transparent_hugepage"))
            return; // not Linux, or without them

        using var x = zeros(8 << 20);
        using var result = TensorMemory.Like(x);

        IsAskedFor(result.storage<float>().data_ptr() + (16 << 20)).Should().BeTrue();
    }

    [Fact]
    public unsafe void Advise_OfAnyBytes_AsksForTheSystemsPagesThatHoldThemAlone()
    {
        if (!Directory.Exists("/sys/kernel/mm/transparent_hugepage"))
            return;

        const int page = 2 << 20;
        var start = (byte*)NativeMemory.AlignedAlloc(32 * page, page); // more than is ever taken from memory in use
        HugePages.Advise(start + page, 2 * page);
        HugePages.Advise(start + (5 * page) - 1, (2 * page) + 2);
        HugePages.Advise(start + (9 * page) + 1, 2 * page);
        HugePages.Advise(start + (13 * page) + 1, page - 2);
        bool IsAsked(int i, int offset) => IsAskedFor((long)start + ((long)i * page) + offset);
        var whole = Enumerable.Range(0, 16).Where(i => IsAsked(i, 0) && IsAsked(i, page - 1)).ToArray();
        var others = new[] { IsAsked(1, -1), IsAsked(3, 0), IsAsked(5, -1 - Environment.SystemPageSize), IsAsked(7, Environment.SystemPageSize), IsAsked(9, -1), IsAsked(11, Environment.SystemPageSize), IsAsked(14, 0) };
        NativeMemory.AlignedFree(start);

        whole.Should().Equal([1, 2, 5, 6, 9, 10, 13], "the pages at the ends hold some of them");
        others.Should().AllBeEquivalentTo(false);
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
