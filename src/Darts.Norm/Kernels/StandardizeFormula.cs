namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean) / stdev · weight + bias</c>.</summary>
internal readonly struct StandardizeFormula : ISeriesFormula
{
    public long Repeat => 1;

    public long Kinds => 1;

    public MapCoefficients Coefficients(long kind, SeriesCoefficients of) => new(of.Mean, of.MeanLow, of.Weight / of.Stdev, of.Bias);

    public (double weight, double bias) Gradients(long kind, double along, double sum, SeriesCoefficients of) => (along / of.Stdev, sum);
}
