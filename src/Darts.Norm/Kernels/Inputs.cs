namespace Darts.Norm.Kernels;

/// <summary>What an operation computes with. What is kept of a forward goes to room that is asked for, or not at all.</summary>
internal readonly record struct Inputs(Tensor X, Tensor? Weight, Tensor? Bias, Tensor? Statistics, Tensor? Mask, Float64Buffer Kept = default)
{
    /// <summary>Whether a backward follows: what is read and written until then pushes large results out of the caches.</summary>
    public bool IsTraining { get; init; }
}
