using System.Diagnostics;
using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>The soak program as a process of its own.</summary>
internal static class SoakProgram
{
    /// <summary>What the soak program prints, line by line, with hardware switched off.</summary>
    public static async Task<string[]> Lines(string[] off, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!.Contains("dotnet", StringComparison.Ordinal) ? Environment.ProcessPath : "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(typeof(Problem).Assembly.Location);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var name in off)
            start.Environment[name] = "0";
        using var child = Process.Start(start)!;
        var (output, error) = (child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync());
        await child.WaitForExitAsync();
        child.ExitCode.Should().Be(0, await error);
        return (await output).TrimEnd().Split('\n');
    }
}
