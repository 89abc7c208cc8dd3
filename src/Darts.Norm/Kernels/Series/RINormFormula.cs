using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean) / stdev · weight + bias</c>.</summary>
internal readonly struct RINormFormula : ISeriesFormula
{
    public long Repeat => 1;

    public long Kinds => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public MapCoefficients Coefficients(long kind, SeriesCoefficients of) => new(of.Mean, of.MeanLow, of.Weight / of.Stdev, of.Bias);

    public (Vector256<double> factor, Vector256<double> shift) Rests(long kind, SeriesCoefficients of)
    {
        var factor = of.Weight / of.Stdev;
        return (-(Lanes.Loss(factor, of.Stdev, of.Weight) + (factor * of.StdevLow)) / of.Stdev, Vector256<double>.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public (Vector256<double> weight, Vector256<double> bias) Gradients(long kind, Vector256<double> along, Vector256<double> sum, Vector256<double> stdev, Vector256<double> weight) =>
        (along / stdev, sum);
}
