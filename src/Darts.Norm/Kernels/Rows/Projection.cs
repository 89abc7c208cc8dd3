namespace Darts.Norm.Kernels;

/// <summary>The part of a row's gradient, of float64, that flows through its statistics: <see cref="Mean"/> + <see cref="Along"/> · the centered row, which the gradient loses. Each with what its roundings lost.</summary>
internal struct Projection
{
    public double Mean, MeanLow;
    public double Along, AlongLow;

    /// <summary>The exponent of the power of two that all <c>w·go</c> must be divided by first, since products of them would leave float64's range; zero where they would not.</summary>
    public int Exponent;
}
