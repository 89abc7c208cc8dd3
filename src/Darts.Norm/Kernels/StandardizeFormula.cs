namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean) / stdev · weight + bias</c>.</summary>
internal readonly struct StandardizeFormula : ISeriesFormula
{
    public static MapCoefficients Coefficients(double mean, double meanLow, double stdev, double weight, double bias, double eps) =>
        new(mean, meanLow, weight / stdev, bias);

    public static (double weight, double bias) Gradients(double along, double sum, MapCoefficients map, double stdev, double weight, double eps) =>
        (along / stdev, sum);
}
