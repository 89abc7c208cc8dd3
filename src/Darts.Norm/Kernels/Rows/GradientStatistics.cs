using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>What is known of rows whose gradients are computed together, and what each row's gradient loses to it.</summary>
internal unsafe struct GradientStatistics
{
    /// <summary>Of so many rows at most.</summary>
    public const int Most = 16;

    /// <summary>What each row is multiplied by.</summary>
    public fixed double Inverse[Most];

    /// <summary>What is subtracted before, or what the formula keeps there,</summary>
    public fixed double Center[Most];

    /// <summary>and what that lost by rounding.</summary>
    public fixed double CenterLow[Most];

    /// <summary><c>mean(w·go) · inverse</c>,</summary>
    public fixed double Mean[Most];

    /// <summary>and so many times the centered row.</summary>
    public fixed double Along[Most];

    /// <summary>The largest gradient that comes in.</summary>
    public fixed float Largest[Most];

    /// <summary>So many rows stay in the nearest cache, beside their gradients and the sums over the rows, until they are written.</summary>
    /// <param name="length">Of a row.</param>
    public static int Together(long length) => length <= 128 ? Most : length <= 256 ? 8 : length <= 1024 ? 4 : 2;

    /// <summary>Takes what was kept of rows that follow each other.</summary>
    /// <param name="kept">The first row's first number.</param>
    /// <param name="rows">How many there are in all.</param>
    /// <param name="count">How many are taken.</param>
    public void Set(double* kept, long rows, int count)
    {
        new ReadOnlySpan<double>(kept, count).CopyTo(MemoryMarshal.CreateSpan(ref Inverse[0], count));
        new ReadOnlySpan<double>(kept + rows, count).CopyTo(MemoryMarshal.CreateSpan(ref Center[0], count));
        new ReadOnlySpan<double>(kept + (2 * rows), count).CopyTo(MemoryMarshal.CreateSpan(ref CenterLow[0], count));
    }
}
