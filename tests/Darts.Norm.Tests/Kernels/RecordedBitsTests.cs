using System.Security.Cryptography;

namespace Darts.Norm.Tests.Kernels;

/// <summary>The same bits on every machine: those that were recorded on one.</summary>
public sealed class RecordedBitsTests
{
    private const string Record = "RECORD_BITS";

    [Fact]
    public void ResultsAndGradients_OfEveryKernel_AreTheRecordedBits()
    {
        var now = string.Concat(
            from operation in KernelCase.RowOperations.Concat(KernelCase.SeriesOperations)
            from dtype in Layers.Dtypes
            select $"{operation} {dtype} {Hash(operation, dtype)}\n");
        if (Environment.GetEnvironmentVariable(Record) == "1")
            File.WriteAllText(Path.Combine(Sources.Folder("Kernels"), "RecordedBits.txt"), now);
        else
            now.Should().Be(
                Sources.Text("RecordedBits.txt"), "results are the same bits on every machine and in every version that does not say otherwise. If the order of a computation changed on purpose, "
                + "run `{0}=1 dotnet test tests/Darts.Norm.Tests --filter RecordedBits`, commit tests/Darts.Norm.Tests/Kernels/RecordedBits.txt and say so in CHANGELOG.md", Record);
    }

    /// <summary>The hash of results and gradients, for shapes with and without tails, of one block and several, of values near zero and far from it.</summary>
    private static string Hash(string operation, ScalarType dtype)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long[][] shapes = KernelCase.RowOperations.Contains(operation) ? [[3, 16], [70, 37], [300, 61], [9, 700]] : [[2, 5, 4], [3, 96, 7], [20, 100, 9], [2, 3, 4, 65]];
        foreach (var shape in shapes)
        {
            foreach (var level in new[] { 0, 1234.5 })
            {
                using var one = new KernelCase(operation, dtype, shape, level);
                foreach (var result in one.ByKernels())
                    hash.AppendData(result.contiguous().bytes);
            }
        }
        return Convert.ToHexString(hash.GetHashAndReset()).ToLowerInvariant()[..32];
    }
}
