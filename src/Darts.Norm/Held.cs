namespace Darts.Norm;

/// <summary>Tensor operations with a number, which the garbage collector cannot free during the call.</summary>
/// <remarks>TorchSharp makes an object of the number, and calls libtorch with its address alone: the collector may free the object, and with it the number, while libtorch still reads it.</remarks>
internal static class Held
{
    public static Tensor Number(double number, Func<Scalar, Tensor> operation)
    {
        using Scalar held = number;
        return operation(held);
    }

    /// <summary>x + y, which libtorch is told with a number to multiply y by.</summary>
    public static Tensor Sum(Tensor x, Tensor y) => Number(1, one => x.add(y, one));

    /// <summary>x + y.</summary>
    public static Tensor Sum(Tensor x, double y) => Number(1, one => Number(y, held => x.add(held, one)));
}
