namespace Darts.Norm.Kernels;

/// <summary>What an operation computes with.</summary>
/// <param name="X">The layer's input.</param>
/// <param name="Weight">The learned scale; null where there is none.</param>
/// <param name="Bias">The learned shift; null where there is none.</param>
/// <param name="Statistics">As in <see cref="FusedOperation.Statistics"/>.</param>
/// <param name="Mask">As in <see cref="FusedOperation.Mask"/>.</param>
/// <param name="Kept">Room for what the forward keeps for its backward; empty where none follows.</param>
internal readonly record struct Inputs(Tensor X, Tensor? Weight, Tensor? Bias, Tensor? Statistics, Tensor? Mask, Float64Buffer Kept = default)
{
    /// <summary>Whether a backward follows. By then, large results will have left the caches.</summary>
    public bool IsTraining { get; init; }
}
