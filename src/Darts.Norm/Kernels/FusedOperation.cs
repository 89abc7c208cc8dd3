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
        if (x.is_neg() || weight?.is_neg() == true || bias?.is_neg() == true)
            return ApplyResolved(x, weight, bias);
        var dtype = ResultDtype(x, weight, bias);
        var wanted = is_grad_enabled() ? Wanted.Of(x, weight, bias) : default;
        if (wanted.IsAny)
            return FusedFunction.Apply(this, inputs, dtype, wanted);
        if (x.dtype == dtype && IsPlain(x))
            return Forward(inputs);

        using var scope = NewDisposeScope();
        return Forward(inputs with { X = x.to(dtype) }).MoveToOuterDisposeScope();
    }

    // Kernels read memory, where such a view's values lie with the other sign: the imaginary part of a conjugate, say.
    private Tensor ApplyResolved(Tensor x, Tensor? weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        return Apply(x.resolve_neg(), weight?.resolve_neg(), bias?.resolve_neg()).MoveToOuterDisposeScope();
    }

    /// <summary>Whether the kernels make no tensors on the way to their results.</summary>
    public bool IsPlain(Tensor x) => x.is_contiguous() && Mask is null;

    /// <summary>The definition in tensor operations: it runs on every device and differentiates to any order.</summary>
    public abstract Tensor Formula(Inputs inputs);

    /// <summary>The statistics of each series, which the layer keeps for its inverse; null for layers that keep none.</summary>
    public virtual Tensor? Statistics => null;

    /// <summary>The same as they were in <see cref="Forward"/>, from what it kept: the layer may hold those of another batch by now.</summary>
    public virtual Tensor? StatisticsOf(Float64Buffer kept) => null;

    /// <summary>Whether the gradients depend on the bias: only then is it saved for the backward.</summary>
    public virtual bool NeedsBias => false;

    /// <summary>How many numbers <see cref="Forward"/> keeps of x for <see cref="Backward"/>, where it is asked to.</summary>
    public virtual long Keeps(Tensor x) => 0;

    /// <summary>Where the input has a value, of its shape or with a last axis of 1; null for everywhere.</summary>
    public virtual Tensor? Mask => null;

    /// <summary>The dtype of the result, in which <see cref="Forward"/> and <see cref="Backward"/> get their input.</summary>
    public virtual ScalarType ResultDtype(Tensor x, Tensor? weight, Tensor? bias) => x.dtype;

    /// <summary>The result by kernels.</summary>
    public abstract Tensor Forward(Inputs inputs);

    /// <summary>The gradients by kernels, with what <see cref="Forward"/> kept.</summary>
    public abstract Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted);
}
