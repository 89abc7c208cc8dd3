using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>A normalisation of rows: <c>y = x̂ · weight + bias</c>. Only what differs between them.</summary>
internal unsafe interface IRowFormula
{
    /// <summary>Whether a row's mean is subtracted, so that the mean of the incoming gradient plays a part in the gradient.</summary>
    public static abstract bool Centers { get; }

    public static abstract void Measure(Row<Float32> x, double eps, RowStatistics* to);

    /// <summary>The factor, for four rows, from the mean squares about the center.</summary>
    public static abstract Vector256<double> Inverse(Vector256<double> meanSquare, double eps);

    /// <summary>For rows of float64, what the root is taken of,</summary>
    public static abstract Pair<Float64x4> Square(Pair<Float64x4> meanSquare, double eps);

    /// <summary>from that root one over the factor,</summary>
    public static abstract Pair<Float64x4> Divisor(Pair<Float64x4> root, double eps);

    /// <summary>and what eps is to a row times a scale.</summary>
    public static abstract double Scaled(double eps, double scale);

    /// <summary><c>x̂</c> without the factor, of values that float64 has digits to spare for.</summary>
    public static abstract Lanes Center(Lanes x, RowStatistics s);

    /// <summary>The same of float64 values, with what the center lost.</summary>
    public static abstract Pair<TVector> Center<TVector>(TVector x, RowStatistics s)
        where TVector : struct, IFloat64Vector<TVector>;

    /// <summary>Whether the statistics depend on the row, so that a gradient flows through them.</summary>
    public static abstract bool FlowsThrough(RowStatistics s, double eps);
}
