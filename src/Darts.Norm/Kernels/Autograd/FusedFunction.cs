using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>Ties a <see cref="FusedOperation"/> to torch's autograd.</summary>
internal sealed class FusedFunction(FusedOperation operation, Inputs inputs, Wanted wanted) : IBackward
{
    /// <summary>From this many values on, making a view is faster than copying a gradient.</summary>
    private const long WorthAView = 16 * 1024;

    private readonly bool _hasWeight = inputs.Weight is not null;
    private readonly bool _hasBias = inputs.Bias is not null;
    private readonly Float64Buffer _kept = inputs.Kept;

    public static Tensor Apply(FusedOperation operation, Inputs inputs, ScalarType dtype, Wanted wanted)
    {
        HandedOver.DisposeLast();
        using var converted = inputs.X.dtype == dtype ? null : inputs.X.to(dtype);
        var x = converted ?? inputs.X;
        // A leaf's .grad becomes the very tensor that a backward answers only where nothing else refers to it, and the node here does (HandedOver): libtorch would copy it.
        // A view's backward answers a tensor that nothing refers to.
        using var view = wanted.X && x.numel() >= WorthAView && x.is_leaf ? x.view_as(x) : null;
        inputs = inputs with { X = view ?? x, Kept = new(operation.Keeps(x)), IsTraining = true };
        var (_, weight, bias, _, mask, kept) = inputs;
        try
        {
            using var output = Forward(operation, inputs);
            var function = new FusedFunction(operation, inputs, wanted);
            kept = default; // is the function's now
            return AutogradNode.Tie(function.OfEachInput(inputs.X, weight, bias)!, [output], [inputs.X, weight, operation.NeedsBias ? bias : null, mask], function)[0];
        }
        catch (Exception error)
        {
            kept.Dispose();
            if (error is ExternalException && error.Message.Contains("Inference tensors cannot be saved", StringComparison.Ordinal)) // TorchSharp does not say which tensors are
                throw new InvalidOperationException(
                    $"What takes part in training must be made outside of inference mode, but the input, of size {Require.Size(x.shape)}, a parameter or the mask was made in it. "
                    + "Pass a clone, input.clone() or mask.clone(), or make the layer outside, whichever it was.",
                    error);
            throw;
        }
    }

    private static Tensor Forward(FusedOperation operation, Inputs inputs)
    {
        if (operation.IsPlain(inputs.X))
            return operation.Forward(inputs);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return operation.Forward(inputs).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor?[] Backward(AutogradNode node, Tensor?[] gradOutputs)
    {
        if (gradOutputs[0] is not { } gradOutput)
            return Given(default);
        try
        {
            using var x = node.Saved(0)!;
            using Tensor? weight = node.Saved(1), bias = node.Saved(2), mask = node.Saved(3);
            var inputs = new Inputs(x, weight, bias, null, mask, _kept);
            var isDifferentiable = is_grad_enabled();
            using var scope = !isDifferentiable && operation.IsPlain(x) && gradOutput.is_contiguous() && !gradOutput.is_neg() ? null : NewDisposeScope();
            return Given(isDifferentiable ? Differentiable(inputs, gradOutput) : operation.Backward(inputs, gradOutput.is_neg() ? gradOutput.resolve_neg() : gradOutput, wanted));
        }
        catch (Exception error)
        {
            BackwardFailure.Record(error, "The backward of a Darts.Norm layer failed");
            return Given(new(Failed(Place.Of(gradOutput)), Failed(wanted.Weight), Failed(wanted.Bias)));
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
        inputs = inputs with
        {
            X = Apart(inputs.X, wanted.X),
            Weight = Apart(inputs.Weight, wanted.Weight is not null),
            Bias = inputs.Bias is null && wanted.Bias is { } place
                ? zeros(place.Shape, place.Dtype, CPU).requires_grad_() // whatever it is, the gradients are the same
                : Apart(inputs.Bias, wanted.Bias is not null),
            Statistics = operation.StatisticsOf(_kept),
        };
        var output = operation.Formula(inputs);
        Tensor?[] asked = [wanted.X ? inputs.X : null, wanted.Weight is null ? null : inputs.Weight, wanted.Bias is null ? null : inputs.Bias];
        var gradients = Differentiation.Gradients(output, asked, gradOutput);
        return new(gradients[0], gradients[1], gradients[2]);
    }

    // A view, so that only the way through this layer counts: the input may itself depend on the same parameters. What was frozen since the forward is differentiated all the same.
    [return: NotNullIfNotNull(nameof(tensor))]
    private static Tensor? Apart(Tensor? tensor, bool isWanted)
    {
        var view = tensor?.view_as(tensor);
        return isWanted && view is { requires_grad: false } ? view.requires_grad_() : view;
    }

    private static Tensor? Failed(Place? place) => place is null ? null : BackwardFailure.Gradient(place.Shape, place.Dtype, CPU);

    /// <summary>The gradients, out of the current scope.</summary>
    private Tensor?[] Given(Gradients gradients) =>
        OfEachInput(gradients.X?.DetachFromDisposeScope(), gradients.Weight?.DetachFromDisposeScope(), gradients.Bias?.DetachFromDisposeScope());

    private Tensor?[] OfEachInput(Tensor? x, Tensor? weight, Tensor? bias) => (_hasWeight, _hasBias) switch
    {
        (true, true) => [x, weight, bias],
        (true, false) => [x, weight],
        (false, true) => [x, bias],
        _ => [x],
    };
}
