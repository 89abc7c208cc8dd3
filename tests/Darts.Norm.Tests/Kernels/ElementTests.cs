using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;
using BFloat16 = Darts.Norm.Kernels.BFloat16;

namespace Darts.Norm.Tests.Kernels;

/// <summary>How the dtypes are read and rounded: every value of the short ones, and every tie between two.</summary>
public sealed unsafe class ElementTests
{
    private const int Bits = 1 << 16;

    [Fact]
    public void Load_EveryFloat16_IsItsValue() => LoadsAll<Float16>(bits => (double)BitConverter.UInt16BitsToHalf(bits));

    [Fact]
    public void Load_EveryBFloat16_IsItsValue() => LoadsAll<BFloat16>(bits => BitConverter.UInt32BitsToSingle((uint)bits << 16));

    [Fact]
    public void Store_BetweenAnyTwoFloat16_IsTheNearerAndTheEvenOne() => StoresAll<Float16>(bits => (double)BitConverter.UInt16BitsToHalf(bits), infinity: 0x7C00, beyond: 65536, nan: 0x7E00);

    [Fact]
    public void Store_BetweenAnyTwoBFloat16_IsTheNearerAndTheEvenOne() =>
        StoresAll<BFloat16>(bits => BitConverter.UInt32BitsToSingle((uint)bits << 16), infinity: 0x7F80, beyond: Math.ScaleB(1, 128), nan: 0x7FC0);

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
        (Float16.Size, BFloat16.Size, Float32.Size, Float64.Size).Should().Be((2, 2, 4, 8));
        (Single<Float16>(), Single<BFloat16>(), Single<Float32>(), Single<Float64>(), Single<Gaps<Float32>>()).Should().Be((false, false, true, false, true));
        (Fits<Float16>(), Fits<BFloat16>(), Fits<Float32>(), Fits<Float64>(), Fits<Gaps<Float32>>(), Fits<Gaps<Float64>>()).Should().Be((true, true, true, false, true, false));
        (HasGaps<Float16>(), HasGaps<BFloat16>(), HasGaps<Float32>(), HasGaps<Float64>(), HasGaps<Gaps<Float64>>()).Should().Be((false, false, false, false, true));

        static bool Single<T>()
            where T : IElement => T.IsSingle;

        static bool Fits<T>()
            where T : IElement => T.FitsInDouble;

        static bool HasGaps<T>()
            where T : IElement => T.HasGaps;
    }

    private static void LoadsAll<T>(Func<ushort, double> expected)
        where T : IElement
    {
        var values = stackalloc ushort[Lanes.Count];
        for (var first = 0; first < Bits; first += Lanes.Count)
        {
            for (var i = 0; i < Lanes.Count; i++)
                values[i] = (ushort)(first + i);
            var read = Values(T.Load((byte*)values));
            for (var i = 0; i < Lanes.Count; i++)
            {
                var value = expected(values[i]);
                if (!Same(read[i], value) || !Same(T.Read((byte*)(values + i)), value))
                    Assert.Fail($"{values[i]:x4} is {value}, but was read as {read[i]} and {T.Read((byte*)(values + i))}");
            }
        }
    }

    /// <summary>Each value, and from it to the next away from zero: a little further, the tie, a little before and behind that.</summary>
    private static void StoresAll<T>(Func<ushort, double> valueOf, ushort infinity, double beyond, ushort nan)
        where T : IElement
    {
        var cases = new List<(double value, ushort bits)>();
        foreach (var sign in (ushort[])[0, 0x8000])
        {
            for (ushort bits = 0; bits < infinity; bits++)
            {
                var (value, next) = (valueOf(bits), bits + 1 == infinity ? beyond : valueOf((ushort)(bits + 1)));
                var tie = (value + next) / 2;
                ushort even = (ushort)((bits & 1) == 0 ? bits : bits + 1);
                foreach (var (between, nearest) in ((double, ushort)[])[(value, bits), (Math.BitIncrement(value), bits), (Math.BitDecrement(tie), bits), (tie, even), (Math.BitIncrement(tie), (ushort)(bits + 1)), (Math.BitDecrement(next), (ushort)(bits + 1))])
                    cases.Add((sign == 0 ? between : -between, (ushort)(nearest | sign)));
            }
            foreach (var large in (double[])[beyond, beyond * 1.7, 1e300, double.PositiveInfinity])
                cases.Add((sign == 0 ? large : -large, (ushort)(infinity | sign)));
        }
        cases.Add((double.NaN, nan));
        while (cases.Count % Lanes.Count != 0)
            cases.Add((1, cases.Find(one => one.value == 1).bits));
        var values = stackalloc double[Lanes.Count];
        var stored = stackalloc ushort[Lanes.Count];
        for (var first = 0; first < cases.Count; first += Lanes.Count)
        {
            for (var i = 0; i < Lanes.Count; i++)
                values[i] = cases[first + i].value;
            T.Store(Lanes.Load(values), (byte*)stored);
            for (var i = 0; i < Lanes.Count; i++)
            {
                var (value, bits) = cases[first + i];
                if (double.IsNaN(value) ? (stored[i] & 0x7FFF) != bits : stored[i] != bits)
                    Assert.Fail($"{value:r} is {bits:x4}, but was written as {stored[i]:x4}");
            }
        }
    }

    private static bool Same(double a, double b) => double.IsNaN(a) ? double.IsNaN(b) : BitConverter.DoubleToInt64Bits(a) == BitConverter.DoubleToInt64Bits(b);
}
