using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What differs between normalisations of rows, which are all <c>y = x̂ · weight + bias</c> with <c>x̂ = (x - center) · factor</c>.</summary>
internal unsafe interface IRowFormula
{
    /// <summary>Whether a row's mean is subtracted, so that the mean of the incoming gradient plays a part in the gradient.</summary>
    public static abstract bool Centers { get; }

    /// <summary>Measures a row of float32, in float64.</summary>
    public static abstract void Measure(Row<Float32> x, double eps, RowStatistics* to);

    /// <summary>The factor, for four rows, from the mean squares about the center.</summary>
    public static abstract Vector256<double> Inverse(Vector256<double> meanSquare, double eps);

    /// <summary>For rows of float64: what the root is taken of.</summary>
    public static abstract Pair<Float64x4> Square(Pair<Float64x4> meanSquare, double eps);

    /// <summary>For rows of float64: one over the factor, from the root of <see cref="Square"/>.</summary>
    public static abstract Pair<Float64x4> Divisor(Pair<Float64x4> root, double eps);

    /// <summary>For rows of float64: the eps that is to a row times <paramref name="scale"/> what <paramref name="eps"/> is to the row.</summary>
    public static abstract double Scaled(double eps, double scale);

    /// <summary><c>x - center</c>, of float32 values.</summary>
    public static abstract Lanes Center(Lanes x, RowStatistics s);

    /// <summary><c>x - center</c>, of float64 values, with what rounding lost.</summary>
    public static abstract Pair<TVector> Center<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector>;

    /// <summary>All ones for those of four rows on which their statistics depend, so that a gradient flows through these: not where eps replaces them.</summary>
    /// <param name="center">The rows' <see cref="RowStatistics.Center"/>.</param>
    /// <param name="eps">The layer's.</param>
    public static abstract Vector256<double> FlowsThrough(Vector256<double> center, double eps);
}
