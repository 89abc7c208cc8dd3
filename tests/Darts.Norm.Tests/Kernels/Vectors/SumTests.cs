using System.Numerics;
using System.Runtime.Intrinsics;
using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Sums and what they lose, against numbers of any length.</summary>
public sealed unsafe class SumTests
{
    private const int Padding = Lanes.Count;
    private const double Large = 1L << 60;

    [Theory]
    [InlineData(0, 4096)]
    [InlineData(1 << 18, 4096)]
    [InlineData(1 << 20, 1024)]
    [InlineData(1 << 30, 1)]
    public void Farthest_OfSoManyAdditions_LeavesTheVarianceItsDigits(long additions, double expected) => Sum.Farthest(4096, additions).Should().Be(expected);

    [Fact]
    public void Add_OfNumbers_KeepsWhatIsLostWhereFloat64IsAllThereIs()
    {
        double sum = 0, lost = 0, plain = 0, nothing = 0;
        foreach (var step in Steps)
        {
            Sum.Add<Float64>(ref sum, ref lost, step(3));
            Sum.Add<Float32>(ref plain, ref nothing, step(3));
        }
        (Exact(sum) + Exact(lost)).Should().Be(Steps.Aggregate(BigInteger.Zero, (exact, step) => exact + Exact(step(3))));
        (plain, nothing).Should().Be((Steps.Aggregate(0d, (rounded, step) => rounded + step(3)), 0));
    }

    [Fact]
    public void AddAt_RunningSums_KeepsWhatTheyLoseAndTouchesItsOwnAlone()
    {
        const int count = 4, length = 3 * count;
        var sums = stackalloc double[2 * length];
        foreach (var step in Steps)
            Sum.AddAt(sums + count, length, new Float64x4(Vector256.Create(step(0), step(1), step(2), step(3))), Float64x4.Create(0.25));
        for (var i = 0; i < count; i++)
        {
            (sums[i], sums[(2 * count) + i], sums[length + i], sums[length + (2 * count) + i]).Should().Be((0, 0, 0, 0));
            var exact = Steps.Aggregate(Exact(0.25 * Steps.Length), (sum, step) => sum + Exact(step(i)));
            (Exact(sums[count + i]) + Exact(sums[length + count + i])).Should().Be(exact);
        }
    }

    [Fact]
    public void Merge_TwoSets_AddsSumsAndLosses()
    {
        const int length = Padding + 4;
        double* sums = stackalloc double[5 * Padding], more = stackalloc double[4 * Padding];
        for (var i = 0; i < 2 * Padding; i++)
            (sums[i], more[i], sums[(2 * Padding) + i], more[(2 * Padding) + i]) = (Large, i + 1, i + 0.5, 2 * i);
        sums[4 * Padding] = 7;
        Sum.Merge<Float64>(sums, more, length);
        for (var i = 0; i < length; i++)
            (Exact(sums[i]) + Exact(sums[(2 * Padding) + i])).Should().Be(Exact(Large) + Exact(i + 1 + i + 0.5 + (2 * i)));
        sums[4 * Padding].Should().Be(7);

        for (var i = 0; i < 4 * Padding; i++)
            (sums[i], more[i]) = (i, 100);
        Sum.Merge<Float32>(sums, more, Padding);
        for (var i = 0; i < 4 * Padding; i++)
            sums[i].Should().Be(i < Padding ? i + 100 : i);
    }

    [Fact]
    public void Cleared_ABlock_IsZeroAndTheOthersAreNot()
    {
        var sums = stackalloc double[48];
        new Span<double>(sums, 48).Fill(7);
        (Sum.Cleared(sums, 1, 16) == sums + 16).Should().BeTrue();
        for (var i = 0; i < 48; i++)
            sums[i].Should().Be(i / 16 == 1 ? 0 : 7);
        (Sum.Cleared(null, 1, 16) == null).Should().BeTrue();
    }

    [Fact]
    public void Combined_BlocksOfAParametersGradient_AreAddedAndRoundedOnce()
    {
        using var scope = NewDisposeScope();
        using var sums = new Float64Buffer(3 * 2 * Padding);
        new Span<double>(sums.At, (int)sums.Length).Clear();
        for (var block = 0; block < 3; block++)
        {
            for (var i = 0; i < 5; i++)
                (sums.At[(block * 2 * Padding) + i], sums.At[(block * 2 * Padding) + Padding + i]) = (block == 0 ? 1 : Math.ScaleB(1, -53), i == 4 ? double.NaN : 0);
        }
        sums.At[4] = double.PositiveInfinity;
        var gradient = Sum.Combined<Float64>(sums, 3, 5, new([5], ScalarType.Float64))!;
        gradient.Doubles().Should().Equal(1 + Math.ScaleB(1, -52), 1 + Math.ScaleB(1, -52), 1 + Math.ScaleB(1, -52), 1 + Math.ScaleB(1, -52), double.PositiveInfinity);

        new Span<double>(sums.At, (int)sums.Length).Clear();
        for (var i = 0; i < 2 * Padding; i++)
            sums.At[i] = i;
        Sum.Combined<Float32>(sums, 2, 5, new([5], ScalarType.Float32))!.Doubles().Should().Equal(16, 18, 20, 22, 24);
        Sum.Combined<Float32>(default, 2, 5, null).Should().BeNull();
    }

    [Theory]
    [InlineData(1, 0, 3)]
    [InlineData(10, 1e-16, 3)]
    [InlineData(-7e300, 1e283, 96)]
    [InlineData(5e-300, 0, 7)]
    [InlineData(1000, 1e-3, 7)]
    public void Divide_WithARest_IsTwiceAsLongAsAFloat64(double total, double rest, double count)
    {
        var (quotient, lost) = Sum.Divide(total, rest, count);
        BigInteger.Abs(((Exact(quotient) + Exact(lost)) * (BigInteger)count) - Exact(total) - Exact(rest)).Should().BeLessThan(BigInteger.Max(BigInteger.Abs(Exact(total)) >> 100, 1000));
        Math.Abs(lost).Should().BeLessThanOrEqualTo(Math.Abs(Math.ScaleB(quotient, -53)));
    }

    /// <summary>The first quotient may be the number beside the nearest one: what is left of the values without their mean would be the difference of two roundings.</summary>
    [Fact]
    public void Divide_OfATotalOfValuesNextToTheirMean_HasARestOfAllItsDigits()
    {
        for (var value = 1.01; value < 1.9; value += 0.01)
        {
            var (total, rest) = (0.0, 0.0);
            for (var i = 0; i < 300; i++)
                Sum.Add<Float64>(ref total, ref rest, i == 0 ? Math.BitIncrement(value) : value);
            var (quotient, lost) = Sum.Divide(total, rest, 300);
            quotient.Should().Be(value);
            lost.Should().Be(Math.ScaleB(1 / 300.0, -52));
        }
    }

    [Fact]
    public void Divide_OfWhatIsNotFinite_HasNoRest()
    {
        Sum.Divide(double.NegativeInfinity, 1, 3).Should().Be((double.NegativeInfinity, 0));
        Sum.Divide(double.NaN, 1, 3).Should().Be((double.NaN, 0));
    }

    private static Func<int, double>[] Steps => [lane => Large * (lane + 1), lane => 3 + lane, lane => -Large * (lane + 1), _ => 0.5, lane => -Large * (lane + 2), lane => lane - 7];
}
