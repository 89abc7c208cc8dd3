namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean(x)) / √(var(x) + eps) · weight + bias</c> over the last axes.</summary>
internal sealed class LayerNormOperation(long[] normalized_shape, double eps)
    : RowNormalization<LayerNormFormula>(normalized_shape.Aggregate(1L, (product, size) => product * size), eps)
{
    public override Tensor Formula(Inputs inputs) => Formulas.LayerNorm(inputs.X, normalized_shape, inputs.Weight, inputs.Bias, Eps);
}
