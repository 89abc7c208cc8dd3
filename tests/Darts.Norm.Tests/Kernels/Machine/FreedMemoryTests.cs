using System.Globalization;

namespace Darts.Norm.Tests.Kernels;

public sealed class FreedMemoryTests
{
    /// <summary>In a process that has freed nothing larger, as this one may have: without it 57 to 900.</summary>
    [Fact]
    public async Task Results_FreedInEachStep_DoNotWaitForTheirPagesAgain()
    {
        if (!OperatingSystem.IsLinux())
            return;

        var lines = await SoakProgram.Lines([], "faults");

        int.Parse(lines.Single(), CultureInfo.InvariantCulture).Should().BeLessThan(50);
    }
}
