using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What the values of a row of float64, and their squares, add up to, with what the additions lose.</summary>
internal static unsafe class DoubleMoments
{
    /// <summary>The values times a scale.</summary>
    public static (double total, double rest) Values(Row<Float64> x, double scale)
    {
        var sums = stackalloc double[2 * Lanes.Count];
        for (var i = x.Whole; i < x.Length; i++)
            sums[i - x.Whole] = x.At(i) * scale;
        if (Vector512.IsHardwareAccelerated)
            AddValues<EightWide>((double*)x.Start, x.Whole, scale, sums);
        else
            AddValues<FourWide>((double*)x.Start, x.Whole, scale, sums);
        return Sum.TotalAndRest(sums);
    }

    /// <summary>The squares of the differences of the values times a scale to their mean, in two numbers.</summary>
    public static (double total, double rest) Squares(Row<Float64> x, double scale, double mean, double meanLow)
    {
        var sums = stackalloc double[2 * Lanes.Count];
        for (var i = x.Whole; i < x.Length; i++)
        {
            var v = (x.At(i) * scale) - mean - meanLow;
            var lane = i - x.Whole;
            sums[lane] = v * v;
            sums[Lanes.Count + lane] = Math.FusedMultiplyAdd(v, v, -sums[lane]);
        }
        if (Vector512.IsHardwareAccelerated)
            AddSquares<EightWide>((double*)x.Start, x.Whole, scale, mean, meanLow, sums);
        else
            AddSquares<FourWide>((double*)x.Start, x.Whole, scale, mean, meanLow, sums);
        return Sum.TotalAndRest(sums);
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
