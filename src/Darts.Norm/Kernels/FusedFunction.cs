namespace Darts.Norm.Kernels;

/// <summary>Ties a <see cref="FusedOperation"/> to torch's autograd.</summary>
internal sealed class FusedFunction : autograd.SingleTensorFunction<FusedFunction>
{
    /// <summary>
    /// The gradients that this thread's last backward gave to libtorch. Their own references must go when it has taken its, of which it says nothing:
    /// so at this thread's next call, or when the garbage collector finds them.
    /// </summary>
    [ThreadStatic]
    private static WeakReference<Tensor?[]>? _handedOver;

    /// <inheritdoc/>
    public override string Name => nameof(FusedFunction);

    public static Tensor Apply(FusedOperation operation, Tensor x, Tensor? weight, Tensor? bias, ScalarType dtype)
    {
        DisposeHandedOver();
        using var scope = NewDisposeScope();
        return apply(x.dtype == dtype ? x : x.to(dtype), weight!, bias!, operation).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x, weight, bias, operation) = ((Tensor)vars[0], (Tensor?)vars[1], (Tensor?)vars[2], (FusedOperation)vars[3]);
        var (output, statistics) = operation.Forward(x, weight, bias, keepStatistics: true);
        ctx.set_materialize_grads(false);
        ctx.save_data(nameof(Call), new Call(operation, new(x.requires_grad, weight?.requires_grad == true, bias?.requires_grad == true)));
        ctx.save_for_backward([x, weight!, bias!, statistics!]);
        return output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        DisposeHandedOver();
        if (grad_output.IsInvalid)
            return [null!, null!, null!, null!];
        try
        {
            using var scope = NewDisposeScope();
            var call = (Call)ctx.get_data(nameof(Call));
            var saved = ctx.get_saved_variables();
            var gradients = is_grad_enabled()
                ? Differentiable(call, saved[0], saved[1], saved[2], saved[3], grad_output)
                : call.Operation.Backward(saved[0], saved[1], saved[2], saved[3], grad_output, call.Wanted);
            return HandOver(gradients.X, gradients.Weight, gradients.Bias);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            return Failed(ctx, error);
        }
        finally
        {
            grad_output.Dispose();
        }
    }

    /// <summary>The gradients as expressions that can be differentiated again.</summary>
    private static Gradients Differentiable(Call call, Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, Tensor gradOutput)
    {
        var wanted = call.Wanted;
        var output = call.Operation.Formula(x, weight, bias, statistics);
        List<Tensor> inputs = [];
        if (wanted.X)
            inputs.Add(x);
        if (wanted.Weight)
            inputs.Add(weight!);
        if (wanted.Bias)
            inputs.Add(bias!);
        var gradients = new Queue<Tensor>(autograd.grad([output], inputs, [gradOutput], retain_graph: true, create_graph: true));
        return new(wanted.X ? gradients.Dequeue() : null, wanted.Weight ? gradients.Dequeue() : null, wanted.Bias ? gradients.Dequeue() : null);
    }

    // An exception must not leave a callback of libtorch: the process would end. A gradient of a wrong shape makes libtorch raise its own.
    private static List<Tensor> Failed(autograd.AutogradContext ctx, Exception error)
    {
        Console.Error.WriteLine($"The backward of a Darts.Norm layer failed: {error.Message}");
        var wanted = ((Call)ctx.get_data(nameof(Call))).Wanted;
        using var scope = NewDisposeScope();
        var wrong = empty([0, 0, 0, 0, 0, 0, 0, 0, 0]);
        return HandOver(wanted.X ? wrong : null, wanted.Weight ? wrong : null, wanted.Bias ? wrong : null);
    }

    private static List<Tensor> HandOver(Tensor? x, Tensor? weight, Tensor? bias)
    {
        Tensor?[] gradients = [x, weight, bias];
        foreach (var gradient in gradients)
            gradient?.MoveToOuterDisposeScope();
        if (_handedOver is null)
            _handedOver = new(gradients);
        else
            _handedOver.SetTarget(gradients);
        return [x!, weight!, bias!, null!];
    }

    private static void DisposeHandedOver()
    {
        if (_handedOver is null || !_handedOver.TryGetTarget(out var gradients))
            return;
        foreach (var gradient in gradients)
            gradient?.Dispose();
        _handedOver.SetTarget([]);
    }

    /// <summary>What backward knows of its forward besides tensors.</summary>
    private sealed record Call(FusedOperation Operation, Wanted Wanted);
}
