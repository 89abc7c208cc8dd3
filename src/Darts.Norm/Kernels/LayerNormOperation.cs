namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean(x)) / √(var(x) + eps) · weight + bias</c> over the last axes.</summary>
internal sealed class LayerNormOperation(long[] normalized_shape, double eps) : FusedOperation
{
    private readonly long _length = normalized_shape.Aggregate(1L, (product, size) => product * size);

    public override Tensor Formula(Inputs inputs) => Formulas.LayerNorm(inputs.X, normalized_shape, inputs.Weight, inputs.Bias, eps);

    public override long Keeps(Tensor x) => RowNormalization<LayerNormFormula>.Keeps(x, _length);

    public override Tensor Forward(Inputs inputs) => RowNormalization<LayerNormFormula>.Forward(inputs, _length, eps);

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) =>
        RowNormalization<LayerNormFormula>.Backward(inputs, gradOutput, _length, eps, wanted);
}
