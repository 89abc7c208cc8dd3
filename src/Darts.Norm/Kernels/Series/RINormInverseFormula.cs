using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What becomes of a distribution's parameter where <c>a = stdev / (weight + eps²)</c>: <c>y = a · (x - bias) + mean</c> for a location, and for the others as <see cref="LikelihoodParameter"/> says.</summary>
/// <param name="parameters">How many there are.</param>
/// <param name="kinds">What each is, or one for all.</param>
/// <param name="eps">Keeps the weight from zero.</param>
internal readonly struct RINormInverseFormula(long parameters, LikelihoodParameter[] kinds, double eps) : ISeriesFormula
{
    public long Repeat => parameters;

    public long Kinds => kinds.Length;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public MapCoefficients Coefficients(long kind, SeriesCoefficients of)
    {
        var factor = of.Stdev / (of.Weight + Vector256.Create(eps * eps));
        return kinds[kind] == LikelihoodParameter.Location ? new(of.Bias, Vector256<double>.Zero, factor, of.Mean) : OfScale(kinds[kind], factor);
    }

    public (Vector256<double> factor, Vector256<double> shift) Rests(long kind, SeriesCoefficients of)
    {
        var square = Vector256.Create(eps * eps);
        var divisor = of.Weight + square;
        var shown = divisor - of.Weight;
        var factor = of.Stdev / divisor;
        var lost = (of.StdevLow - Lanes.Loss(factor, divisor, of.Stdev) - (factor * ((of.Weight - (divisor - shown)) + (square - shown)))) / divisor;
        return kinds[kind] switch
        {
            LikelihoodParameter.Location => (lost, of.MeanLow),
            LikelihoodParameter.Scale => (Vector256.ConditionalSelect(Vector256.LessThan(factor, Vector256<double>.Zero), -lost, lost), Vector256<double>.Zero),
            LikelihoodParameter.Variance => (Lanes.Loss(factor, factor, factor * factor) + (2 * factor * lost), Vector256<double>.Zero),
            LikelihoodParameter.LogScale => (Vector256<double>.Zero, lost / factor),
            _ => (Vector256<double>.Zero, Vector256<double>.Zero),
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public (Vector256<double> weight, Vector256<double> bias) Gradients(long kind, Vector256<double> along, Vector256<double> sum, Vector256<double> stdev, Vector256<double> weight)
    {
        var divisor = weight + Vector256.Create(eps * eps);
        var factor = stdev / divisor;
        return kinds[kind] switch
        {
            LikelihoodParameter.Location => (-along * factor / divisor, -sum * factor),
            LikelihoodParameter.Scale => (-along * Vector256.Abs(factor) / divisor, Vector256<double>.Zero),
            LikelihoodParameter.Variance => (-2 * along * (factor * factor) / divisor, Vector256<double>.Zero),
            LikelihoodParameter.LogScale => (-sum / divisor, Vector256<double>.Zero),
            _ => default,
        };
    }

    private static MapCoefficients OfScale(LikelihoodParameter kind, Vector256<double> factor)
    {
        var (none, nothing) = (Vector256<double>.Zero, Vector256.Create(-0.0)); // to which even a zero keeps its sign
        return kind switch
        {
            LikelihoodParameter.Scale => new(none, none, Vector256.Abs(factor), nothing),
            LikelihoodParameter.Variance => new(none, none, factor * factor, nothing),
            LikelihoodParameter.LogScale => new(none, none, Vector256<double>.One, Logarithms(Vector256.Abs(factor))),
            _ => new(none, none, Vector256<double>.One, nothing),
        };
    }

    private static Vector256<double> Logarithms(Vector256<double> of) => Vector256.Create(Logarithm.Of(of[0]), Logarithm.Of(of[1]), Logarithm.Of(of[2]), Logarithm.Of(of[3]));
}
