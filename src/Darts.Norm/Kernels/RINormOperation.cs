namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean) / stdev · affine_weight + affine_bias</c>.</summary>
/// <param name="statistics">Mean and stdev of each series.</param>
/// <param name="options">How to take the statistics from x; null where they are there.</param>
/// <param name="gaps">Which values are missing.</param>
internal sealed class RINormOperation(RINormStatistics statistics, StatisticsOptions? options, MissingValues gaps) : FusedOperation
{
    public override Tensor Statistics => statistics.Values;

    public override Tensor StatisticsOf(Float64Buffer kept) => statistics.Copy(kept);

    public override long Keeps(Tensor x) => statistics.Values.numel();

    public override Tensor? Mask => gaps.Mask;

    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => statistics.Promote(x.dtype, weight, bias);

    public override Tensor Formula(Inputs inputs) => Formulas.RINorm(inputs, gaps with { Mask = inputs.Mask }, ResultDtype(inputs.X, inputs.Weight, inputs.Bias));

    public override Tensor Forward(Inputs inputs) => SeriesMap<RINormFormula>.Forward(default, inputs, options, gaps.Missing);

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) =>
        SeriesMap<RINormFormula>.Backward(default, inputs, statistics.Shape[^1], gradOutput, gaps.Missing, wanted);
}
