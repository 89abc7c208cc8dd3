namespace Darts.Norm.Kernels;

/// <summary>Which gradients are asked for. Of a parameter, none where its place is null.</summary>
internal readonly record struct Wanted(bool X, Place? Weight, Place? Bias)
{
    public bool IsAny => X || Weight is not null || Bias is not null;

    public static Wanted Of(Tensor x, Tensor? weight, Tensor? bias) => new(
        x.requires_grad, weight?.requires_grad == true ? Place.Of(weight) : null, bias?.requires_grad == true ? Place.Of(bias) : null);
}
