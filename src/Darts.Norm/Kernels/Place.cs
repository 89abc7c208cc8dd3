namespace Darts.Norm.Kernels;

/// <summary>The size and dtype of a gradient, known even when the tensor that it belongs to is freed.</summary>
internal sealed record Place(long[] Shape, ScalarType Dtype)
{
    public static Place Of(Tensor tensor) => new(tensor.dim() == 1 ? [tensor.numel()] : tensor.shape, tensor.dtype); // a shape takes longer to ask for than all the rest
}
