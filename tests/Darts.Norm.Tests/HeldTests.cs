using System.Diagnostics;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests;

[Collection(nameof(Alone))]
public sealed class HeldTests
{
    [Fact]
    public void Formulas_WhileTheCollectorRuns_NeverFail()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var x = Layers.Values([2, 3, 4], ScalarType.Float64);
        var (weight, bias) = (ones(4, ScalarType.Float64), ones(4, ScalarType.Float64));
        var isOver = false;
        var collectors = Enumerable.Range(0, 2).Select(_ => new Thread(Collect)).ToList();
        collectors.ForEach(collector => collector.Start());
        var start = Stopwatch.GetTimestamp();
        Action use = () =>
        {
            while (Stopwatch.GetElapsedTime(start).TotalSeconds < 3)
            {
                using var inner = NewDisposeScope();
                var inputs = new Inputs(x.unsqueeze(-1), weight, bias, Formulas.SeriesStatistics(x, new(1e-5, MinStdev: 0.1), default), null);
                foreach (var kind in Enum.GetValues<LikelihoodParameter>())
                    Formulas.RINormInverse(inputs, 1e-5, [kind], ScalarType.Float64);
                Formulas.RINorm(inputs with { X = x }, default, ScalarType.Float64);
                Formulas.RMSNorm(x, weight, 1e-8);
            }
        };
        try
        {
            use.Should().NotThrow();
        }
        finally
        {
            isOver = true;
            collectors.ForEach(collector => collector.Join());
        }

        void Collect()
        {
            while (!Volatile.Read(ref isOver))
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        }
    }
}
