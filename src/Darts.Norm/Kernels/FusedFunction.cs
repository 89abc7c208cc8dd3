namespace Darts.Norm.Kernels;

/// <summary>Ties a <see cref="FusedOperation"/> to torch's autograd.</summary>
internal sealed class FusedFunction : autograd.SingleTensorFunction<FusedFunction>
{
    /// <summary>So many values take longer to copy than a view.</summary>
    private const long WorthAView = 16 * 1024;

    /// <inheritdoc/>
    public override string Name => nameof(FusedFunction);

    public static Tensor Apply(FusedOperation operation, Inputs inputs, ScalarType dtype)
    {
        HandedOver.DisposeLast();
        using var scope = NewDisposeScope();
        var x = inputs.X.dtype == dtype ? inputs.X : inputs.X.to(dtype);
        // libtorch copies a leaf's gradient that somebody else refers to, as this class does; a view's backward passes on one that nobody does.
        if (x.is_leaf && x.requires_grad && x.numel() >= WorthAView)
            x = x.view_as(x);
        return apply(x, inputs.Weight!, inputs.Bias!, operation).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x, weight, bias, operation) = ((Tensor)vars[0], (Tensor?)vars[1], (Tensor?)vars[2], (FusedOperation)vars[3]);
        var (output, statistics) = operation.Forward(new(x, weight, bias, operation.Statistics, operation.Mask), keepStatistics: true);
        ctx.set_materialize_grads(false);
        var call = new Call(operation, new(x.requires_grad, weight?.requires_grad == true, bias?.requires_grad == true), Place.Of(weight), Place.Of(bias), new());
        ctx.save_data(nameof(Call), call);
        ctx.save_for_backward([x, weight!, bias!, statistics!, operation.Mask!, Token.New(call.HandedOver)!]);
        return output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        HandedOver.DisposeLast();
        if (grad_output.IsInvalid)
            return [null!, null!, null!, null!];
        try
        {
            using var scope = NewDisposeScope();
            var call = (Call)ctx.get_data(nameof(Call));
            var saved = ctx.get_saved_variables();
            var inputs = new Inputs(saved[0], saved[1], saved[2], saved[3], saved[4]);
            var gradients = is_grad_enabled() ? Differentiable(call, inputs, grad_output) : call.Operation.Backward(inputs, grad_output, call.Wanted);
            return HandOver(call, gradients);
        }
        catch (Exception error)
        {
            BackwardFailure.Record(error, "The backward of a Darts.Norm layer failed");
            var call = (Call)ctx.get_data(nameof(Call));
            return HandOver(call, new(call.Wanted.X ? Failed(Place.Like(grad_output)) : null, Failed(call.Weight), Failed(call.Bias)));
        }
        finally
        {
            grad_output.Dispose();
            BackwardFailure.Reassert();
        }
    }

    /// <summary>The gradients as expressions that can be differentiated again.</summary>
    private static Gradients Differentiable(Call call, Inputs inputs, Tensor gradOutput)
    {
        var wanted = call.Wanted;
        var output = call.Operation.Formula(inputs);
        List<Tensor> asked = [];
        if (wanted.X)
            asked.Add(inputs.X);
        if (wanted.Weight)
            asked.Add(inputs.Weight!);
        if (wanted.Bias)
            asked.Add(inputs.Bias!);
        var gradients = new Queue<Tensor>(autograd.grad([output], asked, [gradOutput], retain_graph: true, create_graph: true, allow_unused: true));
        return new(Next(wanted.X), Next(wanted.Weight), Next(wanted.Bias));

        Tensor? Next(bool isWanted) => isWanted && gradients.Dequeue() is { IsInvalid: false } gradient ? gradient : null;
    }

    private static Tensor? Failed(Place? place) => place is null ? null : BackwardFailure.Gradient(place.Shape, place.Dtype, place.Device);

    private static List<Tensor> HandOver(Call call, Gradients gradients)
    {
        var wanted = call.Wanted;
        Tensor?[] given = [wanted.X ? gradients.X : null, wanted.Weight ? gradients.Weight : null, wanted.Bias ? gradients.Bias : null, null];
        call.HandedOver.Take(given);
        return [.. given.Select(gradient => gradient!)];
    }

    /// <summary>What backward knows of its forward besides tensors.</summary>
    private sealed record Call(FusedOperation Operation, Wanted Wanted, Place? Weight, Place? Bias, HandedOver HandedOver);

    /// <summary>A parameter's size, when its tensor is gone; null where no gradient is wanted. The input's is that of the output's gradient.</summary>
    private sealed record Place(long[] Shape, ScalarType Dtype, Device Device)
    {
        public static Place? Of(Tensor? tensor) => tensor?.requires_grad == true ? Like(tensor) : null;

        public static Place Like(Tensor tensor) => new(tensor.dim() == 1 ? [tensor.numel()] : tensor.shape, tensor.dtype, tensor.device); // a shape takes longer to ask for than all the rest
    }
}
