using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Backward over rows, a few at a time, with the sums of the parameters' gradients over each block.</summary>
internal unsafe struct BackwardWork<TFormula, T> : IWork
    where TFormula : IRowFormula
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
        var together = (int)Math.Min(T.IsSingle ? GradientStatistics.Together(X.Length) : RowNormalization<TFormula>.Together(X.Length), end - first);
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
        statistics.Set(Statistics + first, X.Count, count, TFormula.Centers);
        RowGradients<TFormula>.Reduce(rows, Weight, Eps, &statistics, weightSums, biasSums, GradX is not null);
        if (GradX is null)
            return;
        var gx = tile.Start(first);
        if (SingleWeight.Fits)
        {
            Float32Gradients<TFormula>.Write(rows, (float*)gx, &statistics, Weight, SingleWeight, Destination);
        }
        else
        {
            for (var r = 0; r < count; r++, gx += length * sizeof(float))
                RowGradients<TFormula>.WriteRow(rows.X(r), rows.GradOutput(r), new(gx, length, tile.End), &statistics, r, Weight);
        }
        tile.Write(first, count);
    }

    /// <summary>As <see cref="Write"/>, of rows of float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void WriteDoubles(long first, int count, double* gx, double* weightSums, double* biasSums)
    {
        var length = X.Length;
        double** x = stackalloc double*[RowNormalization<TFormula>.RowsTogether], go = stackalloc double*[RowNormalization<TFormula>.RowsTogether];
        X.Starts(first, count, (byte**)x);
        GradOutput.Starts(first, count, (byte**)go);
        var statistics = stackalloc RowStatistics[RowNormalization<TFormula>.RowsTogether];
        for (var r = 0; r < count; r++)
            statistics[r] = RowStatistics.Load(Statistics + first + r, X.Count);
        var lost = stackalloc Projection[RowNormalization<TFormula>.RowsTogether];
        for (var r = 0; gx is not null && r < count; r += Float64x4.Count)
            Float64Rows<TFormula>.Project(x + r, go + r, Math.Min(Float64x4.Count, count - r), length, statistics + r, Weight, Eps, lost + r);
        for (var r = 0; r < count; r++)
            Float64Rows<TFormula>.WriteGradient(x[r], go[r], gx is null ? null : gx + (r * length), length, statistics[r], lost[r], Weight, Eps, WeightUnit, weightSums, biasSums, Destination);
    }
}
