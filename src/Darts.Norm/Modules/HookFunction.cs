using Darts.Norm.Kernels;

namespace Darts.Norm;

/// <summary>Hands tensors through, and in the backward pass shows their gradients to one side of a <see cref="BackwardCall"/>.</summary>
/// <remarks>libtorch makes the answer a view that must not be changed in place, as PyTorch does for hooked modules.</remarks>
internal sealed class HookFunction : autograd.MultiTensorFunction<HookFunction>
{
    /// <inheritdoc/>
    public override string Name => nameof(HookFunction);

    public static List<Tensor> Apply(IReadOnlyList<Tensor> tensors, BackwardCall.Side side)
    {
        using var scope = NewDisposeScope(); // takes the function's own tensors, not the ones that come out
        var outputs = apply([.. tensors, side]);
        outputs.ForEach(output => output.MoveToOuterDisposeScope());
        return outputs;
    }

    /// <inheritdoc/>
    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var side = (BackwardCall.Side)vars[^1];
        ctx.set_materialize_grads(false); // a hook is told of an output that has no gradient
        ctx.save_data(nameof(BackwardCall.Side), side);
        ctx.save_for_backward([Token.New(side)!]);
        return [.. vars[..^1].Cast<Tensor>()];
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
    {
        HandedOver.DisposeLast();
        var side = (BackwardCall.Side)ctx.get_data(nameof(BackwardCall.Side));
        try
        {
            return [.. side.Backward(grad_outputs).Select(gradient => gradient!), null!];
        }
        finally
        {
            BackwardFailure.Reassert();
        }
    }
}
