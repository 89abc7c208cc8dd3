namespace Darts.Norm.Kernels;

/// <summary>What the gradient of a row of float64 loses to its statistics: <c>mean(w·go)</c>, and so many times the centered row, each with what its roundings lost.</summary>
internal struct Projection
{
    public double Mean, MeanLow;
    public double Along, AlongLow;

    /// <summary>Of the power of two that all <c>w·go</c> are to be divided by first, for they are so large or small that products of them leave float64's range; zero where they are not.</summary>
    public int Exponent;
}
