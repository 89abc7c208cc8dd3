namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean) / stdev · affine_weight + affine_bias</c>.</summary>
/// <param name="statistics">Mean and stdev of each series.</param>
/// <param name="eps">The layer's.</param>
/// <param name="measure">Whether the statistics are still to be taken, from x.</param>
internal sealed class StandardizeOperation(RINormStatistics statistics, double eps, bool measure) : FusedOperation
{
    public override Tensor Given => statistics.Values;

    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => statistics.Promote(x.dtype, weight, bias);

    public override Tensor Formula(Tensor x, Tensor? weight, Tensor? bias, Tensor? statistics) =>
        Formulas.Standardize(x, statistics!, weight, bias, ResultDtype(x, weight, bias));

    public override (Tensor output, Tensor? statistics) Forward(Tensor x, Tensor? weight, Tensor? bias, bool keepStatistics) =>
        (SeriesMap<StandardizeFormula>.Forward(x, statistics.Values, weight, bias, 1, eps, measure), statistics.Values);

    public override Gradients Backward(Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, Tensor gradOutput, Wanted wanted) =>
        SeriesMap<StandardizeFormula>.Backward(x, statistics, weight, bias, gradOutput, 1, eps, wanted);
}
