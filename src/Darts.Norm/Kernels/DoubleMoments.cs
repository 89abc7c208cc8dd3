using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What the values of a row of float64, and their squares, add up to, with what the additions lose.</summary>
internal static unsafe class DoubleMoments
{
    /// <summary>How many numbers a row's sums take: sixteen, then what each of these lost.</summary>
    public const int Room = 2 * Lanes.Count;

    /// <summary>The sums of the values times a scale.</summary>
    public static void AddValues(double* x, long length, double scale, double* sums)
    {
        var whole = length & -Lanes.Count;
        new Span<double>(sums, Room).Clear();
        for (var i = whole; i < length; i++)
            sums[i - whole] = x[i] * scale;
        if (Vector512.IsHardwareAccelerated)
            AddValues<EightWide>(x, whole, scale, sums);
        else
            AddValues<FourWide>(x, whole, scale, sums);
    }

    /// <summary>The sums of the squares of their differences to a mean, in two numbers.</summary>
    public static void AddSquares(double* x, long length, double scale, double mean, double meanLow, double* sums)
    {
        var whole = length & -Lanes.Count;
        new Span<double>(sums, Room).Clear();
        for (var i = whole; i < length; i++)
        {
            var v = (x[i] * scale) - mean - meanLow;
            sums[i - whole] = v * v;
            sums[Lanes.Count + i - whole] = Math.FusedMultiplyAdd(v, v, -(v * v));
        }
        if (Vector512.IsHardwareAccelerated)
            AddSquares<EightWide>(x, whole, scale, mean, meanLow, sums);
        else
            AddSquares<FourWide>(x, whole, scale, mean, meanLow, sums);
    }

    /// <summary>The sums of all lanes of four rows, each in one order, and what rounding it lost.</summary>
    public static Pair<FourWide> Totals(double* sums)
    {
        double* four = stackalloc double[16], losses = stackalloc double[16];
        for (var r = 0; r < FourWide.Count; r++, sums += Room)
        {
            var (sum, lost) = Fours(sums);
            sum.Store(four + (4 * r));
            lost.Store(losses + (4 * r));
        }
        Pair<FourWide> low = Pair<FourWide>.Sum(Of(four, 0), Of(four, 1)), high = Pair<FourWide>.Sum(Of(four, 2), Of(four, 3));
        var total = Pair<FourWide>.Sum(low.High, high.High);
        return Pair<FourWide>.WithRest(total.High, total.Low + ((low.Low + high.Low) + ((Of(losses, 0) + Of(losses, 1)) + (Of(losses, 2) + Of(losses, 3)))));

        static FourWide Of(double* rows, int lane) => new(Vector256.Create(rows[lane], rows[4 + lane], rows[8 + lane], rows[12 + lane]));
    }

    /// <summary>A row's sums as four, and four of what was lost.</summary>
    private static (FourWide sums, FourWide lost) Fours(double* sums)
    {
        var losses = sums + Lanes.Count;
        var lost = (FourWide.Load(losses) + FourWide.Load(losses + 4)) + (FourWide.Load(losses + 8) + FourWide.Load(losses + 12));
        FourWide a = FourWide.Load(sums), b = FourWide.Load(sums + 8);
        Sum.Add(ref a, ref lost, FourWide.Load(sums + 4));
        Sum.Add(ref b, ref lost, FourWide.Load(sums + 12));
        Sum.Add(ref a, ref lost, b);
        return (a, lost);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddValues<TWide>(double* x, long count, double scale, double* sums)
        where TWide : struct, IWide<TWide>
    {
        var by = TWide.Create(scale);
        for (var lane = 0; lane < Lanes.Count; lane += 2 * TWide.Count)
        {
            var at = sums + lane;
            TWide a = TWide.Load(at), b = TWide.Load(at + TWide.Count), aLost = TWide.Load(at + Lanes.Count), bLost = TWide.Load(at + Lanes.Count + TWide.Count);
            for (long i = lane; i < count; i += Lanes.Count)
            {
                Sum.Add(ref a, ref aLost, TWide.Load(x + i) * by);
                Sum.Add(ref b, ref bLost, TWide.Load(x + i + TWide.Count) * by);
            }
            Store(a, b, aLost, bLost, at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddSquares<TWide>(double* x, long count, double scale, double mean, double meanLow, double* sums)
        where TWide : struct, IWide<TWide>
    {
        var (by, center, low) = (TWide.Create(scale), TWide.Create(mean), TWide.Create(meanLow));
        for (var lane = 0; lane < Lanes.Count; lane += 2 * TWide.Count)
        {
            var at = sums + lane;
            TWide a = TWide.Load(at), b = TWide.Load(at + TWide.Count), aLost = TWide.Load(at + Lanes.Count), bLost = TWide.Load(at + Lanes.Count + TWide.Count);
            for (long i = lane; i < count; i += Lanes.Count)
            {
                AddSquare((TWide.Load(x + i) * by) - center - low, ref a, ref aLost);
                AddSquare((TWide.Load(x + i + TWide.Count) * by) - center - low, ref b, ref bLost);
            }
            Store(a, b, aLost, bLost, at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSquare<TWide>(TWide v, ref TWide sum, ref TWide lost)
        where TWide : struct, IWide<TWide>
    {
        var square = v * v;
        lost += TWide.Loss(v, v, square);
        Sum.Add(ref sum, ref lost, square);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TWide>(TWide a, TWide b, TWide aLost, TWide bLost, double* to)
        where TWide : struct, IWide<TWide>
    {
        a.Store(to);
        b.Store(to + TWide.Count);
        aLost.Store(to + Lanes.Count);
        bLost.Store(to + Lanes.Count + TWide.Count);
    }
}
