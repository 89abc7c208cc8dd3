using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What normalising a row needs to know about it.</summary>
/// <param name="Inverse">What the row is multiplied by.</param>
/// <param name="Center">What is subtracted before. A formula that subtracts nothing keeps its own here.</param>
/// <param name="CenterLow">What <paramref name="Center"/> lost by rounding.</param>
/// <param name="Scale">A power of two that keeps squares in range, by which the row is multiplied first; float64 rows only.</param>
/// <param name="Square">One over the square of <paramref name="Inverse"/>, without its roundings; float64 rows only.</param>
/// <param name="InverseLow">What <paramref name="Inverse"/> lost by rounding; float64 rows only.</param>
/// <param name="Unit">A power of two that the scaled row is multiplied by last, so that nothing between is subnormal; float64 rows only.</param>
internal readonly record struct RowStatistics(
    double Inverse, double Center, double CenterLow = 0, double Scale = 1, double Square = 0, double InverseLow = 0, double Unit = 1)
{
    /// <summary>2⁻⁵⁰: more than what rounding leaves of a difference between ones.</summary>
    private const double SmallestSquare = 1.0 / (1L << 50);

    /// <summary>2⁻¹⁰⁴, the square of a unit of float64 in the last place of the spread.</summary>
    private const double NegligibleSquare = 1.0 / (1L << 52) / (1L << 52);

    /// <summary>How many numbers are kept of each row for the backward pass: first one of all rows, then the next of all rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Kept<T>()
        where T : IElement => T.IsSingle ? 3 : 7;

    /// <summary>What is kept of a row of float64.</summary>
    /// <param name="from">The row's first number.</param>
    /// <param name="rows">How many there are.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe RowStatistics Load(double* from, long rows) =>
        new(from[0], from[rows], from[2 * rows], from[3 * rows], from[4 * rows], from[5 * rows], from[6 * rows]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public unsafe void Store<T>(double* to, long rows)
        where T : IElement
    {
        (to[0], to[rows], to[2 * rows]) = (Inverse, Center, CenterLow);
        if (!T.IsSingle)
            (to[3 * rows], to[4 * rows], to[5 * rows], to[6 * rows]) = (Scale, Square, InverseLow, Unit);
    }

    /// <summary>Without <see cref="CenterLow"/>, where the values' spread is so much larger that neither a value less the center nor a gradient shows it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public RowStatistics WithoutHiddenLow(double eps) =>
        this with { CenterLow = WithoutHidden(Vector256.CreateScalarUnsafe(CenterLow), Vector256.CreateScalarUnsafe(Inverse), eps).ToScalar() };

    /// <summary>The same of four rows: what is left of their <see cref="CenterLow"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> WithoutHidden(Vector256<double> centerLow, Vector256<double> inverse, double eps)
    {
        var low = centerLow * inverse; // of the spread, as its square; where that is lost beside eps, not above zero
        var square = Vector256<double>.One - (Vector256.Create(eps) * inverse * inverse) - Vector256.Create(SmallestSquare);
        return centerLow & Vector256.GreaterThan(low * low, square * Vector256.Create(NegligibleSquare));
    }

    /// <summary>Of a row without spread, or one so small that only eps divides it.</summary>
    public static RowStatistics OfEps((double value, double lost) inverse, double center, double centerLow, double scale)
    {
        var power = scale > 1 ? Math.ScaleB(1, -Math.Max(0, Math.ILogB(inverse.value))) : 1;
        return new(inverse.value * power, center, centerLow, scale, double.PositiveInfinity, inverse.lost * power, 1 / scale / power);
    }
}

/// <summary>What the gradient of a row of float64 loses to its statistics: <c>mean(w·go)</c>, and so many times the centered row.</summary>
internal struct Loss
{
    public double Mean;
    public double Along;
}

/// <summary>A normalisation of rows: <c>y = x̂ · weight + bias</c>. Only what differs between them.</summary>
internal unsafe interface IRowFormula
{
    /// <summary>Whether a row's mean is subtracted, so that the mean of the incoming gradient plays a part in the gradient.</summary>
    public static abstract bool Centers { get; }

    public static abstract void Measure(Row<Float32> x, double eps, RowStatistics* to);

    /// <summary>Up to four rows of float64: their divisions and roots are taken together.</summary>
    public static abstract void MeasureFour(double** x, int count, long length, double eps, RowStatistics* to);

    /// <summary>The factor, for four rows, from the mean squares about the center.</summary>
    public static abstract Vector256<double> Inverse(Vector256<double> meanSquare, double eps);

    /// <summary><c>x̂</c> without the factor, of values that float64 has digits to spare for.</summary>
    public static abstract Lanes Center(Lanes x, RowStatistics s);

    /// <summary>The same of float64 values,</summary>
    public static abstract TWide Centered<TWide>(TWide x, RowStatistics s)
        where TWide : struct, IWide<TWide>;

    /// <summary>and with what the center lost.</summary>
    public static abstract Pair<TWide> Center<TWide>(TWide x, RowStatistics s)
        where TWide : struct, IWide<TWide>;

    /// <summary>Whether the statistics depend on the row, so that a gradient flows through them.</summary>
    public static abstract bool FlowsThrough(RowStatistics s, double eps);
}

/// <summary>Forward and backward of an <see cref="IRowFormula"/>, whatever the dtypes, strides, sizes and threads.</summary>
internal static unsafe class RowNormalization<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>At most so many rows are measured before the first is written: their divisions and roots need not wait for each other.</summary>
    public const int RowsTogether = 8;

    /// <summary>2³²: of a weight whose magnitudes are further from each other, or of which some are zero, the largest result may be one that float32 has no digits for.</summary>
    private const double MostRatio = 1L << 32;

    /// <summary>So many rows stay in the nearest cache until they are written.</summary>
    /// <param name="length">Of a row.</param>
    public static int Together(long length) => length <= 256 ? RowsTogether : length <= 1024 ? 4 : 1;

    /// <summary>How many numbers are kept of all rows for <see cref="Backward"/>.</summary>
    public static long Keeps(Tensor x, long length) => x.numel() / length * x.dtype switch
    {
        ScalarType.Float64 => RowStatistics.Kept<Float64>(),
        _ => SingleGradients<TFormula>.MeasuresAgain ? 0 : RowStatistics.Kept<Float32>(),
    };

    /// <summary>The normalised rows.</summary>
    public static Tensor Forward(Inputs inputs, long length, double eps) => inputs.X.dtype switch
    {
        ScalarType.Float64 => Forward<Float64>(inputs, length, eps),
        _ => Forward<Float32>(inputs, length, eps),
    };

    /// <summary>The gradients that are wanted, the others null.</summary>
    public static Gradients Backward(Inputs inputs, Tensor gradOutput, long length, double eps, Wanted wanted) => inputs.X.dtype switch
    {
        ScalarType.Float64 => Backward<Float64>(inputs, gradOutput, length, eps, wanted),
        _ => Backward<Float32>(inputs, gradOutput, length, eps, wanted),
    };

    private static Tensor Forward<T>(Inputs inputs, long length, double eps)
        where T : IElement
    {
        var (x, weight, bias, _, _, kept) = inputs;
        var output = Memory.Like(x);
        var rows = new Rows(ref x, length);
        using var w = Doubles.Of(weight, length);
        using var b = Doubles.Of(bias, length);
        var blocks = new Blocks(rows.Count, length);
        var work = new ForwardWork<T>
        {
            X = rows,
            Y = Memory.Start(output),
            Statistics = kept.At,
            Weight = w.At,
            Bias = b.At,
            Eps = eps,
            Destination = T.IsSingle && !rows.IsHalf ? Memory.DestinationOf(Memory.Start(output), length * T.Size, rows.Count, inputs.IsTraining) : default,
            Blocks = blocks,
        };
        var isSingle = T.IsSingle && length >= SingleRows<TFormula>.Shortest;
        using var singleWeight = isSingle ? new SingleParameter(w, length) : default;
        using var singleBias = isSingle ? new SingleParameter(b, length) : default;
        var isSmall = singleBias.IsSmallBeside(singleWeight);
        if (isSingle && (isSmall || TFormula.Centers))
            Workers.Run(
                new SingleForwardWork<TFormula>
                {
                    Wide = Unsafe.As<ForwardWork<T>, ForwardWork<Float32>>(ref work),
                    LeastSquare = !isSmall || singleBias.IsZero ? SingleRows<TFormula>.LeastSquare : Math.Max(SingleRows<TFormula>.LeastSquare, eps), // below eps all that is left may be less than the bias
                    Ratio = singleWeight.Ratio,
                    IsInSingle = isSmall && singleWeight.Fits && singleWeight.Ratio < MostRatio && singleBias.Fits,
                    Weight = singleWeight.At,
                    Bias = singleBias.At,
                },
                blocks.Count,
                rows.Count * length);
        else
            Workers.Run(work, blocks.Count, rows.Count * length);
        GC.KeepAlive(x);
        return output;
    }

    private static Gradients Backward<T>(Inputs inputs, Tensor gradOutput, long length, double eps, Wanted wanted)
        where T : IElement
    {
        var (x, weight, _, _, _, kept) = inputs;
        var gradX = wanted.X ? Memory.Like(x) : null;
        var rows = new Rows(ref x, length);
        var gradRows = new Rows(ref gradOutput, length);
        using var w = Doubles.Of(weight, length);
        var blocks = new Blocks(rows.Count, length, least: 64);
        var sums = Doubles.Padded<T>(length);
        using var singleWeight = T.IsSingle && gradX is not null && length >= SingleGradients<TFormula>.Shortest ? new SingleParameter(w, length) : default;
        using var weightSums = wanted.Weight is null ? default : new Doubles(sums * blocks.Count);
        using var biasSums = wanted.Bias is null ? default : new Doubles(sums * blocks.Count);
        var work = new BackwardWork<T>
        {
            X = rows,
            GradOutput = gradRows,
            GradX = gradX is null ? null : Memory.Start(gradX),
            Statistics = kept.At,
            Weight = w.At,
            SingleWeight = singleWeight,
            WeightSums = weightSums.At,
            BiasSums = biasSums.At,
            WeightUnit = WeightUnit<T>(kept.At, rows.Count),
            Eps = eps,
            Destination = !rows.IsHalf && gradX is not null ? Memory.DestinationOf(Memory.Start(gradX), length * T.Size, rows.Count, isTraining: true) : default,
            Blocks = blocks,
        };
        Workers.Run(work, blocks.Count, rows.Count * length);
        if (work.WeightUnit != 1 && !weightSums.AreFinite())
        {
            work.WeightUnit = 1;
            Workers.Run(work, blocks.Count, rows.Count * length);
        }
        GC.KeepAlive(x);
        GC.KeepAlive(gradOutput);
        return new(gradX, Sum.Combined<T>(weightSums, blocks.Count, length, wanted.Weight, 1 / work.WeightUnit), Sum.Combined<T>(biasSums, blocks.Count, length, wanted.Bias));
    }

    /// <summary><c>v · weight + bias</c>, of those that are there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Affine(Lanes v, double* weight, double* bias, long i)
    {
        if (weight is not null)
            v *= Lanes.Load(weight + i);
        if (bias is not null)
            v += Lanes.Load(bias + i);
        return v;
    }

    /// <summary>What the sums of a weight's gradient are multiplied by: where only eps divides all rows, which may be so small that the terms are subnormal, a power of two that leaves the terms their digits.</summary>
    private static double WeightUnit<T>(double* statistics, long rows)
        where T : IElement
    {
        if (T.IsSingle)
            return 1;
        for (long row = 0; row < rows; row++)
        {
            var s = RowStatistics.Load(statistics + row, rows);
            if (s.Square is not (0 or double.PositiveInfinity) || s.Unit > Math.ScaleB(1, 100))
                return 1;
        }
        return Math.ScaleB(1, 200);
    }

    public struct ForwardWork<T> : IWork
        where T : IElement
    {
        public Rows X;
        public byte* Y;
        public double* Statistics;
        public double* Weight;
        public double* Bias;
        public double Eps;
        public Destination Destination; // of float32 only
        public Blocks Blocks;

        public readonly void Run(long block)
        {
            var (first, end) = (Blocks.First(block), Blocks.End(block));
            var together = (int)Math.Min(Together(X.Length), end - first);
            using var tile = new Tile(X, Y, together, end);
            for (; first < end; first += together)
                WriteRows(first, (int)Math.Min(together, end - first), tile);
        }

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void WriteRows(long first, int count, in Tile tile)
        {
            var length = X.Length;
            var statistics = stackalloc RowStatistics[RowsTogether];
            var x = stackalloc byte*[RowsTogether];
            var xEnd = X.Read(first, count, x, tile.Widened);
            byte* y = tile.Start(first), yEnd = tile.End;
            for (var r = 0; !T.IsSingle && r < count; r += FourWide.Count)
                TFormula.MeasureFour((double**)x + r, Math.Min(FourWide.Count, count - r), length, Eps, statistics + r);
            for (var r = 0; T.IsSingle && r < count; r++)
                TFormula.Measure(new(x[r], length, xEnd), Eps, statistics + r);
            for (var r = 0; r < count; r++)
                Write(new(x[r], length, xEnd), new(y + (r * length * T.Size), length, yEnd), statistics + r);
            tile.Write(first, count);
            if (Statistics is null)
                return;
            for (var r = 0; r < count; r++)
                Keep(first + r, statistics[r]);
        }

        /// <summary>One row of float32, and its statistics where they are asked for.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        public readonly void WriteRow(long row, byte* x, byte* xEnd, byte* y)
        {
            RowStatistics statistics;
            TFormula.Measure(new(x, X.Length, xEnd), Eps, &statistics);
            if (Statistics is not null)
                Keep(row, statistics);
            Write(new(x, X.Length, xEnd), new(y, X.Length, y + (X.Length * T.Size)), &statistics);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void Keep(long row, RowStatistics s) => (T.IsSingle ? s.WithoutHiddenLow(Eps) : s).Store<T>(Statistics + row, X.Count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void Write(Row<T> x, Row<T> y, RowStatistics* s)
        {
            if (T.IsSingle)
                Write(x, y, s->Inverse, s->Center, s->CenterLow, Weight, Bias);
            else
                DoubleRows<TFormula>.Write((double*)x.Start, (double*)y.Start, x.Length, *s, Weight, Bias);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void Write(Row<T> x, Row<T> y, double inverse, double center, double centerLow, double* weight, double* bias)
        {
            var s = new RowStatistics(inverse, center, centerLow);
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
                y.Set(i, Normalized(x[i], s, weight, bias, i));
            if (i < x.Length)
                y.SetTail(Normalized(x.Tail, s, weight, bias, i));
        }

        /// <summary><c>y = x̂ · weight + bias</c>.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Lanes Normalized(Lanes x, RowStatistics s, double* weight, double* bias, long i) =>
            Affine(TFormula.Center(x, s) * s.Inverse, weight, bias, i);
    }

    public struct BackwardWork<T> : IWork
        where T : IElement
    {
        public Rows X;
        public Rows GradOutput;
        public byte* GradX;
        public double* Statistics;
        public double* Weight;
        public SingleParameter SingleWeight;
        public double* WeightSums;
        public double* BiasSums;
        public double WeightUnit;
        public double Eps;
        public Destination Destination;
        public Blocks Blocks;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long block)
        {
            var sums = Doubles.Padded<T>(X.Length);
            var weightSums = Sum.Cleared(WeightSums, block, sums);
            var biasSums = Sum.Cleared(BiasSums, block, sums);
            var (first, end) = (Blocks.First(block), Blocks.End(block));
            var together = (int)Math.Min(T.IsSingle ? GradientStatistics.Together(X.Length) : Together(X.Length), end - first);
            using var tile = new Tile(X, GradX, together, end, inputs: 2);
            for (; first < end; first += together)
            {
                var count = (int)Math.Min(together, end - first);
                if (T.IsSingle)
                    Write(first, count, tile, weightSums, biasSums);
                else
                    WriteDoubles(first, count, GradX is null ? null : (double*)GradX + (first * X.Length), weightSums, biasSums);
            }
            if (Destination == Destination.Memory)
                Memory.Fence();
        }

        /// <summary>Gradients of the input and the parameters, or of the parameters alone.</summary>
        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Write(long first, int count, in Tile tile, double* weightSums, double* biasSums)
        {
            var length = X.Length;
            byte** x = stackalloc byte*[GradientStatistics.Most], go = stackalloc byte*[GradientStatistics.Most];
            var xEnd = X.Read(first, count, x, tile.Widened);
            var goEnd = GradOutput.Read(first, count, go, tile.Widened + (count * length));
            var rows = new GradientRows(x, xEnd, go, goEnd, count, length);
            GradientStatistics statistics;
            if (SingleGradients<TFormula>.MeasuresAgain)
                SingleGradients<TFormula>.Measure(rows, Eps, &statistics);
            else
                statistics.Set(Statistics + first, X.Count, count);
            RowGradients<TFormula>.Reduce(rows, Weight, Eps, &statistics, weightSums, biasSums, GradX is not null);
            if (GradX is null)
                return;
            byte* gx = tile.Start(first), gxEnd = tile.End;
            if (SingleWeight.Fits)
            {
                SingleGradients<TFormula>.Write(rows, (float*)gx, (float*)gxEnd, &statistics, Weight, SingleWeight, Destination);
            }
            else
            {
                for (var r = 0; r < count; r++, gx += length * sizeof(float))
                    RowGradients<TFormula>.WriteRow(rows.X(r), rows.GradOutput(r), new(gx, length, gxEnd), &statistics, r, Weight);
            }
            tile.Write(first, count);
        }

        /// <summary>The same of rows of float64.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void WriteDoubles(long first, int count, double* gx, double* weightSums, double* biasSums)
        {
            var length = X.Length;
            double** x = stackalloc double*[RowsTogether], go = stackalloc double*[RowsTogether];
            X.Starts(first, count, (byte**)x);
            GradOutput.Starts(first, count, (byte**)go);
            var statistics = stackalloc RowStatistics[RowsTogether];
            for (var r = 0; r < count; r++)
                statistics[r] = At(first + r);
            var lost = stackalloc Loss[RowsTogether];
            for (var r = 0; gx is not null && r < count; r += FourWide.Count)
                DoubleRows<TFormula>.Project(x + r, go + r, Math.Min(FourWide.Count, count - r), length, statistics + r, Weight, Eps, lost + r);
            for (var r = 0; r < count; r++)
                DoubleRows<TFormula>.WriteGradient(x[r], go[r], gx is null ? null : gx + (r * length), length, statistics[r], lost[r], Weight, WeightUnit, weightSums, biasSums, Destination);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly RowStatistics At(long row) => RowStatistics.Load(Statistics + row, X.Count);
    }
}
