using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;

namespace Darts.Norm.Tests.Kernels;

/// <summary>How the dtypes that kernels compute with are read and rounded.</summary>
public sealed unsafe class ElementTests
{
    [Fact]
    public void LoadAndStore_OfFloat32AndFloat64_AreEachLanesValue()
    {
        var singles = stackalloc float[Lanes.Count + 1];
        var doubles = stackalloc double[Lanes.Count + 1];
        for (var i = 0; i <= Lanes.Count; i++)
            (singles[i], doubles[i]) = (i + 0.1f, i + 0.1);
        for (var i = 0; i < Lanes.Count; i++)
        {
            Values(Float32.Load((byte*)singles))[i].Should().Be(i + 0.1f).And.Be(Float32.Read((byte*)(singles + i)));
            Values(Float64.Load((byte*)doubles))[i].Should().Be(i + 0.1).And.Be(Float64.Read((byte*)(doubles + i)));
        }
        Float32.Store(Float64.Load((byte*)doubles) * 3, (byte*)singles);
        Float64.Store(Float64.Load((byte*)doubles) * 3, (byte*)doubles);
        for (var i = 0; i < Lanes.Count; i++)
            (singles[i], doubles[i]).Should().Be(((float)((i + 0.1) * 3), (i + 0.1) * 3));
        (singles[Lanes.Count], doubles[Lanes.Count]).Should().Be((Lanes.Count + 0.1f, Lanes.Count + 0.1), "what lies behind stays");
    }

    [Fact]
    public void Traits_OfADtype_AreThoseOfItWithGapsToo()
    {
        (Float32.Size, Float64.Size).Should().Be((4, 8));
        (Single<Float32>(), Single<Float64>(), Single<WithGaps<Float32>>()).Should().Be((true, false, true));
        (HasGaps<Float32>(), HasGaps<Float64>(), HasGaps<WithGaps<Float64>>()).Should().Be((false, false, true));

        static bool Single<T>()
            where T : IElement => T.IsSingle;

        static bool HasGaps<T>()
            where T : IElement => T.HasGaps;
    }
}
