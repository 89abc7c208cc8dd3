namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - affine_bias) / (affine_weight + eps²) · stdev + mean</c>, for each likelihood parameter on the last axis.</summary>
internal sealed class DestandardizeOperation(RINormStatistics statistics, double eps) : FusedOperation
{
    public override Tensor Statistics => statistics.Values;

    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => statistics.Promote(x.dtype, weight, bias);

    public override Tensor Formula(Inputs inputs) => Formulas.Destandardize(inputs, eps, ResultDtype(inputs.X, inputs.Weight, inputs.Bias));

    public override (Tensor output, Tensor? statistics) Forward(Inputs inputs, bool keepStatistics) =>
        (SeriesMap<DestandardizeFormula>.Forward(inputs, inputs.X.size(-1), Eps(inputs), measure: null, default), inputs.Statistics);

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) =>
        SeriesMap<DestandardizeFormula>.Backward(inputs, gradOutput, inputs.X.size(-1), Eps(inputs), default, wanted);

    // Without a weight there is nothing to keep from zero, and nothing is added to it.
    private double Eps(Inputs inputs) => inputs.Weight is null ? 0 : eps;
}
