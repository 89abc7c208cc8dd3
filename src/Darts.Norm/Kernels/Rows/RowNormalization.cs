using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Forward and backward of an <see cref="IRowFormula"/>, whatever the dtypes, strides, sizes and threads.</summary>
/// <param name="length">The values of a row.</param>
/// <param name="eps">The layer's.</param>
internal abstract unsafe class RowNormalization<TFormula>(long length, double eps) : FusedOperation
    where TFormula : IRowFormula
{
    /// <summary>The most rows that are measured before the first is written, so that their divisions and roots overlap.</summary>
    public const int RowsTogether = 8;

    /// <summary>2³². If a weight's largest magnitude is more times its least, float32 may have no digits left for a row's largest result.</summary>
    private const double MostRatio = 1L << 32;

    /// <summary>How many rows stay in the nearest cache until they are written.</summary>
    /// <param name="length">The values of a row.</param>
    public static int Together(long length) => length <= 256 ? RowsTogether : length <= 1024 ? 4 : 1;

    protected double Eps => eps;

    public override long Keeps(Tensor x) => x.numel() / length * (x.dtype == ScalarType.Float64 ? RowStatistics.Kept<Float64>(TFormula.Centers) : RowStatistics.Kept<Float32>(TFormula.Centers));

    public override Tensor Forward(Inputs inputs) => inputs.X.dtype == ScalarType.Float64 ? Forward<Float64>(inputs) : Forward<Float32>(inputs);

    public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) =>
        inputs.X.dtype == ScalarType.Float64 ? Backward<Float64>(inputs, gradOutput, wanted) : Backward<Float32>(inputs, gradOutput, wanted);

    private Tensor Forward<T>(Inputs inputs)
        where T : IElement
    {
        var (x, weight, bias, _, _, kept) = inputs;
        var output = TensorMemory.Like(x);
        var rows = new Rows(ref x, length);
        using var w = Float64Buffer.Of(weight, length);
        using var b = Float64Buffer.Of(bias, length);
        var blocks = new Blocks(rows.Count, length);
        var work = new ForwardWork<TFormula, T>
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
                    Wide = Unsafe.As<ForwardWork<TFormula, T>, ForwardWork<TFormula, Float32>>(ref work),
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

    private Gradients Backward<T>(Inputs inputs, Tensor gradOutput, Wanted wanted)
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
        var work = new BackwardWork<TFormula, T>
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

    /// <summary>Whether a bias is so small beside the weight that it cancels the largest result of few rows only, which <see cref="Float32Rows{TFormula}.WriteLost"/> finds.</summary>
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

    /// <summary>What the sums of a weight's gradient are multiplied by while they are added up. One, unless all rows are so small that eps alone divides them: their terms may be subnormal, and a power of two keeps their digits.</summary>
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
}
