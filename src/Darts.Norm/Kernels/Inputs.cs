namespace Darts.Norm.Kernels;

/// <summary>What an operation computes with, and <see cref="Kept"/>: room for what a forward keeps for its backward, none where none follows.</summary>
internal readonly record struct Inputs(Tensor X, Tensor? Weight, Tensor? Bias, Tensor? Statistics, Tensor? Mask, Float64Buffer Kept = default)
{
    /// <summary>Whether a backward follows: what is read and written until then pushes large results out of the caches.</summary>
    public bool IsTraining { get; init; }
}
