namespace Darts.Norm.Kernels;

/// <summary>Ties a <see cref="FusedOperation"/> to torch's autograd.</summary>
internal sealed class FusedFunction : IBackward
{
    /// <summary>So many values take longer to copy than a view.</summary>
    private const long WorthAView = 16 * 1024;

    private readonly FusedOperation _operation;
    private readonly Wanted _wanted;
    private readonly bool _hasWeight, _hasBias;
    private readonly Place? _weight, _bias;
    private readonly Doubles _kept;

    private FusedFunction(FusedOperation operation, Inputs inputs)
    {
        var (x, weight, bias, _, _, kept) = inputs;
        _operation = operation;
        (_hasWeight, _hasBias) = (weight is not null, bias is not null);
        _wanted = new(x.requires_grad, weight?.requires_grad == true, bias?.requires_grad == true);
        (_weight, _bias) = (_wanted.Weight ? Place.Like(weight!) : null, _wanted.Bias ? Place.Like(bias!) : null);
        _kept = kept;
    }

    public static Tensor Apply(FusedOperation operation, Inputs inputs, ScalarType dtype)
    {
        HandedOver.DisposeLast();
        using var scope = NewDisposeScope();
        var x = inputs.X.dtype == dtype ? inputs.X : inputs.X.to(dtype);
        // libtorch copies a leaf's gradient that somebody else refers to, as a node does; a view's backward passes on one that nobody does.
        if (x.is_leaf && x.requires_grad && x.numel() >= WorthAView)
            x = x.view_as(x);
        inputs = inputs with { X = x, Kept = new(operation.Keeps(x)) };
        Tensor output;
        try
        {
            using var noGrad = no_grad();
            output = operation.Forward(inputs);
        }
        catch
        {
            inputs.Kept.Dispose();
            throw;
        }
        var (_, weight, bias, statistics, mask, _) = inputs;
        var function = new FusedFunction(operation, inputs);
        return AutogradNode.Tie(function.OfEachInput(x, weight, bias)!, [output], [x, weight, bias, statistics, mask], function)[0].MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor?[] Backward(AutogradNode node, Tensor?[] gradOutputs)
    {
        if (gradOutputs[0] is not { } gradOutput)
            return Given(default);
        try
        {
            using var scope = NewDisposeScope();
            var inputs = new Inputs(node.Saved(0)!, node.Saved(1), node.Saved(2), node.Saved(3), node.Saved(4), _kept);
            return Given(is_grad_enabled() ? Differentiable(inputs, gradOutput) : _operation.Backward(inputs, gradOutput, _wanted));
        }
        catch (Exception error)
        {
            BackwardFailure.Record(error, "The backward of a Darts.Norm layer failed");
            return Given(new(_wanted.X ? Failed(Place.Like(gradOutput)) : null, Failed(_weight), Failed(_bias)));
        }
        finally
        {
            gradOutput.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _kept.Dispose();

    /// <summary>The gradients as expressions that can be differentiated again.</summary>
    private Gradients Differentiable(Inputs inputs, Tensor gradOutput)
    {
        var output = _operation.Formula(inputs);
        List<Tensor> asked = [];
        if (_wanted.X)
            asked.Add(inputs.X);
        if (_wanted.Weight)
            asked.Add(inputs.Weight!);
        if (_wanted.Bias)
            asked.Add(inputs.Bias!);
        var gradients = new Queue<Tensor>(autograd.grad([output], asked, [gradOutput], retain_graph: true, create_graph: true, allow_unused: true));
        return new(Next(_wanted.X), Next(_wanted.Weight), Next(_wanted.Bias));

        Tensor? Next(bool isWanted) => isWanted && gradients.Dequeue() is { IsInvalid: false } gradient ? gradient : null;
    }

    private static Tensor? Failed(Place? place) => place is null ? null : BackwardFailure.Gradient(place.Shape, place.Dtype, CPU);

    /// <summary>Those that are wanted, out of the current scope.</summary>
    private Tensor?[] Given(Gradients gradients) => OfEachInput(
        _wanted.X ? gradients.X?.DetachFromDisposeScope() : null,
        _wanted.Weight ? gradients.Weight?.DetachFromDisposeScope() : null,
        _wanted.Bias ? gradients.Bias?.DetachFromDisposeScope() : null);

    private Tensor?[] OfEachInput(Tensor? x, Tensor? weight, Tensor? bias) => (_hasWeight, _hasBias) switch
    {
        (true, true) => [x, weight, bias],
        (true, false) => [x, weight],
        (false, true) => [x, bias],
        _ => [x],
    };

    /// <summary>A parameter's size, when its tensor is gone; null where no gradient is wanted. The input's is that of the output's gradient.</summary>
    private sealed record Place(long[] Shape, ScalarType Dtype)
    {
        public static Place Like(Tensor tensor) => new(tensor.dim() == 1 ? [tensor.numel()] : tensor.shape, tensor.dtype); // a shape takes longer to ask for than all the rest
    }
}
