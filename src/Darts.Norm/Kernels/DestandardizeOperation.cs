namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - affine_bias) / (affine_weight + eps²) · stdev + mean</c>, for each likelihood parameter on the last axis.</summary>
internal sealed class DestandardizeOperation(RINormStatistics statistics, double eps) : FusedOperation
{
    public override Tensor Given => statistics.Values;

    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => statistics.Promote(x.dtype, weight, bias);

    public override Tensor Formula(Tensor x, Tensor? weight, Tensor? bias, Tensor? statistics) =>
        Formulas.Destandardize(x, statistics!, weight, bias, eps, ResultDtype(x, weight, bias));

    public override (Tensor output, Tensor? statistics) Forward(Tensor x, Tensor? weight, Tensor? bias, bool keepStatistics) =>
        (SeriesMap<DestandardizeFormula>.Forward(x, statistics.Values, weight, bias, x.size(-1), Eps(weight), measure: false), statistics.Values);

    public override Gradients Backward(Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, Tensor gradOutput, Wanted wanted) =>
        SeriesMap<DestandardizeFormula>.Backward(x, statistics, weight, bias, gradOutput, x.size(-1), Eps(weight), wanted);

    // Without a weight there is nothing to keep from zero, and nothing is added to it.
    private double Eps(Tensor? weight) => weight is null ? 0 : eps;
}
