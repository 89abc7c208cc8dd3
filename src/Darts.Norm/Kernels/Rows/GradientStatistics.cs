using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>The statistics of rows whose gradients are computed together, and the part of each row's gradient that flows through them.</summary>
internal unsafe struct GradientStatistics
{
    /// <summary>The most rows.</summary>
    public const int Most = 16;

    /// <summary>What each row is multiplied by.</summary>
    public fixed double Inverse[Most];

    /// <summary>What is subtracted from each row before; of a formula that subtracts nothing, the root of the mean square.</summary>
    public fixed double Center[Most];

    /// <summary>What <see cref="Center"/> lost by rounding.</summary>
    public fixed double CenterLow[Most];

    /// <summary><c>mean(w·go) · inverse</c>, which the gradient loses.</summary>
    public fixed double Mean[Most];

    /// <summary><c>mean(w·go · x̂) · inverse²</c>: this times the centered row, the gradient loses as well.</summary>
    public fixed double Along[Most];

    /// <summary>The largest magnitude of the incoming gradient.</summary>
    public fixed float Largest[Most];

    /// <summary>How many rows stay in the nearest cache until their gradients are written, beside these and the sums over the rows.</summary>
    /// <param name="length">The values of a row.</param>
    public static int Together(long length) => length <= 128 ? Most : length <= 256 ? 8 : length <= 1024 ? 4 : 2;

    /// <summary>Reads what the forward pass kept of rows that follow each other.</summary>
    /// <param name="kept">The first row's first number.</param>
    /// <param name="rows">How many rows the tensor has.</param>
    /// <param name="count">How many rows to read.</param>
    /// <param name="centers">Whether the formula subtracts something.</param>
    public void Set(double* kept, long rows, int count, bool centers)
    {
        new ReadOnlySpan<double>(kept, count).CopyTo(MemoryMarshal.CreateSpan(ref Inverse[0], count));
        new ReadOnlySpan<double>(kept + rows, count).CopyTo(MemoryMarshal.CreateSpan(ref Center[0], count));
        if (centers)
            new ReadOnlySpan<double>(kept + (2 * rows), count).CopyTo(MemoryMarshal.CreateSpan(ref CenterLow[0], count));
    }
}
