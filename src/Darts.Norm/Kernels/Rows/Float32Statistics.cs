using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What is measured of rows of float32 that are normalised together, and the same rounded to float32.</summary>
internal unsafe struct Float32Statistics
{
    /// <summary>The most rows.</summary>
    public const int Most = 32;

    /// <summary>Each row's mean, rounded to float32; zero for a formula that subtracts nothing.</summary>
    public fixed float Level[Most];

    /// <summary>Each row's <see cref="RowStatistics.Center"/> less its <see cref="Level"/>; of a formula that subtracts nothing its mean square.</summary>
    public fixed double Rest[Most];

    /// <summary>What each row is multiplied by; NaN for a row that is left to float64.</summary>
    public fixed double Inverse[Most];

    /// <summary><see cref="Inverse"/>, rounded to float32.</summary>
    public fixed float InverseHigh[Most];

    /// <summary><see cref="Inverse"/> less its <see cref="InverseHigh"/>.</summary>
    public fixed float InverseLow[Most];

    /// <summary>The inverse of a row that is written as (x - <see cref="Level"/>) · inverse alone, since the rest does not show beside its spread; NaN for the others.</summary>
    public fixed float PlainInverse[Most];

    /// <summary>-<see cref="Rest"/> · <see cref="Inverse"/>, which is added to rows that are not plain.</summary>
    public fixed float Shift[Most];

    /// <summary>The statistics in float64 of a row from which something is subtracted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly RowStatistics Of(int row)
    {
        var (center, low) = Sum.TwoSum(Level[row], Rest[row]);
        return new(Inverse[row], center, low);
    }

    /// <summary>Keeps the statistics of rows for the backward pass. For a row that is left to float64, that overwrites them.</summary>
    /// <param name="count">How many rows.</param>
    /// <param name="eps">The layer's.</param>
    /// <param name="to">Where the first row's first number goes.</param>
    /// <param name="rows">How many rows the tensor has.</param>
    /// <param name="centers">Whether the formula subtracts something.</param>
    public void Keep(int count, double eps, double* to, long rows, bool centers)
    {
        fixed (Float32Statistics* measured = &this)
        {
            var r = 0;
            for (; r <= count - Vector256<double>.Count; r += Vector256<double>.Count)
            {
                Vector256<double> inverse = Vector256.Load(measured->Inverse + r), rest = Vector256.Load(measured->Rest + r);
                inverse.Store(to + r);
                if (!centers)
                {
                    Vector256.Sqrt(rest).Store(to + rows + r);
                    continue;
                }
                var level = Float32.Widen(Vector128.Load(measured->Level + r));
                var center = level + rest;
                center.Store(to + rows + r);
                RowStatistics.WithoutHidden(rest - (center - level), inverse, eps).Store(to + (2 * rows) + r); // the level is larger than the rest, or zero
            }
            for (; r < count; r++)
            {
                if (centers)
                    Of(r).WithoutHiddenLow(eps).Store<Float32>(to + r, rows, centers);
                else
                    new RowStatistics(Inverse[r], Math.Sqrt(Rest[r])).Store<Float32>(to + r, rows, centers);
            }
        }
    }
}
