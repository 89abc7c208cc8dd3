namespace Darts.Norm.Kernels;

/// <summary><c>y = x / max(rms(x), eps) · g</c> over the last axis.</summary>
internal sealed class RMSNormOperation(long dim, double eps) : FusedOperation
{
    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) =>
        x.dtype == weight!.dtype ? x.dtype : promote_types(x.dtype, weight.dtype);

    public override Tensor Formula(Tensor x, Tensor? weight, Tensor? bias, Tensor? statistics) => Formulas.RMSNorm(x, weight!, Math.Pow(dim, -0.5), eps);

    public override (Tensor output, Tensor? statistics) Forward(Tensor x, Tensor? weight, Tensor? bias, bool keepStatistics) =>
        RowNormalization<RMSNormFormula>.Forward(x, weight, bias, dim, eps, keepStatistics);

    public override Gradients Backward(Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, Tensor gradOutput, Wanted wanted) =>
        RowNormalization<RMSNormFormula>.Backward(x, weight, bias, statistics, gradOutput, dim, eps, wanted);
}
