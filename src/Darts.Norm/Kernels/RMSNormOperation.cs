namespace Darts.Norm.Kernels;

/// <summary><c>y = x / max(rms(x), eps) · g</c> over the last axis.</summary>
internal sealed class RMSNormOperation(long dim, double eps) : FusedOperation
{
    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) =>
        x.dtype == weight!.dtype ? x.dtype : promote_types(x.dtype, weight.dtype);

    public override Tensor Formula(Inputs inputs) => Formulas.RMSNorm(inputs.X, inputs.Weight!, Math.Pow(dim, -0.5), eps);

    public override long Keeps(Tensor x) => RowNormalization<RMSNormFormula>.Keeps(x, dim);

    public override Tensor Forward(Inputs inputs) => RowNormalization<RMSNormFormula>.Forward(inputs, dim, eps);

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) =>
        RowNormalization<RMSNormFormula>.Backward(inputs, gradOutput, dim, eps, wanted);
}
