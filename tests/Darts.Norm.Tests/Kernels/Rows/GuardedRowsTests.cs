using System.Runtime.Intrinsics;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Rows of float32 are read and written in groups that reach beyond their ends, but not beyond that of the memory: there the results are the same.</summary>
public sealed unsafe class GuardedRowsTests
{
    private const int Rows = 3;
    private const double Eps = 1e-5;

    [Theory]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(79)]
    [InlineData(80)]
    [InlineData(97)]
    [InlineData(111)]
    [InlineData(129)]
    public void Rows_BeforeMemoryThatNobodyMayTouch_AreThoseOfOtherMemory(int length)
    {
        if (!OperatingSystem.IsLinux())
            return;
        Compare<LayerNormFormula>(length);
        Compare<RMSNormFormula>(length);
    }

    /// <summary>Rows of float64 do not read beyond their ends: their last values are copied.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(100)]
    public void DoubleRows_BeforeMemoryThatNobodyMayTouch_AreThoseOfOtherMemory(int length)
    {
        if (!OperatingSystem.IsLinux())
            return;
        CompareDoubles<LayerNormFormula>(length);
        CompareDoubles<RMSNormFormula>(length);
    }

    private static void CompareDoubles<TFormula>(int length)
        where TFormula : IRowFormula
    {
        const int Buffers = 4, Room = 512;
        using var memory = new GuardedMemory();
        var room = stackalloc double[Buffers * Room];
        double** starts = stackalloc double*[Buffers], x = stackalloc double*[Rows], go = stackalloc double*[Rows];
        RowStatistics* statistics = stackalloc RowStatistics[4];
        var lost = stackalloc Projection[4];
        double[]? expected = null;
        for (var guarded = Buffers; guarded >= 0; guarded--) // the one that ends before the page; at first none
        {
            for (var i = 0; i < Buffers; i++)
                starts[i] = i == guarded ? (double*)memory.End - (Rows * length) : room + (i * Room);
            for (var i = 0; i < Rows * length; i++)
                (starts[0][i], starts[1][i]) = (Math.Sin(i), Math.Cos(3 * i));
            for (var r = 0; r < Rows; r++)
            {
                x[r] = starts[0] + (r * length);
                go[r] = starts[1] + (r * length);
            }
            using Float64Buffer weight = new(length), weightSums = new(Float64Buffer.Padded<Float64>(length)), biasSums = new(Float64Buffer.Padded<Float64>(length));
            foreach (var doubles in (Float64Buffer[])[weight, weightSums, biasSums])
                new Span<double>(doubles.At, (int)doubles.Length).Clear();
            for (var i = 0; i < length; i++)
                weight.At[i] = 1 + (i % 7 / 8.0);
            Float64Rows<TFormula>.Measure(x, Rows, length, Eps, statistics);
            Float64Rows<TFormula>.Project(x, go, Rows, length, statistics, weight.At, Eps, lost);
            for (var r = 0; r < Rows; r++)
            {
                Float64Rows<TFormula>.Write(x[r], starts[2] + (r * length), length, statistics[r], weight.At, weight.At);
                Float64Rows<TFormula>.WriteGradient(x[r], go[r], starts[3] + (r * length), length, statistics[r], lost[r], weight.At, Eps, 1, weightSums.At, biasSums.At, Destination.Caches);
            }
            double[] results = [.. new Span<double>(starts[2], Rows * length), .. new Span<double>(starts[3], Rows * length), .. new Span<double>(weightSums.At, length), .. new Span<double>(biasSums.At, length)];
            results.Should().Equal(expected ??= results).And.OnlyContain(value => double.IsFinite(value));
        }
    }

    private static void Compare<TFormula>(int length)
        where TFormula : IRowFormula
    {
        const int Buffers = 4, Room = 1024;
        using var memory = new GuardedMemory();
        var room = stackalloc float[Buffers * Room];
        float** starts = stackalloc float*[Buffers], ends = stackalloc float*[Buffers];
        double[]? expected = null;
        for (var guarded = Buffers; guarded >= 0; guarded--) // the one that ends before the page; at first none
        {
            for (var i = 0; i < Buffers; i++)
            {
                starts[i] = i == guarded ? memory.End - (Rows * length) : room + (i * Room);
                ends[i] = i == guarded ? memory.End : room + ((i + 1) * Room);
            }
            var results = Results<TFormula>(length, starts[0], ends[0], starts[1], starts[2], ends[2], starts[3]);
            results.Should().Equal(expected ??= results).And.OnlyContain(value => double.IsFinite(value));
        }
    }

    private static double[] Results<TFormula>(int length, float* x, float* xEnd, float* y, float* go, float* goEnd, float* gx)
        where TFormula : IRowFormula
    {
        for (var i = 0; i < Rows * length; i++)
            (x[i], go[i]) = (MathF.Sin(i), MathF.Cos(3 * i));
        using Float64Buffer weight = new(Lanes.Padded(length)), weightSums = new(Lanes.Padded(length)), biasSums = new(Lanes.Padded(length));
        foreach (var doubles in (Float64Buffer[])[weight, weightSums, biasSums])
            new Span<double>(doubles.At, (int)Lanes.Padded(length)).Clear();
        for (var i = 0; i < length; i++)
            weight.At[i] = 1 + (i % 7 / 8.0);
        using var single = new Float32Parameter(weight, length);
        float** rows = stackalloc float*[GradientStatistics.Most], gradients = stackalloc float*[GradientStatistics.Most];
        for (var r = 0; r < Rows; r++)
        {
            rows[r] = x + (r * length);
            gradients[r] = go + (r * length);
        }

        Float32Statistics measured;
        RowSum* sums = stackalloc RowSum[Float32Statistics.Most], squares = stackalloc RowSum[Float32Statistics.Most];
        Float32Sums<TFormula>.AddUp(rows, Rows, length, xEnd, sums, squares);
        Float32Rows<TFormula>.Measure(rows, Rows, length, xEnd, Eps, Float32Rows<TFormula>.FarInSingle, ratio: 1, sums, squares, isWatched: true, &measured);
        Float32Rows<TFormula>.WriteInSingle(rows, Rows, length, y, &measured, single.At, single.At, Destination.NearCaches);
        var count = Rows * length;
        var inSingle = new Span<float>(y, count).ToArray();
        RowSum* lastSum = stackalloc RowSum[2], lastSquares = stackalloc RowSum[2];
        new Span<float>(y, count).Clear();
        Float32Overlap<TFormula>.Write(rows, 2, arePlain: false, rows + 2, 1, length, xEnd, y, &measured, single.At, single.At, Destination.NearCaches, null, lastSum, lastSquares);
        new Span<float>(y, 2 * length).ToArray().Should().Equal(inSingle[..(2 * length)]);
        lastSquares->Total.Should().Be(squares[2].Total);
        if (TFormula.Centers)
            lastSum->Total.Should().Be(sums[2].Total);
        var largest = stackalloc Vector256<int>[Float32Statistics.Most];
        Float32Rows<TFormula>.WriteWatched(rows, Rows, length, y, &measured, single.At, single.At, Destination.NearCaches, largest);
        Float32Rows<TFormula>.WriteLost(rows, Rows, length, xEnd, y, Eps, &measured, largest, largestBias: 0.25f, weight.At, weight.At, Destination.NearCaches);

        GradientStatistics statistics;
        for (var r = 0; r < Rows; r++)
            (statistics.Inverse[r], statistics.Center[r], statistics.CenterLow[r]) = (1.25 + r, 0.25, 0);
        var taken = new GradientRows((byte**)rows, (byte*)xEnd, (byte**)gradients, (byte*)goEnd, Rows, length);
        RowGradients<TFormula>.Reduce(taken, weight.At, Eps, &statistics, weightSums.At, TFormula.Centers ? biasSums.At : null, loses: true);
        Float32Gradients<TFormula>.Write(taken, gx, &statistics, weight.At, single, Destination.NearCaches);

        return
        [
            .. inSingle.Select(value => (double)value),
            .. new Span<float>(y, count).ToArray().Select(value => (double)value),
            .. new Span<float>(gx, count).ToArray().Select(value => (double)value),
            .. new Span<double>(weightSums.At, length).ToArray(),
            .. new Span<double>(biasSums.At, length).ToArray(),
        ];
    }
}
