namespace Darts.Norm;

/// <summary>The layers' definitions, written with tensor operations: they run on every device and differentiate to any order.</summary>
/// <remarks>
/// The result has the dtype that PyTorch's promotion gives. Half precision is computed in float32 and rounded once, at the end.
/// No intermediate stays alive.
/// </remarks>
internal static class Formulas
{
    public static Tensor RMSNorm(Tensor x, Tensor g, double scale, double eps)
    {
        using var scope = NewDisposeScope();
        var dtype = promote_types(x.dtype, g.dtype);
        var xc = x.to(ComputeDtype(dtype));
        var rms = linalg.vector_norm(xc, dims: [-1L], keepdim: true) * scale;
        return (xc / rms.clamp_min(eps) * g.to(xc.dtype)).to(dtype).MoveToOuterDisposeScope();
    }

    public static Tensor LayerNorm(Tensor x, long[] normalized_shape, Tensor? weight, Tensor? bias, double eps)
    {
        using var scope = NewDisposeScope();
        var computeDtype = weight?.dtype ?? bias?.dtype ?? x.dtype;
        var y = nn.functional.layer_norm(x.to(computeDtype), normalized_shape, weight, bias, eps);
        return y.to(x.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Mean and stdev of each series, in float64 and detached, stacked along a new first axis.</summary>
    public static Tensor SeriesStatistics(Tensor x, double eps)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var pooled = Enumerable.Range(1, (int)x.dim() - 2).Select(axis => (long)axis).ToArray();
        var (variance, mean) = x.to(ScalarType.Float64).var_mean(pooled, unbiased: false, keepdim: true);
        return stack([mean, (variance + eps).sqrt()]).MoveToOuterDisposeScope();
    }

    public static Tensor Standardize(Tensor x, RINormStatistics statistics, Tensor? affine_weight, Tensor? affine_bias)
    {
        using var scope = NewDisposeScope();
        var dtype = Promote(x, statistics, affine_weight, affine_bias);
        var (mean, stdev) = statistics.In(ComputeDtype(dtype));
        var y = (x.to(mean.dtype) - mean) / stdev;
        if (affine_weight is not null)
            y = (y * affine_weight.to(mean.dtype)) + affine_bias!.to(mean.dtype);
        return y.to(dtype).MoveToOuterDisposeScope();
    }

    public static Tensor Destandardize(Tensor z, RINormStatistics statistics, Tensor? affine_weight, Tensor? affine_bias, double eps)
    {
        using var scope = NewDisposeScope();
        var dtype = Promote(z, statistics, affine_weight, affine_bias);
        var (mean, stdev) = statistics.In(ComputeDtype(dtype));
        var x = z.to(mean.dtype);
        if (affine_weight is not null)
            x = (x - affine_bias!.to(mean.dtype).unsqueeze(-1)) / (affine_weight.to(mean.dtype) + (eps * eps)).unsqueeze(-1);
        x = (x * stdev.unsqueeze(-1)) + mean.unsqueeze(-1);
        return x.to(dtype).MoveToOuterDisposeScope();
    }

    private static ScalarType ComputeDtype(ScalarType dtype) => Require.IsHalf(dtype) ? ScalarType.Float32 : dtype;

    private static ScalarType Promote(Tensor tensor, RINormStatistics statistics, Tensor? affine_weight, Tensor? affine_bias)
    {
        var dtype = promote_types(tensor.dtype, statistics.Dtype);
        if (affine_weight is not null)
            dtype = promote_types(promote_types(dtype, affine_weight.dtype), affine_bias!.dtype);
        return dtype;
    }
}
