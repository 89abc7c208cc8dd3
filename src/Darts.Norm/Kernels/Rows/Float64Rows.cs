using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Rows of float64 values. There are no digits to spare: what a multiplication or an addition loses is carried along.</summary>
/// <remarks>The last values of a row, where they don't fill a vector, are copied to memory that is zero beyond them.</remarks>
internal static unsafe class Float64Rows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>2³², more than the root of any length. With a scale larger by this, small values beside large ones lose no more to it than to the inverse.</summary>
    private const double Room = 1L << 32;

    /// <summary>Measures up to four rows: their divisions and roots are taken together.</summary>
    public static void Measure(double** x, int count, long length, double eps, RowStatistics* to)
    {
        var meanSquares = stackalloc double[4];
        Measure(x, count, length, eps, 1, meanSquares, to);
        for (var r = 0; r < count; r++)
        {
            // A small mean square is no fault where eps outweighs it, unless the values are so small that their mean has lost digits too.
            var isOfEps = TFormula.Centers && meanSquares[r] < 1 && eps > Magnitude.LeastEps && Math.Abs(to[r].Center) > Magnitude.LeastSquare;
            if (!Magnitude.HoldsSquares(meanSquares[r]) && !isOfEps)
                MeasureInRange(x + r, length, eps, to + r);
        }
    }

    /// <summary><c>y = x̂ · weight + bias</c>.</summary>
    public static void Write(double* x, double* y, long length, RowStatistics s, double* weight, double* bias)
    {
        if (Vector512.IsHardwareAccelerated)
            Write<Float64x8>(x, y, length, s, weight, bias);
        else
            Write<Float64x4>(x, y, length, s, weight, bias);
    }

    /// <summary>Computes the <see cref="Projection"/> of up to four rows.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Project(double** x, double** go, int count, long length, RowStatistics* statistics, double* weight, double eps, Projection* to)
    {
        double* sums = stackalloc double[4 * Float64Moments.Room], dots = stackalloc double[4 * Float64Moments.Room], inverses = stackalloc double[8], centers = stackalloc double[4], totals = stackalloc double[20];
        for (var r = 0; r < count; r++)
        {
            double* rowSums = sums + (r * Float64Moments.Room), rowDots = dots + (r * Float64Moments.Room);
            if (Vector512.IsHardwareAccelerated)
                Project<Float64x8>(x[r], go[r], length, statistics[r], weight, rowSums, rowDots);
            else
                Project<Float64x4>(x[r], go[r], length, statistics[r], weight, rowSums, rowDots);
            centers[r] = statistics[r].Center;
            (inverses[r], inverses[4 + r]) = statistics[r].Square < double.PositiveInfinity ? (statistics[r].Inverse, statistics[r].InverseLow) : default;
        }
        var n = Float64x4.Create(length);
        var inverse = new Pair<Float64x4>(Float64x4.Load(inverses), Float64x4.Load(inverses + 4));
        var mean = TFormula.Centers ? Pair.Divide(Float64Moments.Totals(sums), n) : default;
        var hat = Pair.Divide(Float64Moments.Totals(dots), n) * inverse; // mean(w·go · x̂)
        var (along, flows) = (hat * inverse, new Float64x4(TFormula.FlowsThrough(Vector256.Load(centers), eps)));
        mean.High.Store(totals);
        mean.Low.Store(totals + 4);
        Float64x4.Select(flows, along.High, default).Store(totals + 8);
        Float64x4.Select(flows, along.Low, default).Store(totals + 12);
        hat.High.Store(totals + 16);
        for (var r = 0; r < count; r++)
        {
            to[r] = new() { Mean = totals[r], MeanLow = totals[4 + r], Along = totals[8 + r], AlongLow = totals[12 + r] };
            // The largest w·go is no smaller than its means. Where terms cancel it may be much larger, which matters only where the row has a scale.
            if (!Magnitude.HoldsProducts(Math.Abs(totals[r]) + Math.Abs(totals[16 + r])) || statistics[r].Scale != 1)
                to[r].Exponent = Magnitude.ExponentOfProducts(go[r], weight, length);
        }
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c>, if it is asked for, and the row's part of the parameters' gradients.</summary>
    public static void WriteGradient(
        double* x, double* go, double* gx, long length, RowStatistics s, Projection lost, double* weight, double eps, double weightUnit, double* weightSums, double* biasSums, Destination destination)
    {
        if (gx is not null && lost.Exponent != 0)
        {
            WriteScaledGradient(x, go, gx, length, s, lost.Exponent, weight, eps);
            gx = null;
        }
        if (Vector512.IsHardwareAccelerated)
            WriteGradient<Float64x8>(x, go, gx, length, s, lost, weight, weightUnit, weightSums, biasSums, destination);
        else
            WriteGradient<Float64x4>(x, go, gx, length, s, lost, weight, weightUnit, weightSums, biasSums, destination);
    }

    /// <summary>Writes the gradient of a row whose <c>w·go</c> are out of range: they are divided by a power of two, and the gradient multiplied by it at the end.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WriteScaledGradient(double* x, double* go, double* gx, long length, RowStatistics s, int exponent, double* weight, double eps)
    {
        using var scaled = new Float64Buffer(length);
        using var near = weight is null ? default : new Float64Buffer(length); // the weight's values, between one and two each
        for (var i = length; i < near.Length; i++)
            near.At[i] = 0;
        for (long i = 0; i < length; i++)
        {
            var power = weight is null || weight[i] == 0 ? 0 : Math.ILogB(weight[i]);
            scaled.At[i] = weight is null || weight[i] != 0 ? Math.ScaleB(go[i], power - exponent) : 0;
            if (weight is not null)
                near.At[i] = Math.ScaleB(weight[i], -power);
        }
        var shift = exponent + Math.ILogB(s.Scale) + Math.ILogB(s.Unit);
        s = s with { Unit = 1 / s.Scale };
        var from = scaled.At;
        Projection lost;
        Project(&x, &from, 1, length, &s, near.At, eps, &lost);
        WriteGradient(x, from, gx, length, s, lost, near.At, eps, 1, null, null, Destination.Caches);
        for (long i = 0; i < length; i++)
            gx[i] = Math.ScaleB(gx[i], shift);
    }

    /// <summary>Measures rows times a scale. <paramref name="eps"/> is scaled already.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Measure(double** x, int count, long length, double eps, double scale, double* meanSquares, RowStatistics* to)
    {
        var sums = stackalloc double[4 * Float64Moments.Room];
        double* means = stackalloc double[4], lows = stackalloc double[4], squares = stackalloc double[4], inverses = stackalloc double[4], inverseLows = stackalloc double[4];
        var (n, mean) = (Float64x4.Create(length), default(Pair<Float64x4>));
        if (TFormula.Centers)
        {
            for (var r = 0; r < count; r++)
                Float64Moments.AddValues(x[r], length, scale, sums + (r * Float64Moments.Room));
            mean = Pair.Divide(Float64Moments.Totals(sums), n);
        }
        mean.High.Store(means);
        mean.Low.Store(lows);
        for (var r = 0; r < count; r++)
            Float64Moments.AddSquares<TFormula>(x[r], length, scale, means[r], sums + (r * Float64Moments.Room));
        var meanSquare = Pair.Divide(Float64Moments.Totals(sums), n);
        if (TFormula.Centers)
            meanSquare = Pair.LessSquare(meanSquare, mean.Low); // the center was the mean without it
        var square = TFormula.Square(meanSquare, eps);
        var root = Pair.Root(square);
        var inverse = Pair.Inverse(TFormula.Divisor(root, eps));
        if (!TFormula.Centers)
            (root.High * Float64x4.Create(1 / scale)).Store(means);
        meanSquare.High.Store(meanSquares);
        square.High.Store(squares);
        inverse.High.Store(inverses);
        inverse.Low.Store(inverseLows);
        for (var r = 0; r < count; r++)
            to[r] = new(inverses[r], means[r], lows[r], scale, squares[r], inverseLows[r]);
    }

    /// <summary>Measures a row whose squares overflow or vanish, times a scale.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MeasureInRange(double** x, long length, double eps, RowStatistics* to)
    {
        var largest = Magnitude.Largest(*x, length);
        var isOfEps = largest == 0 && Magnitude.Divisor(eps) == eps; // else a scale brings eps in range
        if (isOfEps && TFormula.Centers)
            *to = RowStatistics.OfEps((to->Inverse, to->InverseLow), 0, 0, scale: 1);
        if (isOfEps || !double.IsFinite(largest))
            return; // a scale changes nothing
        var divisor = TFormula.Divisor(Pair.Root(TFormula.Square(default, eps)), eps);
        var vanishes = Magnitude.Vanishes(largest, divisor.High.First);
        var scale = Magnitude.Scale(vanishes ? largest : Math.Max(largest, divisor.High.First));
        if (!TFormula.Centers && scale < 1)
            scale *= Room;
        var meanSquares = stackalloc double[4];
        Measure(x, 1, length, TFormula.Scaled(eps, scale), scale, meanSquares, to);
        if (!vanishes && !(TFormula.Centers && meanSquares[0] == 0))
            return;
        var inverse = Pair.Inverse(divisor);
        *to = RowStatistics.OfEps((inverse.High.First, inverse.Low.First), to->Center, to->CenterLow, scale);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Write<TVector>(double* x, double* y, long length, RowStatistics s, double* weight, double* bias)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var i = 0L;
        for (; i <= length - TVector.Count; i += TVector.Count)
            Normalized(TVector.Load(x + i), s, weight, bias, i).Store(y + i);
        if (i < length)
            WriteLast<TVector>(x, y, i, length, s, weight, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteLast<TVector>(double* x, double* y, long i, long length, RowStatistics s, double* weight, double* bias)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var last = stackalloc double[Lanes.Count];
        Copy(x + i, last, length - i);
        Normalized(TVector.Load(last), s, weight, bias, i).Store(last);
        Copy(last, y + i, length - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Normalized<TVector>(TVector x, RowStatistics s, double* weight, double* bias, long i)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var v = TFormula.Center(x, s) * (s.Inverse, s.InverseLow);
        if (weight is not null)
            v *= TVector.Load(weight + i);
        v = v.Shifted(s.Unit);
        return bias is null ? v.Rounded() : v.Plus(TVector.Load(bias + i));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Project<TVector>(double* x, double* go, long length, RowStatistics s, double* weight, double* sums, double* dots)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var whole = length & -Lanes.Count;
        var last = stackalloc double[2 * Lanes.Count];
        Copy(x + whole, last, length - whole);
        Copy(go + whole, last + Lanes.Count, length - whole);
        for (var lane = 0; lane < Lanes.Count; lane += TVector.Count)
        {
            TVector sum = default, sumLost = default, dot = default, dotLost = default;
            if (whole + lane < length)
                AddProjection(TVector.Load(last + lane), TVector.Load(last + Lanes.Count + lane), s, weight, whole + lane, ref sum, ref sumLost, ref dot, ref dotLost);
            for (long i = lane; i < whole; i += Lanes.Count)
                AddProjection(TVector.Load(x + i), TVector.Load(go + i), s, weight, i, ref sum, ref sumLost, ref dot, ref dotLost);
            sum.Store(sums + lane);
            sumLost.Store(sums + Lanes.Count + lane);
            dot.Store(dots + lane);
            dotLost.Store(dots + Lanes.Count + lane);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddProjection<TVector>(TVector x, TVector go, RowStatistics s, double* weight, long i, ref TVector sum, ref TVector sumLost, ref TVector dot, ref TVector dotLost)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var v = TFormula.Center(x, s);
        var g = weight is null ? new(go, default) : Pair<TVector>.Product(go, TVector.Load(weight + i));
        var product = g.High * v.High;
        var lost = TVector.Loss(g.High, v.High, product);
        if (weight is not null)
            lost += g.Low * v.High;
        if (TFormula.Centers)
        {
            lost += g.High * v.Low;
            var total = Pair<TVector>.Sum(sum, g.High);
            sum = total.High;
            sumLost += total.Low + g.Low;
        }
        var along = Pair<TVector>.Sum(dot, product);
        dot = along.High;
        dotLost += along.Low + lost;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteGradient<TVector>(
        double* x, double* go, double* gx, long length, RowStatistics s, Projection lost, double* weight, double weightUnit, double* weightSums, double* biasSums, Destination destination)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var (i, padded) = (0L, Lanes.Padded(length));
        for (; i <= length - TVector.Count; i += TVector.Count)
        {
            var (v, g) = (TFormula.Center(TVector.Load(x + i), s), TVector.Load(go + i));
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
            WriteLastGradient<TVector>(x, go, gx, i, length, s, lost, weight, weightUnit, weightSums, biasSums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteLastGradient<TVector>(
        double* x, double* go, double* gx, long i, long length, RowStatistics s, Projection lost, double* weight, double weightUnit, double* weightSums, double* biasSums)
        where TVector : struct, IFloat64Vector<TVector>
    {
        double* last = stackalloc double[Lanes.Count], lastGo = stackalloc double[Lanes.Count];
        Copy(x + i, last, length - i);
        Copy(go + i, lastGo, length - i);
        var (v, g) = (TFormula.Center(TVector.Load(last), s), TVector.Load(lastGo));
        AddToSums(v, g, s, weightUnit, weightSums, biasSums, Lanes.Padded(length), i);
        if (gx is null)
            return;
        Gradient(v, g, s, lost, weight, i).Store(last);
        Copy(last, gx + i, length - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Gradient<TVector>(Pair<TVector> v, TVector go, RowStatistics s, Projection lost, double* weight, long i)
        where TVector : struct, IFloat64Vector<TVector>
    {
        var g = weight is null ? new(go, default) : Pair<TVector>.Product(go, TVector.Load(weight + i));
        var along = TVector.Create(lost.Along);
        var low = g.Low - (v.High * TVector.Create(lost.AlongLow));
        var left = g.High;
        if (TFormula.Centers)
        {
            left -= TVector.Create(lost.Mean);
            low -= TVector.Create(lost.MeanLow) + (v.Low * along);
        }
        left -= v.High * along;
        return (new Pair<TVector>(left, low) * (s.Inverse, s.InverseLow)).Rounded() * TVector.Create(s.Scale * s.Unit);
    }

    /// <summary>Adds to the parameters' gradients, the sums over the rows of <c>go · x̂</c> and of <c>go</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddToSums<TVector>(Pair<TVector> v, TVector go, RowStatistics s, double weightUnit, double* weightSums, double* biasSums, long padded, long i)
        where TVector : struct, IFloat64Vector<TVector>
    {
        if (weightSums is not null)
        {
            var term = v * (s.Inverse, s.InverseLow) * go;
            var unit = s.Unit * weightUnit;
            if (unit != 1)
                term = term.Shifted(unit); // last, so that nothing between is subnormal
            Sum.AddAt(weightSums + i, padded, term.High, term.Low);
        }
        if (biasSums is not null)
            Sum.AddAt(biasSums + i, padded, go, default);
    }

    private static void Copy(double* from, double* to, long count) => Unsafe.CopyBlockUnaligned(to, from, (uint)(count * sizeof(double)));
}
