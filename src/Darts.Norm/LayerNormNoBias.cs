namespace Darts.Norm;

/// <summary>A <see cref="LayerNorm"/> without learned scale and shift.</summary>
/// <remarks>
/// <para><c>y = (x - mean(x)) / √(var(x) + eps)</c>, over the axes of <c>normalized_shape</c>, with the biased variance.</para>
/// <para>Shape: input (*, normalized_shape), output the same. State: none. Units: the output has none, whatever the input's.</para>
/// <para>
/// Dtypes: any floating point; the answer has the input's.
/// How exact the results are: <see cref="NormModule"/>.
/// </para>
/// <para>Source: Darts' <c>layer_norm_variants.LayerNormNoBias</c>.</para>
/// <example>
/// <code>
/// using var norm = new LayerNormNoBias([96, 64]);
/// using var x = randn(32, 96, 64);
/// using var y = norm.forward(x);
/// </code>
/// </example>
/// </remarks>
public sealed class LayerNormNoBias : LayerNorm
{
    /// <summary>Makes a layer over the last axis.</summary>
    /// <param name="input_size">The size of the input's last axis, or of each of its last axes.</param>
    /// <param name="eps">Added to the variance, in the input's units squared. Default: 1e-5.</param>
    /// <param name="device">As in <see cref="LayerNorm"/>; there is no parameter to place.</param>
    /// <param name="dtype">As in <see cref="LayerNorm"/>; there is no parameter to convert.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="eps"/> negative or not finite.</exception>
    public LayerNormNoBias(long input_size, double eps = 1e-5, Device? device = null, ScalarType? dtype = null)
        : this([input_size], eps, device, dtype)
    {
    }

    /// <summary>Makes a layer over the last axes.</summary>
    /// <inheritdoc cref="LayerNormNoBias(long, double, Device, ScalarType?)"/>
    public LayerNormNoBias(long[] input_size, double eps = 1e-5, Device? device = null, ScalarType? dtype = null)
        : base(nameof(LayerNormNoBias), input_size, eps, elementwise_affine: false, bias: false, device, dtype)
    {
    }
}
