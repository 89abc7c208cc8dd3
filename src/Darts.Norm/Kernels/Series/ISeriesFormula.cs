using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The coefficients of <c>y = (x - center) · factor + shift</c>, for four components of a series.</summary>
/// <param name="center">What is subtracted.</param>
/// <param name="centerLow">What <paramref name="center"/> lost by rounding.</param>
/// <param name="factor">What is multiplied by.</param>
/// <param name="shift">What is added.</param>
internal readonly struct MapCoefficients(Vector256<double> center, Vector256<double> centerLow, Vector256<double> factor, Vector256<double> shift)
{
    public readonly Vector256<double> Center = center, CenterLow = centerLow, Factor = factor, Shift = shift;
}

/// <summary>The statistics and parameters of four components of a series.</summary>
internal readonly struct SeriesCoefficients(
    Vector256<double> mean, Vector256<double> meanLow, Vector256<double> stdev, Vector256<double> stdevLow, Vector256<double> weight, Vector256<double> bias)
{
    public readonly Vector256<double> Mean = mean, MeanLow = meanLow, Stdev = stdev, StdevLow = stdevLow, Weight = weight, Bias = bias;
}

/// <summary>What differs between the maps whose coefficients come from a series' statistics and a component's parameters.</summary>
internal interface ISeriesFormula
{
    /// <summary>How many values of a time step belong to one component.</summary>
    public long Repeat { get; }

    /// <summary>How many ways of mapping there are for the values of a component, in equal runs.</summary>
    public long Kinds { get; }

    public MapCoefficients Coefficients(long kind, SeriesCoefficients of);

    /// <summary>What the factor and the shift of <see cref="Coefficients"/> lost by rounding, for values of float64.</summary>
    public (Vector256<double> factor, Vector256<double> shift) Rests(long kind, SeriesCoefficients of);

    /// <summary>The gradients of weight and bias of four components, from the sums over a series of <c>go · (x - center)</c> and of <c>go</c>.</summary>
    public (Vector256<double> weight, Vector256<double> bias) Gradients(long kind, Vector256<double> along, Vector256<double> sum, Vector256<double> stdev, Vector256<double> weight);
}
