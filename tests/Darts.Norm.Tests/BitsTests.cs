using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>The same bits from narrower machines and from any number of threads: child processes that compute with less and print hashes of all results.</summary>
public sealed class BitsTests
{
    private const int Threads = 4;

    /// <summary>Instructions to switch off in a child process, and what it must then print about itself.</summary>
    private static readonly (string[] off, string says)[] Machines =
    [
        ([], "vectors of 512 bits"),
        (["DOTNET_EnableAVX512", "DOTNET_EnableAVX512F"], "vectors of 512 bits False"), // the name in .NET 10, and in .NET 8
        (["DOTNET_EnableAVX2"], "AVX2 False, FMA False"),
        (["DOTNET_EnableAVX"], "of 256 bits False"),
        (["DOTNET_EnableHWIntrinsic"], "of 128 bits False"),
    ];

    [Fact]
    public async Task Hashes_OfEveryMachineAndNumberOfThreads_AreTheSame()
    {
        using var two = new SemaphoreSlim(2);
        var outputs = await Task.WhenAll(Machines.Select(async machine =>
        {
            await two.WaitAsync();
            try
            {
                return await SoakProgram.Lines(machine.off, "bits", "1", "2", $"{Threads}");
            }
            finally
            {
                two.Release();
            }
        }));
        foreach (var (output, machine) in outputs.Zip(Machines))
            output[0].Should().Contain(machine.says, "the switch must have taken effect");
        var hashes = outputs.Select(output => output[1..]).ToList();
        var expected = hashes[0][..(hashes[0].Length / 3)];
        expected.Should().HaveCount(Enum.GetValues<Kind>().Length * Layers.Dtypes.Length).And.OnlyHaveUniqueItems();
        foreach (var (lines, machine) in hashes.Zip(Machines))
            lines.Should().Equal([.. expected, .. expected, .. expected], $"without {string.Join(", ", machine.off)} and on 1, 2 and {Threads} threads");
    }
}
