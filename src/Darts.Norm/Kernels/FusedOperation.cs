namespace Darts.Norm.Kernels;

/// <summary>A layer's computation: the formula that defines it, and kernels for the CPU that give the same faster.</summary>
internal abstract class FusedOperation
{
    /// <summary>The result: by kernels on the CPU, by <see cref="Formula"/> elsewhere. Gradients flow if anybody asks for them.</summary>
    public Tensor Apply(Tensor x, Tensor? weight, Tensor? bias)
    {
        if (x.device_type != DeviceType.CPU)
            return Formula(x, weight, bias, Given);
        var dtype = ResultDtype(x, weight, bias);
        if (x.numel() == 0 || x.is_sparse)
            return Formula(x, weight, bias, Given);
        if (is_grad_enabled() && (x.requires_grad || weight?.requires_grad == true || bias?.requires_grad == true))
            return FusedFunction.Apply(this, x, weight, bias, dtype);
        if (x.dtype == dtype && x.is_contiguous())
            return Forward(x, weight, bias, keepStatistics: false).output;

        using var scope = NewDisposeScope();
        return Forward(x.to(dtype), weight, bias, keepStatistics: false).output.MoveToOuterDisposeScope();
    }

    /// <summary>The definition in tensor operations: it runs on every device and differentiates to any order.</summary>
    public abstract Tensor Formula(Tensor x, Tensor? weight, Tensor? bias, Tensor? statistics);

    /// <summary>Statistics that do not come out of <see cref="Forward"/>; null where they do.</summary>
    public virtual Tensor? Given => null;

    /// <summary>The dtype of the result, in which <see cref="Forward"/> and <see cref="Backward"/> get their input.</summary>
    public virtual ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => x.dtype;

    /// <summary>The result by kernels, and what <see cref="Backward"/> needs to know besides the inputs.</summary>
    public abstract (Tensor output, Tensor? statistics) Forward(Tensor x, Tensor? weight, Tensor? bias, bool keepStatistics);

    /// <summary>The gradients by kernels.</summary>
    public abstract Gradients Backward(Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, Tensor gradOutput, Wanted wanted);
}
