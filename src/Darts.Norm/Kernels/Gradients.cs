namespace Darts.Norm.Kernels;

/// <summary>Gradients in the order of the inputs, null where nobody asks for one.</summary>
internal readonly record struct Gradients(Tensor? X, Tensor? Weight, Tensor? Bias);
