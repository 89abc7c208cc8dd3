namespace Darts.Norm;

/// <summary>What a parameter of a forecast's distribution is, so that <see cref="RINorm"/> knows how to put level and scale back on it.</summary>
/// <remarks>
/// <para>
/// The forecast <c>x</c> in original units is <c>a · z + b</c> of the normalised <c>z</c>, with <c>a = stdev / (affine_weight + eps²)</c>. If z has a distribution of these
/// parameters, x has that distribution with the parameters below: for Gaussian, Laplace, Cauchy, Student's t and every other symmetric family of location and scale, and where a is positive for Gumbel and for quantiles.
/// Darts applies the formula of a location to all of them.
/// </para>
/// <para>Example: <c>rin.inverse(output, LikelihoodParameter.Location, LikelihoodParameter.Scale)</c> for a Gaussian's mean and standard deviation.</para>
/// </remarks>
public enum LikelihoodParameter
{
    /// <summary>A value of the series: a mean, a median, a mode, a quantile, a sample. It becomes <c>a · z + b</c>.</summary>
    Location,

    /// <summary>A distance between values: a standard deviation, a Laplace's or Cauchy's scale. It becomes <c>|a| · z</c>.</summary>
    Scale,

    /// <summary>A squared distance. It becomes <c>a² · z</c>.</summary>
    Variance,

    /// <summary>The logarithm of a scale. It becomes <c>z + ln |a|</c>.</summary>
    LogScale,

    /// <summary>A probability. It stays.</summary>
    Probability,

    /// <summary>A number without units: degrees of freedom, a shape. It stays.</summary>
    Shape,
}
