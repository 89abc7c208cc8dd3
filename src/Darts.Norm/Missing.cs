namespace Darts.Norm;

/// <summary>What <see cref="RINorm"/> takes for a missing value, and what becomes of it.</summary>
public enum Missing
{
    /// <summary>Nothing is missing: NaN is a value like any other, and makes its whole series NaN, as in PyTorch.</summary>
    None,

    /// <summary>NaN is missing: the statistics leave it out, no gradient flows through it, and it stays NaN.</summary>
    Keep,

    /// <summary>NaN is missing: the statistics leave it out, no gradient flows through it, and it becomes 0.</summary>
    Zero,
}
