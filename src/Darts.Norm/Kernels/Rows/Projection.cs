namespace Darts.Norm.Kernels;

/// <summary>What the gradient of a row of float64 loses to its statistics: <c>mean(w·go)</c>, and so many times the centered row, each with what its roundings lost.</summary>
internal struct Projection
{
    public double Mean, MeanLow;
    public double Along, AlongLow;
}
