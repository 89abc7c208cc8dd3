using Darts.Norm.Kernels;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Divides by the root mean square of the last axis and scales each feature by a learned gain.</summary>
/// <remarks>
/// <para><c>y = x / max(rms(x), eps) · g</c>, <c>rms(x) = ‖x‖₂ · dim^-½</c>.</para>
/// <para>
/// <c>eps</c> clamps the root mean square; it is not added under the root as in <c>torch.nn.RMSNorm</c>. A row of zeros gives zeros.
/// </para>
/// <para>Shape: input (*, dim), output the same. State: <c>g</c> (dim), ones at first. Units: the output has none, whatever the input's.</para>
/// <para>
/// Dtypes: input and <c>g</c> promote as in PyTorch.
/// How exact the results are: <see cref="NormModule"/>.
/// </para>
/// <para>Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019; Darts' <c>layer_norm_variants.RMSNorm</c>.</para>
/// <example>
/// <code>
/// using var norm = new RMSNorm(64);
/// using var x = randn(32, 96, 64);
/// using var y = norm.forward(x);
/// </code>
/// </example>
/// </remarks>
public sealed class RMSNorm : NormModule
{
    private readonly long _dim;

    /// <summary>Makes the layer with gains of one.</summary>
    /// <param name="dim">The size of the input's last axis.</param>
    /// <param name="eps">The least root mean square that is divided by, in the input's units. Default: 1e-8.</param>
    /// <param name="device">Where the gains lie. Default: torch's default device.</param>
    /// <param name="dtype">The gains' dtype. Default: torch's default dtype.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="dim"/> is below 1, or <paramref name="eps"/> negative or not finite.</exception>
    public RMSNorm(long dim, double eps = 1e-8, Device? device = null, ScalarType? dtype = null)
        : base(nameof(RMSNorm), device, dtype)
    {
        _dim = Require.Positive(dim, nameof(dim));
        this.eps = eps;
        scale = Math.Pow(dim, -0.5);
        g = NewParameter([dim]);
        nn.init.ones_(g);
    }

    /// <summary>The learned gain of each feature, (dim).</summary>
    /// <exception cref="ArgumentException">The assigned parameter has another size, or is not floating point.</exception>
    public Parameter g
    {
        get => ParameterNamed(nameof(g))!;
        set => Assign(nameof(g), Require.Given(value, nameof(RMSNorm), nameof(g), [_dim]), [_dim]);
    }

    /// <summary>The least root mean square that is divided by.</summary>
    public double eps { get; set => field = Require.Epsilon(value); }

    /// <summary><c>dim^-½</c>, which turns the 2-norm into the root mean square.</summary>
    public double scale { get; }

    /// <summary>Normalises the last axis.</summary>
    /// <param name="input">A tensor whose last axis has size dim.</param>
    /// <returns>A tensor of the input's shape.</returns>
    /// <exception cref="ArgumentException">The last axis has another size, or the input is not floating point or on another device.</exception>
    /// <exception cref="InvalidOperationException">A parameter was registered that does not fit.</exception>
    public override Tensor forward(Tensor input)
    {
        using var call = Enter();
        var gain = ParameterNamed(nameof(g)) ?? throw new InvalidOperationException($"RMSNorm computes with a parameter g of size [{_dim}], but null is registered there. Assign one: layer.g = torch.nn.Parameter(...).");
        Require.Input(input, nameof(RMSNorm), nameof(input));
        Require.Parameter(gain, [_dim], input, nameof(RMSNorm), nameof(g), nameof(input));
        if (input.dim() == 0 || input.size(-1) != _dim)
            throw new ArgumentException(
                $"{Require.MustMatch(input, _dim)}RMSNorm({_dim}) normalises a last axis of size {_dim}, but received {Require.Describe(input)}. "
                + "Make the layer with the size of the input's last axis, or move the features there.",
                nameof(input));
        return new RMSNormOperation(_dim, eps).Apply(input, gain, null);
    }
}
