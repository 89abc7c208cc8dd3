using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>What a network of Darts is given, by Darts' names. L past and T future time steps.</summary>
/// <param name="past_target">(batch, L, targets).</param>
/// <param name="past_covariates">(batch, L, past covariates); null for none, as for the others.</param>
/// <param name="historic_future_covariates">(batch, L, future covariates): the future covariates over the past.</param>
/// <param name="future_covariates">(batch, T, future covariates).</param>
/// <param name="static_covariates">(batch, targets or 1, static covariates).</param>
public sealed record Inputs(
    Tensor past_target,
    Tensor? past_covariates = null,
    Tensor? historic_future_covariates = null,
    Tensor? future_covariates = null,
    Tensor? static_covariates = null)
{
    /// <summary>All that is known over the past, (batch, L, targets + past covariates + future covariates).</summary>
    public Tensor concatenate_past_features() => Joined(2, past_target, past_covariates, historic_future_covariates)!;

    /// <summary>The future covariates from the first past to the last future step, (batch, L + T, future covariates); null for none.</summary>
    public Tensor? concatenate_future_along_time() => Joined(1, historic_future_covariates, future_covariates);

    /// <summary>The tensors that are there, joined along an axis; null if none is.</summary>
    public static Tensor? Joined(long axis, params Tensor?[] tensors) =>
        tensors.OfType<Tensor>().ToList() is { Count: > 0 } there ? cat(there, axis) : null;
}
