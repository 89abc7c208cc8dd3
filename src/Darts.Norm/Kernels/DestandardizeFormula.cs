namespace Darts.Norm.Kernels;

/// <summary>What becomes of a distribution's parameter where <c>a = stdev / (weight + eps²)</c>: <c>y = a · (x - bias) + mean</c> for a location, and for the others as <see cref="LikelihoodParameter"/> says.</summary>
/// <param name="parameters">How many there are.</param>
/// <param name="kinds">What each is, or one for all.</param>
/// <param name="eps">Keeps the weight from zero.</param>
internal readonly struct DestandardizeFormula(long parameters, LikelihoodParameter[] kinds, double eps) : ISeriesFormula
{
    public long Repeat => parameters;

    public long Kinds => kinds.Length;

    public MapCoefficients Coefficients(long kind, SeriesCoefficients of)
    {
        var factor = of.Stdev / Divisor(of);
        return kinds[kind] switch
        {
            LikelihoodParameter.Location => new(of.Bias, 0, factor, of.Mean),
            LikelihoodParameter.Scale => new(0, 0, Math.Abs(factor), -0.0),
            LikelihoodParameter.Variance => new(0, 0, factor * factor, -0.0),
            LikelihoodParameter.LogScale => new(0, 0, 1, Logarithm.Of(Math.Abs(factor))),
            _ => new(0, 0, 1, -0.0), // of which even a zero keeps its sign
        };
    }

    public (double weight, double bias) Gradients(long kind, double along, double sum, SeriesCoefficients of)
    {
        var (factor, divisor) = (of.Stdev / Divisor(of), Divisor(of));
        return kinds[kind] switch
        {
            LikelihoodParameter.Location => (-along * factor / divisor, -sum * factor),
            LikelihoodParameter.Scale => (-along * Math.Abs(factor) / divisor, 0),
            LikelihoodParameter.Variance => (-2 * along * (factor * factor) / divisor, 0),
            LikelihoodParameter.LogScale => (-sum / divisor, 0),
            _ => default,
        };
    }

    private double Divisor(SeriesCoefficients of) => of.Weight + (eps * eps);
}
