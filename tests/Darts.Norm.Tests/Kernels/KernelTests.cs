using Darts.Norm.Kernels;
using Darts.Norm.Tests.Reference;

namespace Darts.Norm.Tests.Kernels;

/// <summary>The kernels against the formulas that define the layers, and against themselves at other scales.</summary>
[Collection(nameof(Alone))] // changes the number of threads
public sealed class KernelTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly int _threads = get_num_threads();

    // Tails of every kind, one block and several, one thread's work and more.
    private static readonly long[][] RowShapes = [[5, 3], [3, 16], [4, 3, 17], [70, 37], [2, 2100], [1300, 64], [2100, 41]];

    private static readonly long[][] SeriesShapes = [[2, 5, 4], [3, 1, 3], [2, 3, 4, 5], [3, 96, 7], [3, 21, 16], [3, 40, 70], [2, 5, 128], [40, 100, 9], [70, 130, 17]];

    public static TheoryData<string, ScalarType> Operations =>
        Combinations.Of(KernelCase.RowOperations.Concat(KernelCase.SeriesOperations), Layers.Dtypes);

    public void Dispose()
    {
        set_num_threads(_threads);
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void ResultAndGradients_OfAnyShapeAndStrides_AreTheFormulas(string operation, ScalarType dtype)
    {
        set_num_threads(3);
        foreach (var shape in Shapes(operation))
        {
            foreach (var isStrided in new[] { false, true })
            {
                using var one = new KernelCase(operation, dtype, shape, isStrided: isStrided);
                var (kernels, formula) = (one.ByKernels(), one.ByFormula());
                for (var i = 0; i < kernels.Count; i++)
                {
                    var (bound, dims) = Bound(operation, dtype, shape, i);
                    ShouldAgree(kernels[i], formula[i], $"{operation} of {string.Join(", ", shape)}", bound, dims);
                }
            }
        }
    }

    /// <summary>Results that kernels compute in float32 (long rows, their gradients, series) are compared by a bound, relative to the largest value over the axes. Null for results of float64, rounded once.</summary>
    private static (double? bound, long[]? dims) Bound(string operation, ScalarType dtype, long[] shape, int result)
    {
        var isRow = KernelCase.RowOperations.Contains(operation);
        var isInSingles = dtype == ScalarType.Float32 && operation switch
        {
            nameof(RMSNorm) => shape[^1] >= (result == 0 ? Float32Rows<RMSNormFormula>.Shortest : result == 1 ? Float32Gradients<RMSNormFormula>.Shortest : long.MaxValue),
            nameof(LayerNorm) or "LayerNormSmallBias" or "LayerNormNoBias" => shape[^1] >= (result == 0 ? Float32Rows<LayerNormFormula>.Shortest : result == 1 ? Float32Gradients<LayerNormFormula>.Shortest : long.MaxValue),
            "RINormGaps" => result == 0,
            _ => result <= 1,
        };
        return !isInSingles ? (null, null) : (4 * Judge.Epsilon(dtype) / 2, isRow ? [-1] : result == 1 ? [] : [.. Enumerable.Range(1, shape.Length - 2).Select(axis => (long)axis)]);
    }

    [Theory]
    [InlineData("RINorm")]
    [InlineData("RINormGaps")]
    [InlineData("RINormInverse")]
    [InlineData("RINormInverseByKind")]
    [InlineData("RMSNorm")]
    [InlineData("LayerNorm")]
    public void ResultAndGradients_FarFromZero_AreTheFormulas(string operation)
    {
        foreach (var shape in Shapes(operation))
        {
            using var one = new KernelCase(operation, ScalarType.Float64, shape, level: 1e8 / 3);
            foreach (var (kernels, formula) in one.ByKernels().Zip(one.ByFormula()))
                ShouldAgree(kernels, formula, $"{operation} of {string.Join(", ", shape)}", operation == nameof(LayerNorm) ? 1e-7 : 1e-12);
            if (one.Statistics() is not var (byKernels, byFormula))
                continue;
            ShouldAgree(byKernels[0] + byKernels[1], byFormula[0], "the mean", 1e-15);
            ShouldAgree(byKernels[2], byFormula[2], "the stdev", 1e-7);
        }
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void ResultAndGradients_OnAnyNumberOfThreads_AreTheSameBits(string operation, ScalarType dtype)
    {
        using var one = new KernelCase(operation, dtype, Shapes(operation)[^1]);
        set_num_threads(1);
        var alone = one.ByKernels();
        set_num_threads(4);
        foreach (var (a, b) in alone.Zip(one.ByKernels()))
            Layers.SameBits(a, b).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void Backward_OfSome_GivesThoseAndNoOthers(string operation, ScalarType dtype)
    {
        foreach (long features in (long[])[21, 32])
        {
            using var one = new KernelCase(operation, dtype, [3, 20, features]);
            var all = one.ByKernels()[1..];
            for (var some = 0; some < 1 << all.Count; some++)
            {
                bool[] wanted = [(some & 1) != 0, (some & 2) != 0, (some & 4) != 0];
                var given = one.Backward(new(wanted[0], wanted[1] ? Place.Of(one.Weight!) : null, wanted[2] ? Place.Of(one.Bias!) : null));
                for (var i = 0; i < 3; i++)
                {
                    (given[i] is not null).Should().Be(wanted[i]);
                    if (given[i] is { } gradient)
                        Layers.SameBits(gradient, all[i]).Should().BeTrue();
                }
            }
        }
    }

    public static TheoryData<int> Exponents => [-520, -500, -400, 400, 480, 500];

    [Theory]
    [MemberData(nameof(Exponents))]
    public void RMSNorm_OfSquaresThatFloat64CannotHold_IsThatOfTheSameRowNearOne(int exponent) =>
        ShouldNotDependOnTheScale(exponent, exponent, eps => new RMSNorm(37, eps, dtype: ScalarType.Float64), [3, 37]);

    [Theory]
    [MemberData(nameof(Exponents))]
    public void LayerNorm_OfSquaresThatFloat64CannotHold_IsThatOfTheSameRowNearOne(int exponent) =>
        ShouldNotDependOnTheScale(exponent, 2 * exponent, eps => new LayerNorm(37, eps, dtype: ScalarType.Float64), [3, 37]);

    [Theory]
    [MemberData(nameof(Exponents))]
    public void RINorm_OfSquaresThatFloat64CannotHold_IsThatOfTheSameSeriesNearOne(int exponent) =>
        ShouldNotDependOnTheScale(exponent, 2 * exponent, eps => new RINorm(5, eps, dtype: ScalarType.Float64), [3, 40, 5]);

    [Theory]
    [MemberData(nameof(Exponents))]
    public void RINormWithGaps_OfSquaresThatFloat64CannotHold_IsThatOfTheSameSeriesNearOne(int exponent) =>
        ShouldNotDependOnTheScale(exponent, 2 * exponent, eps => new RINorm(5, eps, dtype: ScalarType.Float64) { missing = Missing.Zero }, [3, 40, 5], withGaps: true);

    private static void ShouldNotDependOnTheScale(int exponent, int exponentOfEps, Func<double, NormModule> make, long[] shape, bool withGaps = false)
    {
        var factor = Math.ScaleB(1, exponent);
        foreach (var eps in new[] { 0, 0.25 })
        {
            var x = Layers.Values(shape, ScalarType.Float64) + 3;
            if (withGaps)
                x = x.masked_fill(x > 4.5, double.NaN);
            var (near, far) = (x.detach().requires_grad_(), (x * factor).detach().requires_grad_());
            var go = Layers.Values(shape, ScalarType.Float64, start: 7);
            using var plain = make(eps);
            using var scaled = make(Math.ScaleB(eps, exponentOfEps));
            var (expected, actual) = (plain.forward(near), scaled.forward(far));
            expected.backward([go]);
            actual.backward([go]);
            ShouldAgree(actual, expected, "the output", 1e-14);
            ShouldAgree(far.grad! * factor, near.grad!, "the input's gradient", 1e-13);
            foreach (var (a, b) in scaled.parameters().Zip(plain.parameters()))
                ShouldAgree(a.grad!, b.grad!, "a parameter's gradient", 1e-13);
        }
    }

    private static long[][] Shapes(string operation) => KernelCase.RowOperations.Contains(operation) ? RowShapes : SeriesShapes;

    /// <summary>By default both are computed in float64 and rounded once, so they may differ by one in the last place, near ties. A unit of a row's largest value is at least half of epsilon times it.</summary>
    private static void ShouldAgree(Tensor actual, Tensor expected, string what, double? relative = null, long[]? dims = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        actual.dtype.Should().Be(expected.dtype, what);
        actual.shape.Should().Equal(expected.shape, what);
        var (a, b) = (actual.to(ScalarType.Float64), expected.to(ScalarType.Float64));
        var bound = relative ?? (expected.dtype == ScalarType.Float64 ? 1e-12 : Judge.Epsilon(expected.dtype));
        var largest = expected.dtype == ScalarType.Float64 ? b.nan_to_num().abs().max() : dims is { Length: > 0 } ? b.abs().amax(dims, keepdim: true) : b.abs().clamp_min(1e-4);
        ((a - b).abs() <= largest * bound).logical_or(a.eq(b)).logical_or(a.isnan() & b.isnan()).all().item<bool>().Should().BeTrue($"{what} must agree to {bound}");
    }
}
