using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Rows of float64 values. These leave no digits to spare: what a multiplication or an addition loses is carried along.</summary>
/// <remarks>A row's last values, which fill no registers, are read into ones that are zero beyond them.</remarks>
internal static unsafe class DoubleRows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary><c>y = x̂ · weight + bias</c>.</summary>
    public static void Write(double* x, double* y, long length, RowStatistics s, double* weight, double* bias)
    {
        if (Vector512.IsHardwareAccelerated)
            Write<EightWide>(x, y, length, s, weight, bias);
        else
            Write<FourWide>(x, y, length, s, weight, bias);
    }

    /// <summary>What the gradients of up to four rows lose to their statistics.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Project(double** x, double** go, int count, long length, RowStatistics* statistics, double* weight, double eps, Loss* to)
    {
        double* sums = stackalloc double[4 * DoubleMoments.Room], dots = stackalloc double[4 * DoubleMoments.Room], means = stackalloc double[4], alongs = stackalloc double[4];
        for (var r = 0; r < count; r++)
        {
            double* rowSums = sums + (r * DoubleMoments.Room), rowDots = dots + (r * DoubleMoments.Room);
            if (Vector512.IsHardwareAccelerated)
                Project<EightWide>(x[r], go[r], length, statistics[r], weight, rowSums, rowDots);
            else
                Project<FourWide>(x[r], go[r], length, statistics[r], weight, rowSums, rowDots);
        }
        var n = FourWide.Create(length);
        (DoubleMoments.Totals(sums).High / n).Store(means);
        (DoubleMoments.Totals(dots).High / n).Store(alongs);
        for (var r = 0; r < count; r++)
        {
            if (TFormula.FlowsThrough(statistics[r], eps))
                to[r] = new() { Mean = TFormula.Centers ? means[r] : 0, Along = alongs[r] / statistics[r].Square };
            else
                to[r] = default;
        }
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c>, if it is asked for, and the row's part of the parameters' gradients.</summary>
    public static void WriteGradient(double* x, double* go, double* gx, long length, RowStatistics s, Loss lost, double* weight, double weightUnit, double* weightSums, double* biasSums, Destination destination)
    {
        if (Vector512.IsHardwareAccelerated)
            WriteGradient<EightWide>(x, go, gx, length, s, lost, weight, weightUnit, weightSums, biasSums, destination);
        else
            WriteGradient<FourWide>(x, go, gx, length, s, lost, weight, weightUnit, weightSums, biasSums, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Write<TWide>(double* x, double* y, long length, RowStatistics s, double* weight, double* bias)
        where TWide : struct, IWide<TWide>
    {
        var i = 0L;
        for (; i <= length - TWide.Count; i += TWide.Count)
            Normalized(TWide.Load(x + i), s, weight, bias, i).Store(y + i);
        if (i < length)
            WriteLast<TWide>(x, y, i, length, s, weight, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteLast<TWide>(double* x, double* y, long i, long length, RowStatistics s, double* weight, double* bias)
        where TWide : struct, IWide<TWide>
    {
        var last = stackalloc double[Lanes.Count];
        Copy(x + i, last, length - i);
        Normalized(TWide.Load(last), s, weight, bias, i).Store(last);
        Copy(last, y + i, length - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Normalized<TWide>(TWide x, RowStatistics s, double* weight, double* bias, long i)
        where TWide : struct, IWide<TWide>
    {
        var v = TFormula.Center(x, s) * (s.Inverse, s.InverseLow);
        if (weight is not null)
            v *= TWide.Load(weight + i);
        v = v.Shifted(s.Unit);
        return bias is null ? v.Rounded() : v.Plus(TWide.Load(bias + i));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Project<TWide>(double* x, double* go, long length, RowStatistics s, double* weight, double* sums, double* dots)
        where TWide : struct, IWide<TWide>
    {
        var whole = length & -Lanes.Count;
        var last = stackalloc double[2 * Lanes.Count];
        Copy(x + whole, last, length - whole);
        Copy(go + whole, last + Lanes.Count, length - whole);
        for (var lane = 0; lane < Lanes.Count; lane += TWide.Count)
        {
            TWide sum = default, sumLost = default, dot = default, dotLost = default;
            if (whole + lane < length)
                AddProjection(TWide.Load(last + lane), TWide.Load(last + Lanes.Count + lane), s, weight, whole + lane, ref sum, ref sumLost, ref dot, ref dotLost);
            for (long i = lane; i < whole; i += Lanes.Count)
                AddProjection(TWide.Load(x + i), TWide.Load(go + i), s, weight, i, ref sum, ref sumLost, ref dot, ref dotLost);
            sum.Store(sums + lane);
            sumLost.Store(sums + Lanes.Count + lane);
            dot.Store(dots + lane);
            dotLost.Store(dots + Lanes.Count + lane);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddProjection<TWide>(TWide x, TWide go, RowStatistics s, double* weight, long i, ref TWide sum, ref TWide sumLost, ref TWide dot, ref TWide dotLost)
        where TWide : struct, IWide<TWide>
    {
        var (v, g) = (TFormula.Centered(x, s), go);
        if (weight is not null)
        {
            var w = TWide.Load(weight + i);
            g = go * w;
            dotLost += TWide.Loss(go, w, g) * v;
        }
        if (TFormula.Centers)
            Sum.Add(ref sum, ref sumLost, g);
        var product = g * v;
        dotLost += TWide.Loss(g, v, product);
        Sum.Add(ref dot, ref dotLost, product);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteGradient<TWide>(
        double* x, double* go, double* gx, long length, RowStatistics s, Loss lost, double* weight, double weightUnit, double* weightSums, double* biasSums, Destination destination)
        where TWide : struct, IWide<TWide>
    {
        var (i, padded) = (0L, Lanes.Padded(length));
        for (; i <= length - TWide.Count; i += TWide.Count)
        {
            var (v, g) = (TWide.Load(x + i), TWide.Load(go + i));
            AddToSums(v, g, s, weightUnit, weightSums, biasSums, padded, i);
            if (gx is null)
                continue;
            var gradient = Gradient(v, g, s, lost, weight, i);
            if (destination == Destination.Memory)
                gradient.Stream(gx + i);
            else
                gradient.Store(gx + i);
        }
        if (i < length)
            WriteLastGradient<TWide>(x, go, gx, i, length, s, lost, weight, weightUnit, weightSums, biasSums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteLastGradient<TWide>(
        double* x, double* go, double* gx, long i, long length, RowStatistics s, Loss lost, double* weight, double weightUnit, double* weightSums, double* biasSums)
        where TWide : struct, IWide<TWide>
    {
        double* last = stackalloc double[Lanes.Count], lastGo = stackalloc double[Lanes.Count];
        Copy(x + i, last, length - i);
        Copy(go + i, lastGo, length - i);
        var (v, g) = (TWide.Load(last), TWide.Load(lastGo));
        AddToSums(v, g, s, weightUnit, weightSums, biasSums, Lanes.Padded(length), i);
        if (gx is null)
            return;
        Gradient(v, g, s, lost, weight, i).Store(last);
        Copy(last, gx + i, length - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Gradient<TWide>(TWide x, TWide go, RowStatistics s, Loss lost, double* weight, long i)
        where TWide : struct, IWide<TWide>
    {
        var g = weight is null ? new(go, default) : Pair<TWide>.Product(go, TWide.Load(weight + i));
        var left = g.High;
        if (TFormula.Centers)
            left -= TWide.Create(lost.Mean);
        left -= TFormula.Centered(x, s) * TWide.Create(lost.Along);
        return (new Pair<TWide>(left, g.Low) * (s.Inverse, s.InverseLow)).Shifted(s.Scale * s.Unit).Rounded();
    }

    /// <summary>The parameters' gradients are sums over the rows, of <c>go · x̂</c> and of <c>go</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddToSums<TWide>(TWide x, TWide go, RowStatistics s, double weightUnit, double* weightSums, double* biasSums, long padded, long i)
        where TWide : struct, IWide<TWide>
    {
        if (weightSums is not null)
        {
            var term = (TFormula.Center(x, s) * (s.Inverse, s.InverseLow)).Shifted(s.Unit * weightUnit) * go;
            AddAt(weightSums + i, padded, term.High, term.Low);
        }
        if (biasSums is not null)
            AddAt(biasSums + i, padded, go, default);
    }

    /// <summary>Adds to running sums in memory, behind which lie those of what they lost.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddAt<TWide>(double* sums, long padded, TWide value, TWide low)
        where TWide : struct, IWide<TWide>
    {
        TWide sum = TWide.Load(sums), lost = TWide.Load(sums + padded);
        Sum.Add(ref sum, ref lost, value);
        sum.Store(sums);
        (lost + low).Store(sums + padded);
    }

    private static void Copy(double* from, double* to, long count) => Unsafe.CopyBlockUnaligned(to, from, (uint)(count * sizeof(double)));
}
