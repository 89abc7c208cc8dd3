using Darts.Norm.Kernels;

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
    public static Tensor SeriesStatistics(Tensor x, Measure measure, Gaps gaps)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var others = x.shape[2..^1].Aggregate(1L, (product, size) => product * size);
        long[] shape = [x.size(0), x.size(1), others, x.size(-1)];
        var x64 = Wide(x).reshape(shape);
        var observed = Observed(x, gaps)?.reshape(shape);
        var count = observed is null ? full(1, x.size(1) * others, ScalarType.Float64, x.device) : Pooled(observed);
        var mean = Pooled(Kept(x64, observed)) / count;
        var variance = Pooled(Kept(x64 - mean, observed).square()) / count;
        var stdev = (variance + measure.Eps).sqrt();
        if (measure.LeastStdev > 0)
            stdev = stdev.clamp_min(measure.LeastStdev);
        if (measure.SubtractLast && x.numel() > 0)
            mean = Last(x64, observed);
        if (observed is not null)
            (mean, stdev) = (where(count == 0, 0, mean), where(count == 0, 1, stdev));
        long[] kept = [x.size(0), .. Enumerable.Repeat(1L, (int)x.dim() - 2), x.size(-1)];
        return stack([mean.reshape(kept), zeros(kept, ScalarType.Float64, x.device), stdev.reshape(kept)]).MoveToOuterDisposeScope();
    }

    public static Tensor Standardize(Inputs inputs, Gaps gaps, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (mean, meanLow, stdev) = (inputs.Statistics!.select(0, 0), inputs.Statistics.select(0, 1), inputs.Statistics.select(0, 2));
        var x = Wide(inputs.X);
        var observed = Observed(inputs.X, gaps);
        if (observed is not null)
            x = where(observed, x, mean);
        var y = (x - mean - meanLow) / stdev;
        if (inputs.Weight is not null)
            y = (y * Wide(inputs.Weight)) + Wide(inputs.Bias!);
        if (observed is not null)
            y = where(observed, y, gaps.Missing == Missing.Zero ? 0 : double.NaN);
        return Rounded(y, dtype);
    }

    public static Tensor Destandardize(Inputs inputs, double eps, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (mean, stdev) = (inputs.Statistics!.select(0, 0), inputs.Statistics.select(0, 2));
        var x = Wide(inputs.X);
        if (inputs.Weight is not null)
            x = (x - Wide(inputs.Bias!).unsqueeze(-1)) / (Wide(inputs.Weight) + (eps * eps)).unsqueeze(-1);
        x = (x * stdev.unsqueeze(-1)) + mean.unsqueeze(-1);
        return Rounded(x, dtype);
    }

    /// <summary>The values at the last time that has any, their mean where there are several.</summary>
    private static Tensor Last(Tensor x, Tensor? observed)
    {
        if (observed is null)
            return x.narrow(1, x.size(1) - 1, 1).mean([2L], keepdim: true);
        var times = observed.any(2, keepdim: true) * arange(1, x.size(1) + 1, device: x.device).reshape(1, -1, 1, 1);
        var isLast = observed & (times == times.amax([1L], keepdim: true));
        return Pooled(Kept(x, isLast)) / Pooled(isLast);
    }

    private static Tensor Pooled(Tensor x) => x.sum([1L, 2L], keepdim: true, ScalarType.Float64);

    private static Tensor Kept(Tensor x, Tensor? observed) => observed is null ? x : where(observed, x, 0);

    /// <summary>Where there is a value; null for everywhere, and on the meta device, which has none.</summary>
    private static Tensor? Observed(Tensor x, Gaps gaps)
    {
        if (gaps.Missing == Missing.None || x.device_type == DeviceType.META)
            return null;
        var observed = ~x.isnan();
        return gaps.Mask is null ? observed : observed & gaps.Mask;
    }

    // Contiguous, since the order of a sum in libtorch depends on the strides.
    private static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64).contiguous();

    private static Tensor Rounded(Tensor wide, ScalarType dtype) => wide.to(dtype).MoveToOuterDisposeScope();
}
