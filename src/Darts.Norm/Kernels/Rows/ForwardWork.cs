using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Forward over rows of float64, or of float32 computed in float64. <see cref="Float32ForwardWork{TFormula}"/> is faster, and leaves to this what it cannot do.</summary>
internal unsafe struct ForwardWork<TFormula, T> : IWork
    where TFormula : IRowFormula
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
        var together = (int)Math.Min(RowNormalization<TFormula>.Together(X.Length), end - first);
        using var tile = new Tile(X, Y, together, end);
        for (; first < end; first += together)
            WriteRows(first, (int)Math.Min(together, end - first), tile);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void WriteRows(long first, int count, in Tile tile)
    {
        var length = X.Length;
        var statistics = stackalloc RowStatistics[RowNormalization<TFormula>.RowsTogether];
        var x = stackalloc byte*[RowNormalization<TFormula>.RowsTogether];
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
    private readonly void Keep(long row, RowStatistics s) => (T.IsSingle ? s.WithoutHiddenLow(Eps) : s).Store<T>(Statistics + row, X.Count, TFormula.Centers);

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
        RowNormalization<TFormula>.Affine(TFormula.Center(x, s) * s.Inverse, weight, bias, i);
}
