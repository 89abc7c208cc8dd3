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

    /// <summary>The same numbers as <see cref="Sum"/> has for one, to the last bit.</summary>
    [Fact]
    public void QuotientsAndRoots_OfAnyWidth_AreThoseOfOneValue()
    {
        AreThoseOfOne<Float64x4>();
        AreThoseOfOne<Float64x8>();
    }

    private static void AreThoseOfOne<TVector>()
        where TVector : struct, IFloat64Vector<TVector>
    {
        double[] values = [1 / 3d, 7e300, 0, double.PositiveInfinity], rests = [1e-18, -3e283, 0, double.NaN];
        var of = new Pair<TVector>(Of<TVector>(values), Of<TVector>(rests));
        var (sum, rest, quotient, root, inverse) = (
            Pair<TVector>.Sum(of.High, of.Low), Pair<TVector>.WithRest(of.High, of.Low), Pair<TVector>.Divide(of, TVector.Create(96)), Pair<TVector>.Root(of), Pair<TVector>.Inverse(of));
        for (var i = 0; i < TVector.Count; i++)
        {
            var (value, lost) = (values[i % 4], rests[i % 4]);
            (Value(sum.High, i), Value(sum.Low, i)).Should().Be(Sum.TwoSum(value, lost));
            (Value(rest.High, i), Value(rest.Low, i)).Should().Be(Sum.WithRest(value, lost));
            (Value(quotient.High, i), Value(quotient.Low, i)).Should().Be(Sum.Divide(value, lost, 96));
            (Value(root.High, i), Value(root.Low, i)).Should().Be(Sum.Root(value, lost));
            (Value(inverse.High, i), Value(inverse.Low, i)).Should().Be(Sum.Inverse(value, lost));
        }
    }

    private static void HoldWhatTheyLose<TVector>()
        where TVector : struct, IFloat64Vector<TVector>
    {
        double[] x = [1e16, 1, 3, 1e300], y = [1.25, 1e16, 1 / 3d, 1e280];
        var difference = Pair<TVector>.Difference(Of<TVector>(x), Of<TVector>(y));
        for (var i = 0; i < TVector.Count; i++)
            (Exact(Value(difference.High, i)) + Exact(Value(difference.Low, i))).Should().Be(Exact(x[i % 4]) - Exact(y[i % 4]));
        var third = TVector.Create(1 / 3d);
        var product = Pair<TVector>.Product(third, third);
        var cube = product * third;
        var sum = cube * (1 / 3d, Math.ScaleB(1 / 3d, -54));
        var (one, exact, last) = (Exact(1), Exact(1 / 3d), TVector.Count - 1);
        ((Exact(Value(product.High, last)) + Exact(Value(product.Low, last))) * one).Should().Be(exact * exact);
        Within((Exact(Value(cube.High, last)) + Exact(Value(cube.Low, last))) * one * one, exact * exact * exact);
        Within((Exact(Value(sum.High, last)) + Exact(Value(sum.Low, last))) * one * one * one, exact * exact * exact * (exact + (exact >> 54)));
        var shifted = product.Shifted(0.25);
        (Value(shifted.High, last), Value(shifted.Low, last)).Should().Be((Value(product.High, last) / 4, Value(product.Low, last) / 4));

        static void Within(BigInteger actual, BigInteger expected) => (BigInteger.Abs(actual - expected) << 100).Should().BeLessThan(expected);
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

    /// <summary>The four values, and again as often as there is room.</summary>
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
