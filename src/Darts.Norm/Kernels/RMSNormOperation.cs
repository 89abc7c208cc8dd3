namespace Darts.Norm.Kernels;

/// <summary><c>y = x / max(rms(x), eps) · g</c> over the last axis.</summary>
internal sealed class RMSNormOperation(long dim, double eps) : RowNormalization<RMSNormFormula>(dim, eps)
{
    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) =>
        x.dtype == weight!.dtype ? x.dtype : promote_types(x.dtype, weight.dtype);

    public override Tensor Formula(Inputs inputs) => Formulas.RMSNorm(inputs.X, inputs.Weight!, Eps);
}
