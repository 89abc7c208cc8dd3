namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - affine_bias) / (affine_weight + eps²) · stdev + mean</c> for each likelihood parameter on the last axis, or what is right for it.</summary>
/// <param name="statistics">Mean and stdev of each series.</param>
/// <param name="eps">Its square keeps the weight from zero.</param>
/// <param name="kinds">What each on the last axis is, or one for all of them.</param>
internal sealed class RINormInverseOperation(RINormStatistics statistics, double eps, LikelihoodParameter[] kinds)
    : SeriesOperation<RINormInverseFormula>(statistics, options: null, Missing.None)
{
    public override bool NeedsBias => true;

    public override Tensor Formula(Inputs inputs) => Formulas.RINormInverse(inputs, eps, kinds, ResultDtype(inputs.X, inputs.Weight, inputs.Bias));

    // Without a weight there is nothing to keep from zero, and nothing is added to it.
    protected override RINormInverseFormula Map(Inputs inputs) => new(inputs.X.size(-1), kinds, inputs.Weight is null ? 0 : eps);
}
