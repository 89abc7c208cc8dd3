namespace DartsCheckpoints.Tests;

/// <summary>Darts' networks written out with matrices, in float64, from the keys of their weights.</summary>
internal sealed class ByHand(Checkpoint checkpoint)
{
    private readonly Sizes _sizes = checkpoint.Sizes;

    /// <summary>The forecast in the past target's units.</summary>
    public Tensor Forecast()
    {
        var wide = new Inputs(
            Wide(checkpoint.Inputs.past_target)!, Wide(checkpoint.Inputs.past_covariates), Wide(checkpoint.Inputs.historic_future_covariates),
            Wide(checkpoint.Inputs.future_covariates), Wide(checkpoint.Inputs.static_covariates));
        if (checkpoint.HyperParameters.Find("use_reversible_instance_norm")?.ToString() is "False")
            return Network(wide);
        var x = wide.past_target;
        var mean = x.mean([1], keepdim: true);
        var stdev = ((x - mean).square().mean([1], keepdim: true) + 1e-5).sqrt();
        var (weight, bias) = checkpoint.State.ContainsKey("rin.affine_weight") ? (W("rin.affine_weight"), W("rin.affine_bias")) : (ones(1, float64), zeros(1, float64));
        var y = Network(wide with { past_target = ((x - mean) / stdev * weight) + bias });
        return ((y - bias.unsqueeze(-1)) / (weight.unsqueeze(-1) + 1e-10) * stdev.unsqueeze(-1)) + mean.unsqueeze(-1);
    }

    private static Tensor? Wide(Tensor? tensor) => tensor?.to(float64);

    private Tensor Network(Inputs x) => checkpoint.Model switch { "TiDEModel" => Tide(x), "TSMixerModel" => TSMixer(x), _ => NLinear(x) };

    private Tensor Tide(Inputs x)
    {
        var all = new List<Tensor> { x.past_target.flatten(1) };
        if (x.past_covariates is { } past)
            all.Add((Has("past_cov_projection.skip.weight") ? Residual("past_cov_projection", past) : past).flatten(1));
        Tensor? future = null;
        if (x.future_covariates is not null)
        {
            future = cat([x.historic_future_covariates!, x.future_covariates], 1);
            future = Has("future_cov_projection.skip.weight") ? Residual("future_cov_projection", future) : future;
            all.Add(future.flatten(1));
        }
        if (x.static_covariates is { } statics)
            all.Add(statics.flatten(1));
        var y = cat(all, 1);
        foreach (var stage in new[] { "encoders", "decoders" })
        {
            for (var i = 0; Has($"{stage}.{i}.skip.weight"); i++)
                y = Residual($"{stage}.{i}", y);
        }
        y = y.reshape(y.size(0), _sizes.FutureSteps, -1);
        if (future is not null)
            y = cat([y, future[.., ^(int)_sizes.FutureSteps.., ..]], 2);
        y = Residual("temporal_decoder", y);
        var skip = Linear("lookback_skip", x.past_target.transpose(1, 2)).transpose(1, 2).reshape(y.shape);
        return (y + skip).reshape(y.size(0), _sizes.FutureSteps, _sizes.Targets, _sizes.Parameters);
    }

    private Tensor TSMixer(Inputs x)
    {
        var known = new[] { x.past_target, x.past_covariates, x.historic_future_covariates }.OfType<Tensor>().ToList();
        var y = FeatureMixing("feature_mixing_hist", Linear("fc_hist", cat(known, 2).transpose(1, 2)).transpose(1, 2));
        if (x.future_covariates is not null)
            y = cat([y, FeatureMixing("feature_mixing_future", x.future_covariates)], 2);
        for (var i = 0; Has($"conditional_mixer.{i}.time_mixing.fc1.weight"); i++)
        {
            var block = $"conditional_mixer.{i}";
            if (x.static_covariates is not null)
                y = cat([y, FeatureMixing($"{block}.feature_mixing_static", x.static_covariates.reshape(y.size(0), 1, -1).repeat(1, _sizes.FutureSteps, 1))], 2);
            var mixed = Linear($"{block}.time_mixing.fc1", Before(y, $"{block}.time_mixing").transpose(1, 2)).relu().transpose(1, 2);
            y = FeatureMixing($"{block}.feature_mixing", After(y + mixed, $"{block}.time_mixing"));
        }
        return Linear("fc_out", y).reshape(y.size(0), _sizes.FutureSteps, _sizes.Targets, _sizes.Parameters);
    }

    private Tensor NLinear(Inputs x)
    {
        var shared = checkpoint.HyperParameters.Flag("shared_weights");
        var last = checkpoint.HyperParameters.Flag("normalize") ? x.past_target[.., ^1.., ..] : zeros(1, float64);
        var batch = x.past_target.size(0);
        if (shared)
        {
            var each = Linear("layer", (x.past_target - last).transpose(1, 2)).reshape(batch, _sizes.Targets, _sizes.FutureSteps, _sizes.Parameters);
            return each.permute(0, 2, 1, 3) + last.unsqueeze(-1);
        }
        var features = new List<Tensor> { x.past_target - last };
        if (x.past_covariates is { } past)
            features.Add(checkpoint.HyperParameters.Flag("normalize") ? past - past[.., ^1.., ..] : past);
        if (x.historic_future_covariates is not null)
            features.Add(x.historic_future_covariates);
        var y = Linear("layer", cat(features, 2).flatten(1)).reshape(batch, _sizes.FutureSteps, -1);
        if (x.future_covariates is not null)
            y += Linear("linear_fut_cov", x.future_covariates);
        if (x.static_covariates is not null)
            y += Linear("linear_static_cov", x.static_covariates.flatten(1)).reshape(y.shape);
        return y.reshape(batch, _sizes.FutureSteps, _sizes.Targets, _sizes.Parameters) + last.unsqueeze(-1);
    }

    private Tensor Residual(string key, Tensor x)
    {
        var y = Linear($"{key}.dense.2", Linear($"{key}.dense.0", x).relu()) + Linear($"{key}.skip", x);
        return Has($"{key}.layer_norm.weight") ? Standardized(y, -1) * W($"{key}.layer_norm.weight") + W($"{key}.layer_norm.bias") : y;
    }

    private Tensor FeatureMixing(string key, Tensor x)
    {
        var y = Linear($"{key}.fc2", Linear($"{key}.fc1", Before(x, key)).relu());
        return After((Has($"{key}.projection.weight") ? Linear($"{key}.projection", x) : x) + y, key);
    }

    private Tensor Before(Tensor x, string key) => checkpoint.HyperParameters.Flag("normalize_before") ? Normed(x, $"{key}.norm_before") : x;

    private Tensor After(Tensor x, string key) => checkpoint.HyperParameters.Flag("normalize_before") ? x : Normed(x, $"{key}.norm_after");

    private Tensor Normed(Tensor x, string key)
    {
        if (Has($"{key}.running_mean"))
            return ((x - W($"{key}.running_mean")) / (W($"{key}.running_var") + 1e-5).sqrt() * W($"{key}.weight")) + W($"{key}.bias");
        var y = Standardized(x, -1, -2);
        return Has($"{key}.weight") ? y * W($"{key}.weight") + W($"{key}.bias") : y;
    }

    private static Tensor Standardized(Tensor x, params long[] axes)
    {
        var centred = x - x.mean(axes, keepdim: true);
        return centred / (centred.square().mean(axes, keepdim: true) + 1e-5).sqrt();
    }

    private Tensor Linear(string key, Tensor x) => x.matmul(W($"{key}.weight").t()) + W($"{key}.bias");

    private bool Has(string key) => checkpoint.State.ContainsKey(key);

    private Tensor W(string key) => checkpoint.State[key].to(float64);
}
