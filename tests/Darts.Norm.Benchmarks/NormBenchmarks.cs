using BenchmarkDotNet.Attributes;

namespace Darts.Norm.Benchmarks;

/// <summary>Each row of the table at each number of threads, with what it allocates.</summary>
[MemoryDiagnoser]
public class NormBenchmarks : IDisposable
{
    private Contest _contest = null!;

    [ParamsSource(nameof(Rows))]
    public Row Row { get; set; } = null!;

    [Params(1, 2)]
    public int Threads { get; set; }

    public static IEnumerable<Row> Rows => Row.All;

    [GlobalSetup]
    public void Set()
    {
        set_num_threads(Threads);
        _contest = new(Row);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _contest.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark(Baseline = true)]
    public void Clone() => _contest.Clone();

    [Benchmark]
    public void Fused() => _contest.Fused();

    [Benchmark]
    public void LayerNormOfLibtorch() => _contest.LayerNormOfLibtorch();

    [Benchmark]
    public void OpByOp() => _contest.OpByOp();
}
