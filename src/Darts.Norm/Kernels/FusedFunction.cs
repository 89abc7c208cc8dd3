namespace Darts.Norm.Kernels;

/// <summary>Ties a <see cref="FusedOperation"/> to torch's autograd.</summary>
internal sealed class FusedFunction : autograd.SingleTensorFunction<FusedFunction>
{
    /// <summary>
    /// The gradients that this thread's last backward gave to libtorch. Their own references must go when it has taken its, of which it says nothing:
    /// so at this thread's next call, so that they don't add up over a network, or with the graph.
    /// </summary>
    [ThreadStatic]
    private static WeakReference<HandedOver>? _last;

    /// <inheritdoc/>
    public override string Name => nameof(FusedFunction);

    public static Tensor Apply(FusedOperation operation, Inputs inputs, ScalarType dtype)
    {
        DisposeLast();
        using var scope = NewDisposeScope();
        return apply(inputs.X.dtype == dtype ? inputs.X : inputs.X.to(dtype), inputs.Weight!, inputs.Bias!, operation).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x, weight, bias, operation) = ((Tensor)vars[0], (Tensor?)vars[1], (Tensor?)vars[2], (FusedOperation)vars[3]);
        var (output, statistics) = operation.Forward(new(x, weight, bias, operation.Statistics, operation.Mask), keepStatistics: true);
        ctx.set_materialize_grads(false);
        var call = new Call(operation, new(x.requires_grad, weight?.requires_grad == true, bias?.requires_grad == true), new());
        ctx.save_data(nameof(Call), call);
        ctx.save_for_backward([x, weight!, bias!, statistics!, operation.Mask!, Token.New(call.HandedOver)!]);
        return output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        DisposeLast();
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
        var gradients = new Queue<Tensor>(autograd.grad([output], asked, [gradOutput], retain_graph: true, create_graph: true));
        return new(wanted.X ? gradients.Dequeue() : null, wanted.Weight ? gradients.Dequeue() : null, wanted.Bias ? gradients.Dequeue() : null);
    }

    // An exception must not leave a callback of libtorch: the process would end. A gradient of a wrong shape makes libtorch raise its own.
    private static List<Tensor> Failed(autograd.AutogradContext ctx, Exception error)
    {
        Console.Error.WriteLine($"The backward of a Darts.Norm layer failed: {error.Message.Split('\n')[0]}"); // the rest is libtorch's stack
        var call = (Call)ctx.get_data(nameof(Call));
        using var scope = NewDisposeScope();
        var wrong = empty([0, 0, 0, 0, 0, 0, 0, 0, 0]);
        return HandOver(call, new(call.Wanted.X ? wrong : null, call.Wanted.Weight ? wrong : null, call.Wanted.Bias ? wrong : null));
    }

    private static List<Tensor> HandOver(Call call, Gradients gradients)
    {
        call.HandedOver.Take(gradients);
        if (_last is null)
            _last = new(call.HandedOver);
        else
            _last.SetTarget(call.HandedOver);
        return [gradients.X!, gradients.Weight!, gradients.Bias!, null!];
    }

    private static void DisposeLast()
    {
        if (_last is not null && _last.TryGetTarget(out var handedOver))
            handedOver.Dispose();
    }

    /// <summary>What backward knows of its forward besides tensors.</summary>
    private sealed record Call(FusedOperation Operation, Wanted Wanted, HandedOver HandedOver);

    /// <summary>The gradients of one call's last backward.</summary>
    private sealed class HandedOver : IDisposable
    {
        private readonly Queue<Tensor> _gradients = new();

        public void Take(Gradients gradients)
        {
            Dispose();
            lock (_gradients)
            {
                foreach (var gradient in (ReadOnlySpan<Tensor?>)[gradients.X, gradients.Weight, gradients.Bias])
                {
                    if (gradient is not null)
                        _gradients.Enqueue(gradient.DetachFromDisposeScope());
                }
            }
        }

        public void Dispose()
        {
            lock (_gradients)
            {
                while (_gradients.TryDequeue(out var gradient))
                    gradient.Dispose();
            }
        }
    }
}
