using Darts.Norm.Tests.Reference;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Series of float32, which are mapped in float32 where that is as good as in float64.</summary>
public sealed class SeriesSinglesTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<long, long> StepsAndComponents => new() { { 1, 1 }, { 1, 7 }, { 3, 7 }, { 2, 40 }, { 1, 321 } };

    /// <summary>With a shift that cancels what it is added to, float32 would keep few digits.</summary>
    [Theory]
    [MemberData(nameof(StepsAndComponents))]
    public void TransformAndInverse_WhereAShiftCancelsASeries_AreRight(long steps, long components)
    {
        using var rin = new RINorm(components);
        using (no_grad())
        {
            rin.affine_weight!.copy_(Layers.Values([components], ScalarType.Float32, 5) + 1.7);
            rin.affine_bias!.copy_(Layers.Values([components], ScalarType.Float32, 6) + 0.3);
        }
        rin.forward(Layers.Values([4, 50, components], ScalarType.Float32, 9) + 3);
        var noise = Layers.Values([4, steps, components], ScalarType.Float64, 3) * 1e-5;
        var (mean, stdev) = (Wide(rin.mean!), Wide(rin.stdev!));
        var (weight, bias) = (Wide(rin.affine_weight!), Wide(rin.affine_bias!));
        var input = (mean - (bias * stdev / weight) + noise).to(ScalarType.Float32);
        var forecast = (bias - (mean * weight / stdev) + noise).to(ScalarType.Float32).unsqueeze(-1);

        ShouldBeRight(rin, input, layer => layer.transform(input), layer => layer.transform(Wide(input)));
        ShouldBeRight(rin, input, layer => layer.inverse(forecast).squeeze(-1), layer => layer.inverse(Wide(forecast)).squeeze(-1));
    }

    [Theory]
    [InlineData(2, 3)]
    [InlineData(96, 7)]
    [InlineData(50, 40)]
    public void Transform_OfTheInputOfForward_IsTheSameBits(long steps, long components)
    {
        using var rin = new RINorm(components);
        using (no_grad())
            rin.affine_bias!.copy_(Layers.Values([components], ScalarType.Float32, 6) * 4);
        var x = Layers.Values([5, steps, components], ScalarType.Float32) + 2;

        Layers.SameBits(rin.forward(x), rin.transform(x)).Should().BeTrue();
    }

    private static void ShouldBeRight(RINorm rin, Tensor input, Func<RINorm, Tensor> inSingles, Func<RINorm, Tensor> wide)
    {
        using var noGrad = no_grad();
        var (actual, expected) = (Wide(inSingles(rin)), wide(rin));
        var units = (actual - expected).abs() / (expected.abs().amax([1L], keepdim: true) * (Judge.Epsilon(ScalarType.Float32) / 2));
        units.max().item<double>().Should().BeLessThanOrEqualTo(4, $"of {string.Join(", ", input.shape)}");
    }

    private static Tensor Wide(Tensor tensor) => tensor.detach().to(ScalarType.Float64);
}
