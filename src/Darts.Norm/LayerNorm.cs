using Darts.Norm.Kernels;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Takes the mean out of the last axes, divides by their standard deviation, and applies a learned scale and shift.</summary>
/// <remarks>
/// <para><c>y = (x - mean(x)) / √(var(x) + eps) · weight + bias</c>, over the axes of <c>normalized_shape</c>, with the biased variance.</para>
/// <para>
/// Shape: input (*, normalized_shape), output the same. State: <c>weight</c>, <c>bias</c> (normalized_shape), ones and zeros at first.
/// Units: the output has none, whatever the input's.
/// </para>
/// <para>
/// Dtypes: the parameters' dtype, or Float16 and BFloat16 with Float32 parameters; the answer has the input's.
/// How exact the results are: <see cref="NormModule"/>.
/// </para>
/// <para>
/// Beside <c>using TorchSharp.Modules;</c> say which LayerNorm is meant: <c>using LayerNorm = Darts.Norm.LayerNorm;</c>.
/// </para>
/// <para>Source: Ba, Kiros and Hinton, Layer Normalization, 2016; <c>torch.nn.LayerNorm</c>; Darts' <c>layer_norm_variants.LayerNorm</c>.</para>
/// <example>
/// <code>
/// using var norm = new Darts.Norm.LayerNorm(64);
/// using var x = randn(32, 96, 64);
/// using var y = norm.forward(x);
/// </code>
/// </example>
/// </remarks>
public class LayerNorm : NormModule
{
    private readonly long[] _normalized_shape;

    /// <summary>Makes a layer over the last axis.</summary>
    /// <param name="input_size">The size of the input's last axis, or of each of its last axes.</param>
    /// <param name="eps">Added to the variance, in the input's units squared. Default: 1e-5.</param>
    /// <param name="elementwise_affine">Whether there is a learned scale (and shift). Default: true.</param>
    /// <param name="bias">Whether there is a learned shift; without effect when not <paramref name="elementwise_affine"/>. Default: true.</param>
    /// <param name="device">Where the parameters lie. Default: torch's default device.</param>
    /// <param name="dtype">The parameters' dtype. Default: torch's default dtype.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or <paramref name="eps"/> negative or not finite.</exception>
    public LayerNorm(
        long input_size, double eps = 1e-5, bool elementwise_affine = true, bool bias = true, Device? device = null, ScalarType? dtype = null)
        : this([input_size], eps, elementwise_affine, bias, device, dtype)
    {
    }

    /// <summary>Makes a layer over the last axes.</summary>
    /// <inheritdoc cref="LayerNorm(long, double, bool, bool, Device, ScalarType?)"/>
    public LayerNorm(
        long[] input_size, double eps = 1e-5, bool elementwise_affine = true, bool bias = true, Device? device = null, ScalarType? dtype = null)
        : this(nameof(LayerNorm), input_size, eps, elementwise_affine, bias, device, dtype)
    {
    }

    private protected LayerNorm(string name, long[] input_size, double eps, bool elementwise_affine, bool bias, Device? device, ScalarType? dtype)
        : base(name, device, dtype)
    {
        Require.NotNull(input_size, "the sizes of the input's last axes", "Name them: [2, 4], say.", name);
        if (input_size.Length == 0)
            throw new ArgumentException($"{name} needs at least one axis to normalise, but input_size is empty. Name the sizes of the input's last axes.", nameof(input_size));
        foreach (var size in input_size)
            Require.Positive(size, nameof(input_size));
        _normalized_shape = [.. input_size];
        this.eps = eps;
        this.elementwise_affine = elementwise_affine;
        if (elementwise_affine)
        {
            weight = NewParameter(_normalized_shape);
            if (bias)
                this.bias = NewParameter(_normalized_shape);
        }
        reset_parameters();
    }

    /// <summary>The learned scale, of size normalized_shape; null where absent. As in PyTorch, a layer that was made without gets one by assignment, and null takes it away.</summary>
    /// <exception cref="ArgumentException">The assigned parameter has another size, or is not floating point.</exception>
    public Parameter? weight
    {
        get => ParameterNamed(nameof(weight));
        set => Assign(nameof(weight), value, _normalized_shape);
    }

    /// <summary>The learned shift, of size normalized_shape; null where absent. As in PyTorch, a layer that was made without gets one by assignment, and null takes it away.</summary>
    /// <exception cref="ArgumentException">The assigned parameter has another size, or is not floating point.</exception>
    public Parameter? bias
    {
        get => ParameterNamed(nameof(bias));
        set => Assign(nameof(bias), value, _normalized_shape);
    }

    /// <summary>Whether the layer was made with a learned scale.</summary>
    public bool elementwise_affine { get; }

    /// <summary>Added to the variance.</summary>
    public double eps { get; set => field = Require.Epsilon(value); }

    /// <summary>The sizes of the axes that are normalised (a copy).</summary>
    public long[] normalized_shape => [.. _normalized_shape];

    /// <summary>Sets the scale to ones and the shift to zeros. As in PyTorch, a layer that was made without keeps those that it was given.</summary>
    /// <exception cref="InvalidOperationException">The layer was made in inference mode, and this is outside of it.</exception>
    /// <exception cref="ObjectDisposedException">The layer, or a parameter of it, is disposed; nothing was set.</exception>
    public void reset_parameters()
    {
        var (scale, shift) = (weight, bias); // of a disposed layer an error, whatever it has
        if (!elementwise_affine)
            return;
        Require.Living(scale, GetType().Name, nameof(weight));
        Require.Living(shift, GetType().Name, nameof(bias));
        try
        {
            if (scale is not null)
                nn.init.ones_(scale);
            if (shift is not null)
                nn.init.zeros_(shift);
        }
        catch (System.Runtime.InteropServices.ExternalException error) when (error.Message.Contains("inference tensor", StringComparison.Ordinal))
        {
            throw new InvalidOperationException(
                $"A layer that was made in inference mode can be changed in it alone, but reset_parameters was called outside. Make the {GetType().Name} outside of inference mode.", error);
        }
    }

    /// <inheritdoc/>
    public override string extra_repr() =>
        $"{PythonText.Tuple(_normalized_shape)}, eps={PythonText.Float(eps)}, elementwise_affine={elementwise_affine}, bias={_internal_params.ContainsKey(nameof(bias))}";

    /// <summary>Normalises the last axes.</summary>
    /// <param name="input">A tensor whose shape ends in normalized_shape.</param>
    /// <returns>A tensor of the input's shape and dtype.</returns>
    /// <exception cref="ArgumentException">The shape ends otherwise, or the dtype or device does not fit.</exception>
    /// <exception cref="InvalidOperationException">A parameter was registered that does not fit.</exception>
    public override Tensor forward(Tensor input)
    {
        using var call = Enter();
        var (scale, shift) = (weight, bias);
        Require.Input(input, GetType().Name, nameof(input));
        Require.Parameter(scale, _normalized_shape, input, GetType().Name, nameof(weight), nameof(input));
        Require.Parameter(shift, _normalized_shape, input, GetType().Name, nameof(bias), nameof(input));
        RequireDtypes(input, scale, shift);
        if (!EndsInNormalizedShape(input))
            throw new ArgumentException(
                $"Given normalized_shape={Require.Size(_normalized_shape)}, expected input with shape [*, {string.Join(", ", _normalized_shape)}], but got input of size{Require.Size(input.shape)}. "
                + $"{GetType().Name}({PythonText.Tuple(_normalized_shape)}) normalises an input whose shape ends in {Require.Size(_normalized_shape)}, "
                + $"but received {Require.Describe(input)}. Make the layer with the sizes of the input's last axes, or move the features there.",
                nameof(input));
        return new LayerNormOperation(_normalized_shape, eps).Apply(input, scale, shift);
    }

    private bool EndsInNormalizedShape(Tensor input)
    {
        var axes = _normalized_shape.Length;
        if (input.dim() < axes)
            return false;
        for (var i = 1; i <= axes; i++)
        {
            if (input.size(-i) != _normalized_shape[axes - i])
                return false;
        }
        return true;
    }

    private void RequireDtypes(Tensor input, Parameter? scale, Parameter? shift)
    {
        if ((scale ?? shift)?.dtype is not { } dtype)
            return;
        if (shift is not null && shift.dtype != dtype)
            throw new InvalidOperationException(
                $"{GetType().Name} needs weight and bias of one dtype, but they are {dtype} and {shift.dtype}. Convert both: layer.to(ScalarType.{dtype}).");
        if (dtype == input.dtype || (Require.IsHalf(input.dtype) && dtype == ScalarType.Float32))
            return;
        throw new ArgumentException(
            $"{Require.MixedDtype(input)}{GetType().Name} takes an input of its parameters' dtype, or Float16 and BFloat16 with Float32 parameters, "
            + $"but its parameters are {dtype} and it received {Require.Describe(input)}. Convert one: layer.to(input.dtype), or input.to(ScalarType.{dtype}).",
            nameof(input));
    }
}
