namespace Darts.Norm.Kernels;

/// <summary>Ties a <see cref="FusedOperation"/> to torch's autograd.</summary>
internal sealed class FusedFunction : autograd.SingleTensorFunction<FusedFunction>
{
    private const string Operation = nameof(Operation);
    private const string WantedGradients = nameof(WantedGradients);

    /// <summary>Gradients that this thread handed to libtorch. Their own references must go when it has taken its; it says so to nobody.</summary>
    [ThreadStatic]
    private static List<WeakReference<Tensor>>? _handedOver;

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
        ctx.save_data(Operation, operation);
        ctx.save_data(WantedGradients, new Wanted(x.requires_grad, weight?.requires_grad == true, bias?.requires_grad == true));
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
            var (operation, wanted) = ((FusedOperation)ctx.get_data(Operation), (Wanted)ctx.get_data(WantedGradients));
            var saved = ctx.get_saved_variables();
            var gradients = is_grad_enabled()
                ? Differentiable(operation, saved, grad_output, wanted)
                : operation.Backward(saved[0], saved[1], saved[2], saved[3], grad_output, wanted);
            return [HandOver(gradients.X), HandOver(gradients.Weight), HandOver(gradients.Bias), null!];
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
    private static Gradients Differentiable(FusedOperation operation, List<Tensor> saved, Tensor gradOutput, Wanted wanted)
    {
        var (x, weight, bias) = (saved[0], saved[1], saved[2]);
        var output = operation.Formula(x, weight, bias, saved[3]);
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
        var wanted = (Wanted)ctx.get_data(WantedGradients);
        using var scope = NewDisposeScope();
        Tensor Wrong() => HandOver(empty(Enumerable.Repeat(0L, 9).ToArray()))!;
        return [wanted.X ? Wrong() : null!, wanted.Weight ? Wrong() : null!, wanted.Bias ? Wrong() : null!, null!];
    }

    private static Tensor HandOver(Tensor? gradient)
    {
        if (gradient is null)
            return null!;
        (_handedOver ??= []).Add(new(gradient));
        return gradient.MoveToOuterDisposeScope();
    }

    private static void DisposeHandedOver()
    {
        if (_handedOver is not { Count: > 0 } handedOver)
            return;
        foreach (var reference in handedOver)
        {
            if (reference.TryGetTarget(out var gradient))
                gradient.Dispose();
        }
        handedOver.Clear();
    }
}
