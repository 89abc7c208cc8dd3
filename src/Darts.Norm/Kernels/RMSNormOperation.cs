namespace Darts.Norm.Kernels;

/// <summary><c>y = x / max(rms(x), eps) · g</c> over the last axis.</summary>
internal sealed class RMSNormOperation(long dim, double eps) : FusedOperation
{
    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) =>
        x.dtype == weight!.dtype ? x.dtype : promote_types(x.dtype, weight.dtype);

    public override Tensor Formula(Inputs inputs) => Formulas.RMSNorm(inputs.X, inputs.Weight!, Math.Pow(dim, -0.5), eps);

    public override (Tensor output, Tensor? statistics) Forward(Inputs inputs, bool keepStatistics) =>
        RowNormalization<RMSNormFormula>.Forward(inputs, dim, eps, keepStatistics);

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) =>
        RowNormalization<RMSNormFormula>.Backward(inputs, gradOutput, dim, eps, wanted);
}
