namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - bias) / (weight + eps²) · stdev + mean</c>.</summary>
internal readonly struct DestandardizeFormula : ISeriesFormula
{
    public static MapCoefficients Coefficients(double mean, double meanLow, double stdev, double weight, double bias, double eps) =>
        new(bias, 0, stdev / (weight + (eps * eps)), mean);

    public static (double weight, double bias) Gradients(double along, double sum, MapCoefficients map, double stdev, double weight, double eps) =>
        (-along * map.Factor / (weight + (eps * eps)), -sum * map.Factor);
}
