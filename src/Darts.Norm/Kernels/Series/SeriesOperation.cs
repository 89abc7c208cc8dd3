namespace Darts.Norm.Kernels;

/// <summary>An <see cref="ISeriesFormula"/> with the statistics of a batch, which the layer keeps for its inverse.</summary>
/// <param name="statistics">Mean and stdev of each series.</param>
/// <param name="options">How to take the statistics from x; null where they have been taken.</param>
/// <param name="missing">What becomes of values that are missing.</param>
internal abstract class SeriesOperation<TFormula>(RINormStatistics statistics, StatisticsOptions? options, Missing missing) : FusedOperation
    where TFormula : struct, ISeriesFormula
{
    public override Tensor Statistics => statistics.Values;

    public override Tensor StatisticsOf(Float64Buffer kept) => statistics.Copy(kept);

    public override long Keeps(Tensor x) => statistics.Values.numel();

    public override ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => statistics.Promote(x.dtype, weight, bias);

    public override Tensor Forward(Inputs inputs) => SeriesMap<TFormula>.Forward(Map(inputs), inputs, options, missing);

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) =>
        SeriesMap<TFormula>.Backward(Map(inputs), inputs, statistics.Shape[^1], gradOutput, missing, wanted);

    /// <summary>What kernels compute; <see cref="FusedOperation.Formula"/> is the same in tensor operations.</summary>
    protected abstract TFormula Map(Inputs inputs);
}
