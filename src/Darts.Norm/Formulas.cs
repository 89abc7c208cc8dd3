namespace Darts.Norm;

/// <summary>The layers' definitions, written with tensor operations: they run on every device and differentiate to any order.</summary>
/// <remarks>
/// Everything is computed in float64 and rounded once, at the end, to the dtype that PyTorch's promotion gives. No intermediate stays alive.
/// </remarks>
internal static class Formulas
{
    public static Tensor RMSNorm(Tensor x, Tensor g, double scale, double eps)
    {
        using var scope = NewDisposeScope();
        var x64 = Wide(x);
        var rms = linalg.vector_norm(x64, dims: [-1L], keepdim: true) * scale;
        if (x.device_type != DeviceType.META) // which has nothing to clamp, and no gradient of it in libtorch
            rms = rms.clamp_min(eps);
        return Rounded(x64 / rms * Wide(g), promote_types(x.dtype, g.dtype));
    }

    public static Tensor LayerNorm(Tensor x, long[] normalized_shape, Tensor? weight, Tensor? bias, double eps)
    {
        using var scope = NewDisposeScope();
        var (x64, weight64, bias64) = (Wide(x), weight is null ? null : Wide(weight), bias is null ? null : Wide(bias));
        if (x.device_type != DeviceType.META)
            return Rounded(nn.functional.layer_norm(x64, normalized_shape, weight64, bias64, eps), x.dtype);

        // libtorch has no layer_norm for the meta device, where shape, dtype and graph are all that there is.
        var y = weight64 is null ? x64.clone() : x64 * weight64;
        return Rounded(bias64 is null ? y : y + bias64, x.dtype);
    }

    /// <summary>Of each series, in float64 and detached, stacked along a new first axis: mean, what it lost by rounding (nothing, here), stdev.</summary>
    public static Tensor SeriesStatistics(Tensor x, double eps)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var pooled = Enumerable.Range(1, (int)x.dim() - 2).Select(axis => (long)axis).ToArray();
        var x64 = Wide(x);
        var mean = x64.mean(pooled, keepdim: true);
        var variance = (x64 - mean).square().mean(pooled, keepdim: true);
        return stack([mean, zeros_like(mean), (variance + eps).sqrt()]).MoveToOuterDisposeScope();
    }

    public static Tensor Standardize(Tensor x, Tensor statistics, Tensor? affine_weight, Tensor? affine_bias, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (mean, meanLow, stdev) = (statistics.select(0, 0), statistics.select(0, 1), statistics.select(0, 2));
        var y = (Wide(x) - mean - meanLow) / stdev;
        if (affine_weight is not null)
            y = (y * Wide(affine_weight)) + Wide(affine_bias!);
        return Rounded(y, dtype);
    }

    public static Tensor Destandardize(Tensor z, Tensor statistics, Tensor? affine_weight, Tensor? affine_bias, double eps, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (mean, stdev) = (statistics.select(0, 0), statistics.select(0, 2));
        var x = Wide(z);
        if (affine_weight is not null)
            x = (x - Wide(affine_bias!).unsqueeze(-1)) / (Wide(affine_weight) + (eps * eps)).unsqueeze(-1);
        x = (x * stdev.unsqueeze(-1)) + mean.unsqueeze(-1);
        return Rounded(x, dtype);
    }

    // Contiguous, since the order of a sum in libtorch depends on the strides.
    private static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64).contiguous();

    private static Tensor Rounded(Tensor wide, ScalarType dtype) => wide.to(dtype).MoveToOuterDisposeScope();
}
