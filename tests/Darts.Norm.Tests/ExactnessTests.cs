using CsCheck;
using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>Random layers, shapes, strides, dtypes, scales and contents against truths of 104 binary digits, and against themselves.</summary>
[Collection(nameof(Alone))]
public sealed class ExactnessTests
{
    private const int Threads = 3;

    public static TheoryData<Kind, ScalarType> KindsAndDtypes
    {
        get
        {
            var pairs = new TheoryData<Kind, ScalarType>();
            foreach (var (kind, dtype) in Enum.GetValues<Kind>().SelectMany(kind => Layers.Dtypes.Select(dtype => (kind, dtype))))
                pairs.Add(kind, dtype);
            return pairs;
        }
    }

    [Theory]
    [MemberData(nameof(KindsAndDtypes))]
    public void Results_OfAnyProblem_AreRightAndAlwaysTheSameBits(Kind kind, ScalarType dtype) =>
        Problem.Of(kind, dtype, 1500).Sample(problem => string.Join("; ", Trial.Faults(problem, Threads)).Should().BeEmpty(), iter: 40, threads: 1);

    [Theory]
    [MemberData(nameof(KindsAndDtypes))]
    public void Results_OfManyValues_AreAlwaysTheSameBits(Kind kind, ScalarType dtype) =>
        Problem.Of(kind, dtype, 200_000).Sample(problem => string.Join("; ", Trial.Faults(problem, Threads, isJudged: false)).Should().BeEmpty(), iter: 1, threads: 1);
}
