using Darts.Norm.Kernels;

namespace Darts.Norm;

/// <summary>The layers' definitions, written with tensor operations: they run on every device and differentiate to any order.</summary>
/// <remarks>Everything is computed in float64 and rounded once, at the end, to the dtype that PyTorch's promotion gives. No intermediate stays alive.</remarks>
internal static class Formulas
{
    public static Tensor RMSNorm(Tensor x, Tensor g, double eps)
    {
        using var scope = NewDisposeScope();
        var x64 = Wide(x);
        var rms = Rms(x64);
        if (x.device_type != DeviceType.META) // where libtorch lacks operators and a gradient of clamp_min
        {
            if (x64.requires_grad) // a norm of zero has no second derivatives, nor needs any, as eps divides there
            {
                var isZero = rms.detach().logical_not();
                rms = where(isZero, zeros_like(rms), Rms(where(isZero, ones_like(x64), x64)));
            }
            rms = Held.Number(eps, least => rms.clamp_min(least));
        }
        return Rounded(x64 / rms * Wide(g), promote_types(x.dtype, g.dtype));

        static Tensor Rms(Tensor x) => Held.Number(Math.Pow(x.size(-1), -0.5), x.norm(-1, keepdim: true, p: 2).mul); // linalg.vector_norm has a number that nobody can hold
    }

    public static Tensor LayerNorm(Tensor x, long[] normalized_shape, Tensor? weight, Tensor? bias, double eps)
    {
        using var scope = NewDisposeScope();
        var (x64, weight64, bias64) = (Wide(x), weight is null ? null : Wide(weight), bias is null ? null : Wide(bias));
        if (x.device_type != DeviceType.META)
            return Rounded(nn.functional.layer_norm(x64, normalized_shape, weight64, bias64, eps), x.dtype);

        // libtorch has no layer_norm for the meta device, where shape, dtype and graph are all that there is.
        var y = weight64 is null ? x64.clone() : x64 * weight64;
        return Rounded(bias64 is null ? y : Held.Sum(y, bias64), x.dtype);
    }

    /// <summary>The mean of each series, what that lost by rounding, the stdev, and zero for what that lost, stacked along a new first axis, in float64 and detached.</summary>
    public static Tensor SeriesStatistics(Tensor x, StatisticsOptions options, MissingValues gaps)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var others = x.shape[2..^1].Aggregate(1L, (product, size) => product * size);
        long[] shape = [x.size(0), x.size(1), others, x.size(-1)];
        var x64 = Wide(x).reshape(shape);
        var observed = Observed(x, gaps)?.reshape(shape);
        var (mean, low) = Level(x64, observed);
        var stdev = Held.Sum(Average(Square(x64 - mean - low), observed), options.Eps).sqrt();
        if (options.MinStdev > 0)
            stdev = Held.Number(options.MinStdev, least => stdev.clamp_min(least));
        if (options.SubtractLast && x.numel() > 0)
            (mean, low) = Last(x64, observed);
        if (observed is not null)
        {
            var isAny = observed.any(1, keepdim: true).any(2, keepdim: true);
            (mean, low, stdev) = (where(isAny, mean, zeros_like(mean)), where(isAny, low, zeros_like(low)), where(isAny, stdev, ones_like(stdev)));
        }
        long[] kept = [x.size(0), .. Enumerable.Repeat(1L, (int)x.dim() - 2), x.size(-1)];
        return stack([mean.reshape(kept), low.reshape(kept), stdev.reshape(kept), zeros(kept, ScalarType.Float64, x.device)]).MoveToOuterDisposeScope();
    }

    public static Tensor RINorm(Inputs inputs, MissingValues gaps, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (mean, meanLow, stdev) = (inputs.Statistics!.select(0, 0), inputs.Statistics.select(0, 1), inputs.Statistics.select(0, 2));
        var x = Wide(inputs.X);
        var observed = Observed(inputs.X, gaps);
        if (observed is not null)
            x = where(observed, x, mean);
        var y = (x - mean - meanLow) / stdev;
        if (inputs.Weight is not null)
            y *= Wide(inputs.Weight);
        if (inputs.Bias is not null) // no gradient depends on it: it is not kept for them
            y = Held.Sum(y, Wide(inputs.Bias));
        if (observed is not null)
            y = where(observed, y, gaps.Missing == Missing.Zero ? zeros_like(y) : Held.Number(double.NaN, zeros_like(y).fill_));
        return Rounded(y, dtype);
    }

    public static Tensor RINormInverse(Inputs inputs, double eps, LikelihoodParameter[] kinds, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (mean, stdev) = (inputs.Statistics!.select(0, 0).unsqueeze(-1), inputs.Statistics.select(0, 2).unsqueeze(-1));
        var bias = inputs.Bias is null ? null : Wide(inputs.Bias).unsqueeze(-1);
        var divisor = inputs.Weight is null ? null : Held.Sum(Wide(inputs.Weight), eps * eps).unsqueeze(-1);
        var x = Wide(inputs.X);
        return Rounded(kinds is [var all] ? Inverse(x, all) : cat([.. kinds.Select((kind, i) => Inverse(x.narrow(-1, i, 1), kind))], -1), dtype);

        Tensor Inverse(Tensor z, LikelihoodParameter kind) => kind switch
        {
            LikelihoodParameter.Location => Held.Sum(Divided(bias is null ? z : z - bias) * stdev, mean),
            LikelihoodParameter.Scale => z * Scale(),
            LikelihoodParameter.Variance => z * Square(Scale()),
            LikelihoodParameter.LogScale => Held.Sum(z, Scale().log()),
            _ => z.clone(),
        };

        Tensor Divided(Tensor z) => divisor is null ? z : z / divisor;

        Tensor Scale() => divisor is null ? stdev : stdev / divisor.abs();
    }

    /// <summary>The mean of the values at the last time that has any, and what it lost by rounding.</summary>
    private static (Tensor mean, Tensor low) Last(Tensor x, Tensor? observed)
    {
        if (observed is null)
            return Level(x.narrow(1, x.size(1) - 1, 1), null);
        var times = observed.any(2, keepdim: true) * ones(x.size(1), ScalarType.Int64, x.device).cumsum(0).reshape(1, -1, 1, 1);
        return Level(x, observed & (times == times.amax([1L], keepdim: true)));
    }

    /// <summary>The mean over time, and what it lost by rounding.</summary>
    private static (Tensor mean, Tensor low) Level(Tensor x, Tensor? observed)
    {
        var mean = Average(x, observed);
        return (mean, Average(x - mean, observed));
    }

    private static Tensor Average(Tensor x, Tensor? observed) =>
        observed is null ? x.mean([1L, 2L], keepdim: true) : Pooled(where(observed, x, zeros_like(x))) / Pooled(observed);

    private static Tensor Square(Tensor x) => x * x; // TorchSharp's own is a power, to a number

    private static Tensor Pooled(Tensor x) => x.sum([1L, 2L], keepdim: true, ScalarType.Float64);

    /// <summary>Where there is a value; null for everywhere, and on the meta device, which has none.</summary>
    private static Tensor? Observed(Tensor x, MissingValues gaps)
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
