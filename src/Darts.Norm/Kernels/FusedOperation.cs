namespace Darts.Norm.Kernels;

/// <summary>A layer's computation: the formula that defines it, and kernels for the CPU that give the same faster.</summary>
internal abstract class FusedOperation
{
    /// <summary>The result: by kernels on the CPU, by <see cref="Formula"/> elsewhere. Gradients flow if anybody asks for them.</summary>
    public Tensor Apply(Tensor x, Tensor? weight, Tensor? bias)
    {
        var inputs = new Inputs(x, weight, bias, Statistics, Mask);
        if (x.device_type != DeviceType.CPU || x.numel() == 0)
            return Formula(inputs);
        var dtype = ResultDtype(x, weight, bias);
        if (is_grad_enabled() && (x.requires_grad || weight?.requires_grad == true || bias?.requires_grad == true))
            return FusedFunction.Apply(this, inputs, dtype);
        if (x.dtype == dtype && x.is_contiguous() && Mask is null)
            return Forward(inputs, keepStatistics: false).output;

        using var scope = NewDisposeScope();
        return Forward(inputs with { X = x.to(dtype) }, keepStatistics: false).output.MoveToOuterDisposeScope();
    }

    /// <summary>The definition in tensor operations: it runs on every device and differentiates to any order.</summary>
    public abstract Tensor Formula(Inputs inputs);

    /// <summary>Statistics that do not come out of <see cref="Forward"/>; null where they do.</summary>
    public virtual Tensor? Statistics => null;

    /// <summary>Where the input has a value, of its shape; null for everywhere.</summary>
    public virtual Tensor? Mask => null;

    /// <summary>The dtype of the result, in which <see cref="Forward"/> and <see cref="Backward"/> get their input.</summary>
    public virtual ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => x.dtype;

    /// <summary>The result by kernels, and what <see cref="Backward"/> needs to know besides the inputs.</summary>
    public abstract (Tensor output, Tensor? statistics) Forward(Inputs inputs, bool keepStatistics);

    /// <summary>The gradients by kernels; the inputs' statistics are those of <see cref="Forward"/>.</summary>
    public abstract Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted);
}

/// <summary>What an operation computes with.</summary>
internal readonly record struct Inputs(Tensor X, Tensor? Weight, Tensor? Bias, Tensor? Statistics, Tensor? Mask);
