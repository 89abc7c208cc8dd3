using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Eight sums of a row's values: of each sixteen values, two are added to each.</summary>
/// <remarks>Sixteen sums, as in <see cref="Lanes"/>, would take too many registers where a row's values and squares are summed at once.</remarks>
internal unsafe struct RowSum
{
    /// <summary>How many sums.</summary>
    public const int Count = 8;

    private Vector256<double> _low, _high;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(Lanes x)
    {
        _low += x.A + x.C;
        _high += x.B + x.D;
    }

    /// <summary>Sixteen sums as eight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowSum Of(Lanes sums) => new() { _low = sums.A + sums.C, _high = sums.B + sums.D };

    /// <summary>The eight sums and eight zeros: <see cref="Of"/> gives the same back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Lanes ToLanes() => new(_low, _high, Vector256<double>.Zero, Vector256<double>.Zero);

    /// <summary>Writes eight sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<double> sums, RowSum* to) => sums.Store((double*)to);

    /// <summary>Writes eight sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<double> low, Vector256<double> high, RowSum* to)
    {
        low.Store((double*)to);
        high.Store((double*)to + 4);
    }

    /// <summary>Reads eight sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> LoadWide(RowSum* from) => Vector512.Create(from->_low, from->_high);

    /// <summary>The sum of the eight, in one order.</summary>
    public readonly double Total => Lanes.Sum(_low + _high);

    /// <summary>As <see cref="Total"/>, of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Totals(RowSum* rows) =>
        Lanes.Sums(rows[0]._low + rows[0]._high, rows[1]._low + rows[1]._high, rows[2]._low + rows[2]._high, rows[3]._low + rows[3]._high);
}
