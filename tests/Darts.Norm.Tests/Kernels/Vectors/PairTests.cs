using System.Numerics;
using Darts.Norm.Kernels;
using static Darts.Norm.Tests.Kernels.Numbers;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Values with what they lost, as many as a register holds.</summary>
public sealed unsafe class PairTests
{
    [Fact]
    public void DifferencesAndProducts_OfAnyWidth_HoldWhatTheyLose()
    {
        HoldWhatTheyLose<Float64x4>();
        HoldWhatTheyLose<Float64x8>();
    }

    [Fact]
    public void RoundedAndPlus_OfAnyWidth_PutBackWhatWasLostUnlessItIsNaN()
    {
        PutBackWhatWasLost<Float64x4>();
        PutBackWhatWasLost<Float64x8>();
    }

    [Fact]
    public void QuotientsAndRoots_WithARest_AreTwiceAsLongAsAFloat64()
    {
        double[] values = [1 / 3d, 7e200, 10, 1e-200], rests = [1e-18, -3e183, 0, -5e-218];
        var of = new Pair<Float64x4>(Of<Float64x4>(values), Of<Float64x4>(rests));
        Pair<Float64x4> sum = Pair.WithRest(of.High, of.Low), quotient = Pair.Divide(of, Float64x4.Create(96)), root = Pair.Root(of), inverse = Pair.Inverse(of);
        for (var i = 0; i < Float64x4.Count; i++)
        {
            var (exact, one) = (Exact(values[i]) + Exact(rests[i]), Exact(1));
            Both(sum, i).Should().Be(exact);
            Within(Both(quotient, i) * 96, exact);
            Within(Both(root, i) * Both(root, i), exact * one);
            Within(Both(inverse, i) * exact, one * one);
            (Value(quotient.High, i), Value(quotient.Low, i)).Should().Be(Sum.Divide(values[i], rests[i], 96), "one value gives the same");
            Value(root.High, i).Should().Be(Math.Sqrt(values[i]));
            Value(inverse.High, i).Should().Be(1 / values[i]);
        }
    }

    [Fact]
    public void QuotientsAndRoots_OfWhatIsZeroOrNotFinite_HaveNoRest()
    {
        double[] values = [0, double.PositiveInfinity, double.NegativeInfinity, double.NaN];
        var of = new Pair<Float64x4>(Of<Float64x4>(values), Of<Float64x4>(0, double.NaN, 1, 1));
        ShouldBe(Pair.WithRest(of.High, of.Low), values);
        ShouldBe(Pair.Divide(of, Float64x4.Create(96)), values);
        ShouldBe(Pair.Root(of), 0, double.PositiveInfinity, double.NaN, double.NaN);
        ShouldBe(Pair.Inverse(of), double.PositiveInfinity, 0, 0, double.NaN);

        static void ShouldBe(Pair<Float64x4> actual, params double[] expected)
        {
            for (var i = 0; i < Float64x4.Count; i++)
                (Value(actual.High, i), Value(actual.Low, i)).Should().Be((expected[i], 0));
        }
    }

    private static void HoldWhatTheyLose<TVector>()
        where TVector : struct, IFloat64Vector<TVector>
    {
        double[] x = [1e16, 1, 3, 1e300], y = [1.25, 1e16, 1 / 3d, 1e280];
        var difference = Pair<TVector>.Difference(Of<TVector>(x), Of<TVector>(y));
        var total = Pair<TVector>.Sum(Of<TVector>(x), Of<TVector>(y));
        for (var i = 0; i < TVector.Count; i++)
        {
            Both(difference, i).Should().Be(Exact(x[i % 4]) - Exact(y[i % 4]));
            Both(total, i).Should().Be(Exact(x[i % 4]) + Exact(y[i % 4]));
            (Value(total.High, i), Value(total.Low, i)).Should().Be(Sum.TwoSum(x[i % 4], y[i % 4]));
        }
        var third = TVector.Create(1 / 3d);
        var product = Pair<TVector>.Product(third, third);
        var cube = product * third;
        var sum = cube * (1 / 3d, Math.ScaleB(1 / 3d, -54));
        var (one, exact, last) = (Exact(1), Exact(1 / 3d), TVector.Count - 1);
        (Both(product, last) * one).Should().Be(exact * exact);
        Within(Both(cube, last) * one * one, exact * exact * exact);
        Within(Both(sum, last) * one * one * one, exact * exact * exact * (exact + (exact >> 54)));
        var shifted = product.Shifted(0.25);
        (Value(shifted.High, last), Value(shifted.Low, last)).Should().Be((Value(product.High, last) / 4, Value(product.Low, last) / 4));
    }

    private static void PutBackWhatWasLost<TVector>()
        where TVector : struct, IFloat64Vector<TVector>
    {
        var (tie, unit) = (1 + Math.ScaleB(1, -52), Math.ScaleB(1, -53));
        var pair = new Pair<TVector>(Of<TVector>(tie, 1, double.PositiveInfinity, double.NegativeInfinity), Of<TVector>(unit, unit / 2, double.NaN, double.PositiveInfinity));
        var (rounded, plus) = (pair.Rounded(), pair.Plus(Of<TVector>(unit, unit / 2, double.PositiveInfinity, 1)));
        for (var i = 0; i < TVector.Count; i++)
        {
            Value(rounded, i).Should().Be((i % 4) switch { 0 => tie + unit, 1 => 1, 2 => double.PositiveInfinity, _ => double.NegativeInfinity });
            Value(plus, i).Should().Be((i % 4) switch { 0 => tie + (2 * unit), 1 => 1 + unit, 2 => double.PositiveInfinity, _ => double.NegativeInfinity });
        }
    }

    private static void Within(BigInteger actual, BigInteger expected) => (BigInteger.Abs(actual - expected) << 100).Should().BeLessThan(expected);

    private static BigInteger Both<TVector>(Pair<TVector> pair, int i)
        where TVector : struct, IFloat64Vector<TVector> => Exact(Value(pair.High, i)) + Exact(Value(pair.Low, i));

    /// <summary>The four values, repeated to the vector's width.</summary>
    private static TVector Of<TVector>(params double[] four)
        where TVector : struct, IFloat64Vector<TVector>
    {
        fixed (double* values = (double[])[.. four, .. four])
            return TVector.Load(values);
    }

    private static double Value<TVector>(TVector wide, int i)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var values = stackalloc double[TVector.Count];
        wide.Store(values);
        return values[i];
    }
}
