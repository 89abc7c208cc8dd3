using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>Inputs as large as forecasting has, forward and backward: the same bits on one thread and on several, and a sample right.</summary>
[Collection(nameof(Alone))] // changes the number of threads
public sealed class LargeShapesTests : IDisposable
{
    private const int Threads = 3;
    private const double Epsilon = 1.1920928955078125e-07;
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly int _threads = get_num_threads();

    public static TheoryData<Kind, long, long, long> KindsAndShapes
    {
        get
        {
            var data = new TheoryData<Kind, long, long, long>();
            foreach (var kind in (Kind[])[Kind.RMSNorm, Kind.LayerNorm, Kind.LayerNormNoBias, Kind.RINorm])
            {
                data.Add(kind, 8, 720, 2048);
                data.Add(kind, 32, 336, 862);
            }
            return data;
        }
    }

    public void Dispose()
    {
        set_num_threads(_threads);
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(KindsAndShapes))]
    public void ResultsAndGradients_OfALargeInput_AreRightAndTheSameBitsOnAnyNumberOfThreads(Kind kind, long batch, long steps, long features)
    {
        using var layer = Problem.Simple(kind, [1, 1, features]).NewLayerWithParameters();
        var generator = new Generator(7);
        var (x, gradient) = (rand([batch, steps, features], generator: generator).sub_(0.3), rand([batch, steps, features], generator: generator).sub_(0.5));

        var (one, several) = (Run(1), Run(Threads));
        foreach (var (a, b) in one.Zip(several))
            Layers.SameBits(a, b).Should().BeTrue();

        using var wide = Problem.Simple(kind, [1, 1, features]).NewLayerWithParameters();
        wide.to(ScalarType.Float64);
        using var truth = OpByOp.Of(wide, Sample(x).to(ScalarType.Float64), Sample(gradient).to(ScalarType.Float64));
        long[] pooled = kind == Kind.RINorm ? [1] : [2];
        Within(4, Sample(one[0]), truth["y"], truth["y"].abs().amax(pooled, keepdim: true));
        Within(8, Sample(one[1]), truth["y: grad.x"], truth["y: grad.x"].abs().amax(pooled, keepdim: true));
        ShouldBeTheSums(one, gradient, [.. layer.parameters()]);

        List<Tensor> Run(int threads)
        {
            set_num_threads(threads);
            var leaf = x.detach().requires_grad_();
            var output = layer.forward(leaf);
            return [output.detach(), .. autograd.grad([output], [leaf, .. layer.parameters()], [gradient])];
        }

        Tensor Sample(Tensor tensor) => kind == Kind.RINorm ? tensor.narrow(0, batch - 1, 1) : tensor.narrow(0, batch - 1, 1).narrow(1, steps - 50, 50);
    }

    /// <summary>In units in the last place of a magnitude.</summary>
    private static void Within(double units, Tensor actual, Tensor truth, Tensor magnitude)
    {
        using var noGrad = no_grad();
        var unit = full_like(magnitude, 2).pow(magnitude.log2().floor()) * Epsilon;
        ((actual.to(ScalarType.Float64) - truth).abs() / unit).max().item<double>().Should().BeLessThanOrEqualTo(units);
    }

    /// <summary><c>Σ gy = Σ (x̂ · weight + bias) · g</c>, for each feature.</summary>
    private static void ShouldBeTheSums(List<Tensor> results, Tensor gradient, List<TorchSharp.Modules.Parameter> parameters)
    {
        using var noGrad = no_grad();
        if (parameters.Count == 0)
            return;
        var terms = results[0] * gradient;
        var (sum, magnitude) = (terms.sum([0L, 1L], type: ScalarType.Float64), terms.abs_().sum([0L, 1L], type: ScalarType.Float64));
        var byGradients = parameters.Zip(results.Skip(2), (parameter, its) => parameter.to(ScalarType.Float64) * its).Aggregate((a, b) => a + b);
        ((byGradients - sum).abs() / magnitude).max().item<double>().Should().BeLessThan(4 * Epsilon);
        if (parameters.Count == 2)
            ((results[3] - gradient.sum([0L, 1L], type: ScalarType.Float64)).abs() / gradient.abs().max()).max().item<double>().Should().BeLessThan(Epsilon * 100);
    }
}
