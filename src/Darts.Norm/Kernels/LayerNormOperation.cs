namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - mean(x)) / √(var(x) + eps) · weight + bias</c> over the last axes.</summary>
internal sealed class LayerNormOperation(long[] normalized_shape, double eps) : FusedOperation
{
    private readonly long _length = normalized_shape.Aggregate(1L, (product, size) => product * size);

    public override Tensor Formula(Tensor x, Tensor? weight, Tensor? bias, Tensor? statistics) => Formulas.LayerNorm(x, normalized_shape, weight, bias, eps);

    public override (Tensor output, Tensor? statistics) Forward(Tensor x, Tensor? weight, Tensor? bias, bool keepStatistics) =>
        RowNormalization<LayerNormFormula>.Forward(x, weight, bias, _length, eps, keepStatistics);

    public override Gradients Backward(Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, Tensor gradOutput, Wanted wanted) =>
        RowNormalization<LayerNormFormula>.Backward(x, weight, bias, statistics, gradOutput, _length, eps, wanted);
}
