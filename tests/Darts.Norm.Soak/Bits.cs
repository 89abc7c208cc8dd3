using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using CsCheck;

namespace Darts.Norm.Soak;

/// <summary>Hashes of everything that the layers compute: two processes that print the same computed the same bits.</summary>
public static class Bits
{
    private const int Small = 12;

    private static readonly ScalarType[] Dtypes = [ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64];

    /// <summary>What the process computes with.</summary>
    public static string Machine =>
        $"vectors of 512 bits {Vector512.IsHardwareAccelerated}, of 256 bits {Vector256.IsHardwareAccelerated}, of 128 bits {Vector128.IsHardwareAccelerated}, AVX2 {Avx2.IsSupported}, FMA {Fma.IsSupported}";

    /// <summary>A line for each layer and dtype: over small problems of every kind, and one large enough for several threads.</summary>
    public static IEnumerable<string> Hashes(int threads)
    {
        var before = get_num_threads();
        set_num_threads(threads);
        try
        {
            return [.. Enum.GetValues<Kind>().SelectMany(kind => Dtypes.Select(dtype => $"{kind} {dtype} {Hash(kind, dtype)}"))];
        }
        finally
        {
            set_num_threads(before);
        }
    }

    private static string Hash(Kind kind, ScalarType dtype)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var random = new PCG(1, (ulong)kind + 1);
        var (small, large) = (Problem.Of(kind, dtype, 600), Problem.Of(kind, dtype, 300_000));
        foreach (var problem in Enumerable.Range(0, Small).Select(each => small.Generate(random, null, out _)).Append(Large(large.Generate(random, null, out _))))
        {
            using var scope = NewDisposeScope();
            using var layer = problem.NewLayerWithParameters();
            using var results = Results.Of(problem, layer, problem.Input().As(problem.Layout), problem.Mask(), shape => problem.Gradient(shape).As(problem.GradLayout));
            foreach (var result in results.Values)
                hash.AppendData(Results.Bits(result));
        }
        return Convert.ToHexString(hash.GetHashAndReset())[..16];
    }

    private static Problem Large(Problem problem) => problem with
    {
        Shape = problem.IsOfSeries ? [16, 60, 100] : [16, 15, 265],
        Content = Content.Ordinary,
        Layout = Layout.Contiguous,
        GradLayout = Layout.Contiguous,
        FrozenInput = false,
        FrozenParameters = false,
    };
}
