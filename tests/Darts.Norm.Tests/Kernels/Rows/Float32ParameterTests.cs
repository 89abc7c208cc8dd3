using System.Runtime.Intrinsics;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Parameters in float32, and whether its range suffices for what is multiplied by them.</summary>
public sealed class Float32ParameterTests
{
    /// <summary>Each bound alone, just within it and at it.</summary>
    [Theory]
    [InlineData(1, 1, 1, 0, 0, true)]
    [InlineData(2, 1f / (1L << 60), 1, 0, 0, true)]
    [InlineData(0.5, 2f / (1L << 60), 1, 0, 0, false)]
    [InlineData(0.5, 1L << 59, 1, 0, 0, true)]
    [InlineData(0.5, 1L << 60, 1, 0, 0, false)] // of a weight below one the gradient itself
    [InlineData(4, 1L << 58, 1, 0, 0, false)]
    [InlineData(1, 1, 1e-12, 0, 0, false)]
    [InlineData(1, 1, 1e12, 0, 0, false)]
    [InlineData(1, 1, 1, 1e30, 0, false)]
    [InlineData(1, 1, 1, -1e30, 0, false)]
    [InlineData(1, 1, 1, 0, 1, true)]
    [InlineData(1, 1, 1, 0, -1, true)]
    [InlineData(1, 1, 1, 0, 1e-30, false)]
    [InlineData(1, 1, 1, 0, 1e20, false)]
    public void FitsGradients_OfAWeightAndARow_IsWhetherFloat32HasRangeToSpare(double weight, float gradient, double inverse, double mean, double along, bool expected)
    {
        using var tensor = full(5, weight, ScalarType.Float64);
        using var weights = Float64Buffer.Of(tensor, 5);
        using var parameter = new Float32Parameter(weights, 5);
        var fits = parameter.FitsGradients(Vector256.Create((double)gradient), Vector256.Create(inverse), Vector256.Create(mean), Vector256.Create(along)).AsInt64();
        fits.Should().Be(expected ? Vector256<long>.AllBitsSet : Vector256<long>.Zero);
    }
}
