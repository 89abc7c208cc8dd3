using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Sums of a float64 row's values and of their squares, with what the additions lose.</summary>
internal static unsafe class Float64Moments
{
    /// <summary>How many numbers a row's sums take: sixteen, then what each of these lost.</summary>
    public const int Room = 2 * Lanes.Count;

    /// <summary>Sums the values times a scale, in sixteen lanes.</summary>
    public static void AddValues(double* x, long length, double scale, double* sums)
    {
        var whole = length & -Lanes.Count;
        new Span<double>(sums, Room).Clear();
        for (var i = whole; i < length; i++)
            sums[i - whole] = x[i] * scale;
        if (whole == 0)
            return;
        if (Vector512.IsHardwareAccelerated)
            AddValues<Float64x8>(x, whole, scale, sums);
        else
            AddValues<Float64x4>(x, whole, scale, sums);
    }

    /// <summary>Sums the squared differences of the scaled values to a center; the squares of the values where the formula has no center.</summary>
    public static void AddSquares<TFormula>(double* x, long length, double scale, double center, double* sums)
        where TFormula : IRowFormula
    {
        var whole = length & -Lanes.Count;
        new Span<double>(sums, Room).Clear();
        for (var i = whole; i < length; i++)
        {
            var (v, lost) = Sum.TwoSum(x[i] * scale, -center);
            sums[i - whole] = v * v;
            sums[Lanes.Count + i - whole] = Math.FusedMultiplyAdd(v, v, -(v * v)) + (v * (lost + lost));
        }
        if (whole == 0)
            return;
        if (Vector512.IsHardwareAccelerated)
            AddSquares<TFormula, Float64x8>(x, whole, scale, center, sums);
        else
            AddSquares<TFormula, Float64x4>(x, whole, scale, center, sums);
    }

    /// <summary>The totals of four rows, each added up in the same order, and what rounding lost.</summary>
    public static Pair<Float64x4> Totals(double* sums)
    {
        double* four = stackalloc double[16], losses = stackalloc double[16];
        for (var r = 0; r < Float64x4.Count; r++, sums += Room)
        {
            var (sum, lost) = Fours(sums);
            sum.Store(four + (4 * r));
            lost.Store(losses + (4 * r));
        }
        Pair<Float64x4> low = Pair<Float64x4>.Sum(Of(four, 0), Of(four, 1)), high = Pair<Float64x4>.Sum(Of(four, 2), Of(four, 3));
        var total = Pair<Float64x4>.Sum(low.High, high.High);
        return Pair.WithRest(total.High, total.Low + ((low.Low + high.Low) + ((Of(losses, 0) + Of(losses, 1)) + (Of(losses, 2) + Of(losses, 3)))));

        static Float64x4 Of(double* rows, int lane) => new(Vector256.Create(rows[lane], rows[4 + lane], rows[8 + lane], rows[12 + lane]));
    }

    /// <summary>Adds a row's sixteen sums to four, and what they lost to four.</summary>
    private static (Float64x4 sums, Float64x4 lost) Fours(double* sums)
    {
        var losses = sums + Lanes.Count;
        var lost = (Float64x4.Load(losses) + Float64x4.Load(losses + 4)) + (Float64x4.Load(losses + 8) + Float64x4.Load(losses + 12));
        Float64x4 a = Float64x4.Load(sums), b = Float64x4.Load(sums + 8);
        Sum.Add(ref a, ref lost, Float64x4.Load(sums + 4));
        Sum.Add(ref b, ref lost, Float64x4.Load(sums + 12));
        Sum.Add(ref a, ref lost, b);
        return (a, lost);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddValues<TVector>(double* x, long count, double scale, double* sums)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var by = TVector.Create(scale);
        for (var lane = 0; lane < Lanes.Count; lane += 2 * TVector.Count)
        {
            var at = sums + lane;
            TVector a = TVector.Load(at), b = TVector.Load(at + TVector.Count), aLost = TVector.Load(at + Lanes.Count), bLost = TVector.Load(at + Lanes.Count + TVector.Count);
            for (long i = lane; i < count; i += Lanes.Count)
            {
                Sum.Add(ref a, ref aLost, TVector.Load(x + i) * by);
                Sum.Add(ref b, ref bLost, TVector.Load(x + i + TVector.Count) * by);
            }
            Store(a, b, aLost, bLost, at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddSquares<TFormula, TVector>(double* x, long count, double scale, double center, double* sums)
        where TFormula : IRowFormula
        where TVector : struct, IFloat64Vector<TVector>
    {
        var (by, from) = (TVector.Create(scale), TVector.Create(center));
        for (var lane = 0; lane < Lanes.Count; lane += 2 * TVector.Count)
        {
            var at = sums + lane;
            TVector a = TVector.Load(at), b = TVector.Load(at + TVector.Count), aLost = TVector.Load(at + Lanes.Count), bLost = TVector.Load(at + Lanes.Count + TVector.Count);
            for (long i = lane; i < count; i += Lanes.Count)
            {
                AddSquare<TFormula, TVector>(TVector.Load(x + i) * by, from, ref a, ref aLost);
                AddSquare<TFormula, TVector>(TVector.Load(x + i + TVector.Count) * by, from, ref b, ref bLost);
            }
            Store(a, b, aLost, bLost, at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSquare<TFormula, TVector>(TVector x, TVector center, ref TVector sum, ref TVector lost)
        where TFormula : IRowFormula
        where TVector : struct, IFloat64Vector<TVector>
    {
        var square = TFormula.Centers ? Pair<TVector>.Difference(x, center).Squared() : Pair<TVector>.Product(x, x);
        lost += square.Low;
        Sum.Add(ref sum, ref lost, square.High);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TVector>(TVector a, TVector b, TVector aLost, TVector bLost, double* to)
        where TVector : struct, IFloat64Vector<TVector>
    {
        a.Store(to);
        b.Store(to + TVector.Count);
        aLost.Store(to + Lanes.Count);
        bLost.Store(to + Lanes.Count + TVector.Count);
    }
}
