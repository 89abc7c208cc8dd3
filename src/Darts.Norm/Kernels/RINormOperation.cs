namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean) / stdev · affine_weight + affine_bias</c>.</summary>
/// <param name="statistics">Mean and stdev of each series.</param>
/// <param name="options">How to take the statistics from x; null where they are there.</param>
/// <param name="gaps">Which values are missing.</param>
internal sealed class RINormOperation(RINormStatistics statistics, StatisticsOptions? options, MissingValues gaps)
    : SeriesOperation<RINormFormula>(statistics, options, gaps.Missing)
{
    public override Tensor? Mask => gaps.Mask;

    public override Tensor Formula(Inputs inputs) => Formulas.RINorm(inputs, gaps with { Mask = inputs.Mask }, ResultDtype(inputs.X, inputs.Weight, inputs.Bias));

    protected override RINormFormula Map(Inputs inputs) => default;
}
