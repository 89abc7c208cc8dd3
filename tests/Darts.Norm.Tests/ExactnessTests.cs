using CsCheck;
using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>Random layers, shapes, strides, dtypes, scales and contents against truths of 104 binary digits, and against themselves.</summary>
[Collection(nameof(Alone))]
public sealed class ExactnessTests
{
    private const int Threads = 3;

    /// <summary>What float64 values of RINorm lose more of than the bounds allow: see docs/numerics.md.</summary>
    private static readonly Content[] LosesInRINorm = [Content.AnyMagnitude, Content.Subnormal, Content.LargestValues, Content.Mixed];

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

    public static TheoryData<Kind, ScalarType, Content> HardInputs
    {
        get
        {
            var data = new TheoryData<Kind, ScalarType, Content>();
            foreach (var kind in (Kind[])[Kind.RMSNorm, Kind.LayerNorm, Kind.LayerNormNoBias, Kind.RINorm])
            {
                foreach (var (dtype, content) in Layers.Dtypes.SelectMany(dtype => Enum.GetValues<Content>().Select(content => (dtype, content))))
                    data.Add(kind, dtype, content);
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(HardInputs))]
    public void Results_OfEveryContentWidthAndEps_AreRight(Kind kind, ScalarType dtype, Content content)
    {
        double[] all = [1e-5, 1e-300, 0];
        bool? isJudged = kind == Kind.RINorm && dtype == ScalarType.Float64 ? !LosesInRINorm.Contains(content) : null;
        foreach (var (width, i) in ((long[])[1, 2, 3, 7, 129, 255, 1024, 4097]).Select((width, i) => (width, i)))
        {
            var problem = Problem.Simple(kind, kind == Kind.RINorm ? [1, Math.Max(2, 300 / width), width] : [2, width]) with
            {
                Dtype = dtype,
                ParameterDtype = dtype,
                Content = content,
                Scale = dtype == ScalarType.Float16 ? 100 : 1e5,
                Seed = i,
            };
            foreach (var eps in width < 1000 ? all : [all[i % all.Length]])
                string.Join("; ", Trial.Faults(problem with { Eps = eps }, Threads, isJudged)).Should().BeEmpty($"of {problem with { Eps = eps }}");
        }
    }

    [Theory]
    [InlineData(Kind.LayerNorm, true)]
    [InlineData(Kind.LayerNorm, false)]
    [InlineData(Kind.RMSNorm, true)]
    [InlineData(Kind.RMSNorm, false)]
    public void WeightGradient_OfManySubnormalRows_IsRight(Kind kind, bool frozen)
    {
        foreach (var seed in Enumerable.Range(0, 20))
        {
            var problem = Problem.Simple(kind, [700, 2]) with
            {
                Dtype = ScalarType.Float64,
                ParameterDtype = ScalarType.Float64,
                Content = Content.Subnormal,
                GradLayout = Layout.RepeatedValues,
                FrozenInput = frozen,
                Seed = seed,
            };
            string.Join("; ", Trial.Faults(problem, Threads, isJudged: true)).Should().BeEmpty($"of {problem}");
        }
    }
}
