namespace Darts.Norm.Kernels;

/// <summary>Which values are missing: those that are NaN, and those where the mask is false.</summary>
/// <param name="Missing">What becomes of them; <see cref="Missing.None"/> where NaN is a value like any other.</param>
/// <param name="Mask">Of the values' shape, or with a last axis of 1, true where there is one; null for all.</param>
internal readonly record struct MissingValues(Missing Missing, Tensor? Mask);
