using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What normalising a row needs to know about it.</summary>
/// <param name="Inverse">What the row is multiplied by.</param>
/// <param name="Center">What is subtracted before. A formula that subtracts nothing keeps the root of its mean square here.</param>
/// <param name="CenterLow">What <paramref name="Center"/> lost by rounding.</param>
/// <param name="Scale">A power of two that keeps squares in range, by which the row is multiplied first; float64 rows only.</param>
/// <param name="Square">One over the square of <paramref name="Inverse"/>, without its roundings; float64 rows only.</param>
/// <param name="InverseLow">What <paramref name="Inverse"/> lost by rounding; float64 rows only.</param>
/// <param name="Unit">A power of two that the scaled row is multiplied by last, so that nothing between is subnormal; float64 rows only.</param>
internal readonly record struct RowStatistics(
    double Inverse, double Center, double CenterLow = 0, double Scale = 1, double Square = 0, double InverseLow = 0, double Unit = 1)
{
    /// <summary>2⁻⁵⁰: more than the rounding errors of 1 - eps · inverse².</summary>
    private const double SmallestSquare = 1.0 / (1L << 50);

    /// <summary>2⁻¹⁰⁴: the square of 2⁻⁵², float64's last place.</summary>
    private const double NegligibleSquare = 1.0 / (1L << 52) / (1L << 52);

    /// <summary>How many numbers are kept of each row for the backward pass. The first numbers of all rows come first, then the second ones, and so on.</summary>
    /// <param name="centers">Whether the formula subtracts something: of a root nothing is lost that shows.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Kept<T>(bool centers)
        where T : IElement => !T.IsSingle ? 7 : centers ? 3 : 2;

    /// <summary>Reads what was kept of a row of float64.</summary>
    /// <param name="from">The row's first number.</param>
    /// <param name="rows">How many rows the tensor has.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe RowStatistics Load(double* from, long rows) =>
        new(from[0], from[rows], from[2 * rows], from[3 * rows], from[4 * rows], from[5 * rows], from[6 * rows]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public unsafe void Store<T>(double* to, long rows, bool centers)
        where T : IElement
    {
        (to[0], to[rows]) = (Inverse, Center);
        if (!T.IsSingle || centers)
            to[2 * rows] = CenterLow;
        if (!T.IsSingle)
            (to[3 * rows], to[4 * rows], to[5 * rows], to[6 * rows]) = (Scale, Square, InverseLow, Unit);
    }

    /// <summary>Without <see cref="CenterLow"/>, where it is less than the last place of the values' spread: neither x - center nor a gradient shows it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public RowStatistics WithoutHiddenLow(double eps) =>
        this with { CenterLow = WithoutHidden(Vector256.CreateScalarUnsafe(CenterLow), Vector256.CreateScalarUnsafe(Inverse), eps).ToScalar() };

    /// <summary>For four rows, their <see cref="CenterLow"/>, or zero where <see cref="WithoutHiddenLow"/> leaves it out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> WithoutHidden(Vector256<double> centerLow, Vector256<double> inverse, double eps)
    {
        // Both relative to √(variance + eps). What eps takes of it is no spread: the square may come out below zero, where no spread is left.
        var low = centerLow * inverse;
        var square = Vector256<double>.One - (Vector256.Create(eps) * inverse * inverse) - Vector256.Create(SmallestSquare);
        return centerLow & Vector256.GreaterThan(low * low, square * Vector256.Create(NegligibleSquare));
    }

    /// <summary>The statistics of a row without spread, or with so little that eps alone divides it.</summary>
    public static RowStatistics OfEps((double value, double lost) inverse, double center, double centerLow, double scale)
    {
        var exponent = Math.ILogB(inverse.value);
        var power = Math.ScaleB(1, scale > 1 ? -Math.Max(0, exponent) : Math.Min(-Math.ILogB(scale), Math.Max(0, -exponent)));
        return new(inverse.value * power, center, centerLow, scale, double.PositiveInfinity, inverse.lost * power, 1 / scale / power);
    }
}
