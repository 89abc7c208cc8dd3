namespace Darts.Norm.Tests.Reference;

/// <summary>Measures errors in units in the last place of a dtype, each element's unit being that of the largest term of its formula.</summary>
public static class Judge
{
    /// <summary>The bound where PyTorch's own error is less: one unit in the last place.</summary>
    public const double LeastBound = 1;

    public static double Epsilon(ScalarType dtype) => dtype switch
    {
        ScalarType.Float16 => Math.Pow(2, -10),
        ScalarType.BFloat16 => Math.Pow(2, -7),
        ScalarType.Float32 => Math.Pow(2, -23),
        ScalarType.Float64 => Math.Pow(2, -52),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "no such floating-point type"),
    };

    private static double SmallestNormal(ScalarType dtype) => dtype switch
    {
        ScalarType.Float16 => Math.Pow(2, -14),
        ScalarType.Float64 => Math.Pow(2, -1022),
        _ => Math.Pow(2, -126),
    };

    /// <summary>The largest error, in units, over the elements whose truth is finite; 0 for an empty tensor.</summary>
    public static double Units(Tensor actual, Truth truth, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var exponent = truth.LargestTerm.expand_as(truth.Value).clamp_min(SmallestNormal(dtype)).log2().floor();
        var unit = full_like(exponent, 2).pow(exponent) * Epsilon(dtype);
        var error = (actual.detach().to(ScalarType.Float64) - truth.Value).abs() / unit;
        var finite = error[truth.Value.isfinite() & truth.LargestTerm.expand_as(truth.Value).isfinite()];
        return finite.numel() == 0 ? 0 : finite.max().item<double>();
    }

    /// <summary>Asserts NaN and each infinity in the same places.</summary>
    public static void NonFiniteInTheSamePlaces(Tensor actual, Tensor expected, string role)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        actual.isnan().eq(expected.isnan()).all().item<bool>().Should().BeTrue($"{role} is NaN where PyTorch's is");
        actual.isposinf().eq(expected.isposinf()).all().item<bool>().Should().BeTrue($"{role} is infinite where PyTorch's is");
        actual.isneginf().eq(expected.isneginf()).all().item<bool>().Should().BeTrue($"{role} is minus infinity where PyTorch's is");
    }
}
