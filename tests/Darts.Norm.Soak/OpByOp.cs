namespace Darts.Norm.Soak;

/// <summary>The formulas as PyTorch and Darts run them, one tensor operation after the other, each rounded to the dtype.</summary>
public static class OpByOp
{
    /// <summary>The output, and the gradients of the input and of those parameters that want one.</summary>
    public static Results Of(NormModule layer, Tensor x, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        x = x.detach().requires_grad_();
        var y = Output(layer, x);
        var leaves = layer.named_parameters().Where(leaf => leaf.parameter.requires_grad).Select(leaf => (leaf.name, (Tensor)leaf.parameter)).Append(("x", x)).ToList();
        var results = new Results { ["y"] = y.detach().MoveToOuterDisposeScope() };
        foreach (var (leaf, value) in leaves.Zip(autograd.grad([y], [.. leaves.Select(leaf => leaf.Item2)], [gradient])))
            results.Add($"y: grad.{leaf.Item1}", value.MoveToOuterDisposeScope());
        return results;
    }

    /// <summary>The output, to be differentiated any number of times.</summary>
    public static Tensor Output(NormModule layer, Tensor x) => layer switch
    {
        RMSNorm norm => x / (linalg.vector_norm(x, dims: [-1L], keepdim: true) * norm.scale).clamp_min(norm.eps) * norm.g,
        LayerNorm norm => Affine(Standardized(x, [.. Enumerable.Range(1, norm.normalized_shape.Length).Select(axis => (long)-axis)], norm.eps), norm.weight, norm.bias),
        RINorm rin => Affine(Reversible(x, rin.eps), rin.affine_weight, rin.affine_bias),
        _ => throw new ArgumentException($"no formula for {layer}", nameof(layer)),
    };

    /// <summary>libtorch's own fused layer_norm; null for other layers.</summary>
    public static Results? LibTorch(NormModule layer, Tensor x, Tensor gradient)
    {
        if (layer is not LayerNorm norm)
            return null;
        using var scope = NewDisposeScope();
        x = x.detach().requires_grad_();
        var y = nn.functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps);
        return new() { ["y"] = y.detach().MoveToOuterDisposeScope(), ["y: grad.x"] = autograd.grad([y], [x], [gradient])[0].MoveToOuterDisposeScope() };
    }

    private static Tensor Standardized(Tensor x, long[] axes, double eps)
    {
        var centered = x - x.mean(axes, keepdim: true);
        return centered / (centered.square().mean(axes, keepdim: true) + eps).sqrt();
    }

    private static Tensor Reversible(Tensor x, double eps)
    {
        long[] pooled = [.. Enumerable.Range(1, (int)x.dim() - 2).Select(axis => (long)axis)];
        var mean = x.mean(pooled, keepdim: true).detach();
        var stdev = ((x - mean).square().mean(pooled, keepdim: true) + eps).sqrt().detach();
        return (x - mean) / stdev;
    }

    private static Tensor Affine(Tensor x, Tensor? weight, Tensor? bias)
    {
        var y = weight is null ? x : x * weight;
        return bias is null ? y : y + bias;
    }
}
