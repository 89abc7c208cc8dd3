using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Forward and backward of an <see cref="IRowFormula"/>, whatever the dtypes, strides, sizes and threads.</summary>
/// <param name="length">Of a row.</param>
/// <param name="eps">What keeps a division by zero away.</param>
internal abstract unsafe class RowNormalization<TFormula>(long length, double eps) : FusedOperation
    where TFormula : IRowFormula
{
    /// <summary>At most so many rows are measured before the first is written: their divisions and roots need not wait for each other.</summary>
    public const int RowsTogether = 8;

    /// <summary>2³²: of a weight whose magnitudes are further from each other, or of which some are zero, the largest result may be one that float32 has no digits for.</summary>
    private const double MostRatio = 1L << 32;

    /// <summary>So many rows stay in the nearest cache until they are written.</summary>
    /// <param name="length">Of a row.</param>
    public static int Together(long length) => length <= 256 ? RowsTogether : length <= 1024 ? 4 : 1;

    protected long Length => length;

    protected double Eps => eps;

    public override long Keeps(Tensor x) => x.numel() / length * x.dtype switch
    {
        ScalarType.Float64 => RowStatistics.Kept<Float64>(),
        _ => Float32Gradients<TFormula>.MeasuresAgain ? 0 : RowStatistics.Kept<Float32>(),
    };

    public override Tensor Forward(Inputs inputs) => inputs.X.dtype switch
    {
        ScalarType.Float64 => Forward<Float64>(inputs, length, eps),
        _ => Forward<Float32>(inputs, length, eps),
    };

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) => inputs.X.dtype switch
    {
        ScalarType.Float64 => Backward<Float64>(inputs, gradOutput, length, eps, wanted),
        _ => Backward<Float32>(inputs, gradOutput, length, eps, wanted),
    };

    private static Tensor Forward<T>(Inputs inputs, long length, double eps)
        where T : IElement
    {
        var (x, weight, bias, _, _, kept) = inputs;
        var output = TensorMemory.Like(x);
        var rows = new Rows(ref x, length);
        using var w = Float64Buffer.Of(weight, length);
        using var b = Float64Buffer.Of(bias, length);
        var blocks = new Blocks(rows.Count, length);
        var work = new ForwardWork<T>
        {
            X = rows,
            Y = TensorMemory.Start(output),
            Statistics = kept.At,
            Weight = w.At,
            Bias = b.At,
            Eps = eps,
            Blocks = blocks,
        };
        var isSingle = T.IsSingle && length >= Float32Rows<TFormula>.Shortest;
        using var singleWeight = isSingle ? new Float32Parameter(w, length) : default;
        using var singleBias = isSingle ? new Float32Parameter(b, length) : default;
        if (isSingle)
            Workers.Run(
                new Float32ForwardWork<TFormula>
                {
                    Wide = Unsafe.As<ForwardWork<T>, ForwardWork<Float32>>(ref work),
                    Ratio = singleWeight.Ratio,
                    IsInSingle = (singleBias.IsZero || IsSmall(singleBias, singleWeight)) && singleWeight.Fits && singleWeight.Ratio < MostRatio,
                    Weight = singleWeight.At,
                    Bias = singleBias.At,
                    LargestBias = (float)singleBias.Largest,
                    Destination = rows.IsHalf ? default : TensorMemory.DestinationOf(TensorMemory.Start(output), length * T.Size, rows.Count, inputs.IsTraining),
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
        var gradX = wanted.X ? TensorMemory.Like(x) : null;
        var rows = new Rows(ref x, length);
        var gradRows = new Rows(ref gradOutput, length);
        using var w = Float64Buffer.Of(weight, length);
        var blocks = new Blocks(rows.Count, length, least: 64);
        var sums = Float64Buffer.Padded<T>(length);
        using var singleWeight = T.IsSingle && gradX is not null && length >= Float32Gradients<TFormula>.Shortest ? new Float32Parameter(w, length, Float32Gradients<TFormula>.WeightUnit) : default;
        using var weightSums = wanted.Weight is null ? default : new Float64Buffer(sums * blocks.Count);
        using var biasSums = wanted.Bias is null ? default : new Float64Buffer(sums * blocks.Count);
        var work = new BackwardWork<T>
        {
            X = rows,
            GradOutput = gradRows,
            GradX = gradX is null ? null : TensorMemory.Start(gradX),
            Statistics = kept.At,
            Weight = w.At,
            SingleWeight = singleWeight,
            WeightSums = weightSums.At,
            BiasSums = biasSums.At,
            WeightUnit = WeightUnit<T>(kept.At, rows.Count),
            Eps = eps,
            Destination = !rows.IsHalf && gradX is not null ? TensorMemory.DestinationOf(TensorMemory.Start(gradX), length * T.Size, rows.Count, isTraining: true) : default,
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

    /// <summary>Whether what a bias leaves of a row has as many digits as the row, but for a few rows that show it. Others may leave less of any.</summary>
    private static bool IsSmall(Float32Parameter bias, Float32Parameter weight) => bias.Fits && weight.At is not null && bias.Largest <= weight.Least / 8;

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
            for (var r = 0; !T.IsSingle && r < count; r += Float64x4.Count)
                Float64Rows<TFormula>.Measure((double**)x + r, Math.Min(Float64x4.Count, count - r), length, Eps, statistics + r);
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
                Float64Rows<TFormula>.Write((double*)x.Start, (double*)y.Start, x.Length, *s, Weight, Bias);
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
        public Float32Parameter SingleWeight;
        public double* WeightSums;
        public double* BiasSums;
        public double WeightUnit;
        public double Eps;
        public Destination Destination;
        public Blocks Blocks;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long block)
        {
            var sums = Float64Buffer.Padded<T>(X.Length);
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
                TensorMemory.Fence();
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
            if (Float32Gradients<TFormula>.MeasuresAgain)
                Float32Gradients<TFormula>.Measure(rows, Eps, &statistics);
            else
                statistics.Set(Statistics + first, X.Count, count);
            RowGradients<TFormula>.Reduce(rows, Weight, Eps, &statistics, weightSums, biasSums, GradX is not null);
            if (GradX is null)
                return;
            byte* gx = tile.Start(first), gxEnd = tile.End;
            if (SingleWeight.Fits)
            {
                Float32Gradients<TFormula>.Write(rows, (float*)gx, (float*)gxEnd, &statistics, Weight, SingleWeight, Destination);
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
            var lost = stackalloc Projection[RowsTogether];
            for (var r = 0; gx is not null && r < count; r += Float64x4.Count)
                Float64Rows<TFormula>.Project(x + r, go + r, Math.Min(Float64x4.Count, count - r), length, statistics + r, Weight, Eps, lost + r);
            for (var r = 0; r < count; r++)
                Float64Rows<TFormula>.WriteGradient(x[r], go[r], gx is null ? null : gx + (r * length), length, statistics[r], lost[r], Weight, Eps, WeightUnit, weightSums, biasSums, Destination);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly RowStatistics At(long row) => RowStatistics.Load(Statistics + row, X.Count);
    }
}
