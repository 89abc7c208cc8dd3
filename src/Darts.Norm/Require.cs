using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Darts.Norm.Kernels;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Checks of arguments and inputs. Each error says what must hold, what was received and what to do.</summary>
internal static class Require
{
    /// <param name="value">What is to be there.</param>
    /// <param name="what">What it is, with its article.</param>
    /// <param name="advice">What to do, where that is more than to pass one.</param>
    /// <param name="caller">Who takes it.</param>
    /// <param name="argument">The argument's name.</param>
    public static T NotNull<T>(
        [NotNull] T? value, string what, string? advice = null, [CallerMemberName] string caller = "", [CallerArgumentExpression(nameof(value))] string argument = "")
        where T : class =>
        value ?? throw new ArgumentNullException(argument, $"{caller} takes {what}, but received null. {advice ?? $"Pass {what}."}");

    public static long Positive(long size, string argument) =>
        size > 0 ? size : throw new ArgumentOutOfRangeException(argument, size, $"{argument} is the size of an axis and must be at least 1, but is {size}. Give the size that the input's axis has.");

    public static double Epsilon(double eps) => AtLeastZero(eps, nameof(eps), " It keeps a division by zero away: 1e-5, say.");

    public static double AtLeastZero(double value, string name, string advice = "") =>
        value >= 0 && double.IsFinite(value)
            ? value
            : throw new ArgumentOutOfRangeException(name, value, $"{name} must be a finite number of at least 0, but is {PythonText.Float(value)}.{advice}");

    public static ScalarType FloatingPoint(ScalarType dtype, string layer) =>
        IsSupported(dtype)
            ? dtype
            : throw new ArgumentException($"{layer} needs a dtype of Float16, BFloat16, Float32 or Float64, but got {dtype}. Choose one of these.", nameof(dtype));

    /// <summary>A tensor that a layer can compute with: there, not disposed, floating point and dense.</summary>
    public static void Input(Tensor? input, string layer, string argument)
    {
        NotNull(input, "a tensor", "Pass the tensor to normalise.", layer, argument);
        if (input.IsInvalid)
            throw new ObjectDisposedException(argument, $"{layer} received a disposed tensor. Keep it outside of the DisposeScope that ended, or move it out.");
        if (Unsuitable(input, layer, argument) is { } why)
            throw new ArgumentException(why, argument);
    }

    /// <summary>Why a layer cannot compute with a living tensor, if it cannot.</summary>
    public static string? Unsuitable(Tensor input, string layer, string name)
    {
        if (!IsSupported(input.dtype))
            return $"{NotFloatingPoint(input, layer)}{layer} normalises Float16, BFloat16, Float32 or Float64, but received {Describe(input)}. Convert it first: {Converted(input, name)}.";
        return IsDense(input)
            ? null
            : $"{layer} normalises dense tensors, but received one of another layout, a sparse one say, {Describe(input)}. Convert it first: {name}.to_dense().";
    }

    /// <summary>How a tensor becomes floating point, where that drops something by a name that says so.</summary>
    public static string Converted(Tensor tensor, string name) =>
        is_complex(tensor) ? $"{name}.real for the real part, {name}.abs() for the magnitude"
        : tensor.is_quantized() ? $"{name}.dequantize()"
        : $"{name}.to(ScalarType.Float32)";

    /// <summary>A parameter that a layer can compute with, if it is there: what was assigned fits, but what was registered, or changed since, may not.</summary>
    public static void Parameter(Parameter? parameter, ReadOnlySpan<long> shape, Tensor input, string layer, string key, string argument)
    {
        if (parameter is null)
            return;
        Living(parameter, layer, key);
        if (AreApart(input, parameter))
            throw new ArgumentException(
                $"{layer} and its input must be on one device, but the layer has a parameter on {parameter.device} and the input, {Describe(input)}, is on {input.device}. "
                + (parameter.device_type == DeviceType.META ? "The meta device has no values: make the layer anew, or give it some with to_empty and load_state_dict." : $"Move one: layer.to(device), or {argument}.to(device)."),
                argument);
        if (!IsSupported(parameter.dtype))
            throw new InvalidOperationException(
                $"{layer} computes with parameters of Float16, BFloat16, Float32 or Float64, but {key} is {parameter.dtype}. Convert the layer: layer.to(ScalarType.Float32){(is_complex(parameter) ? ", which keeps the real part alone" : "")}.");
        if (!HasSize(parameter, shape) || !IsDense(parameter))
            throw new InvalidOperationException(
                $"{layer} computes with a dense {key} of size {Size(shape)}, but it has {Describe(parameter)}, or another layout. Assign one that fits: layer.{key} = torch.nn.Parameter(...).");
    }

    /// <summary>A parameter that nobody disposed, if it is there.</summary>
    public static void Living(Parameter? parameter, string layer, string key)
    {
        if (parameter is { IsInvalid: true })
            throw new ObjectDisposedException(
                layer, $"{layer} computes with its own parameters, but one of them was disposed. Dispose the layer, never its parameters, and assign a new one: layer.{key} = torch.nn.Parameter(...).");
    }

    /// <summary>Whether they lie on different devices.</summary>
    public static bool AreApart(Tensor a, Tensor b)
    {
        var type = a.device_type;
        return type != b.device_type || (type != DeviceType.CPU && a.device_index != b.device_index);
    }

    /// <summary>A parameter that may take the place of <paramref name="old"/>. What has integers already, by a cast, may have others.</summary>
    public static void ParameterLike(Parameter value, Parameter? old, ReadOnlySpan<long> shape, string layer, string key)
    {
        if (value.IsInvalid)
            throw new ObjectDisposedException(key, $"{layer}.{key} must be a living parameter, but the assigned one is disposed. Keep it outside of the DisposeScope that ended.");
        if (!HasSize(value, shape))
            throw new ArgumentException(
                $"{layer}.{key} must have size {Size(shape)}, but the assigned parameter has size {Size(value.shape)}. Make the layer with that size instead.", key);
        if (!IsSupported(value.dtype) && (old is null || old.IsInvalid || old.dtype != value.dtype))
            throw new ArgumentException($"{layer}.{key} must be Float16, BFloat16, Float32 or Float64, but the assigned parameter is {value.dtype}. Convert it first: {Converted(value, key)}.", key);
        if (!IsDense(value))
            throw new ArgumentException($"{layer}.{key} must be dense, but the assigned parameter is sparse or of another layout. Convert it first: to_dense().", key);
    }

    /// <summary>A parameter that the layer cannot be without.</summary>
    public static Parameter Given(Parameter? value, string layer, string key, ReadOnlySpan<long> shape) =>
        value ?? throw new ArgumentNullException(key, $"{layer}.{key} must be a parameter of size {Size(shape)}, but received null. The layer cannot be without it: make ones or zeros instead.");

    /// <summary>PyTorch's words for a last axis that does not fit, where it has any: they come first, for who looks for them.</summary>
    public static string MustMatch(Tensor input, long size) =>
        input.dim() == 0 ? "" : $"The size of tensor a ({input.size(-1)}) must match the size of tensor b ({size}) at non-singleton dimension {input.dim() - 1}. ";

    /// <summary>PyTorch's words for an input of another dtype than the parameters'.</summary>
    public static string MixedDtype(Tensor input) => $"mixed dtype ({input.device_type}): all inputs must share same datatype. ";

    private static string NotFloatingPoint(Tensor input, string layer) => (layer, input.dtype) switch
    {
        (nameof(RMSNorm), ScalarType.Int64) => "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long. ",
        (nameof(LayerNorm), _) => MixedDtype(input),
        _ => "",
    };

    public static bool IsHalf(ScalarType dtype) => dtype is ScalarType.Float16 or ScalarType.BFloat16;

    public static string Describe(Tensor tensor)
    {
        try
        {
            return $"size {Size(tensor.shape)}, dtype {tensor.dtype}";
        }
        catch (System.Runtime.InteropServices.ExternalException) // a nested tensor has no one size
        {
            return $"dtype {tensor.dtype}";
        }
    }

    public static string Size(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    /// <summary>Whether values lie in memory by strides: not so of sparse layouts, of which TorchSharp names one, of MKL-DNN's, and of libtorch's zeros without memory.</summary>
    public static unsafe bool IsDense(Tensor tensor)
    {
        try
        {
            if (tensor.device_type != DeviceType.CPU)
                return !tensor.is_sparse && (tensor.dim() == 0 || tensor.stride(0) >= 0);
            if (TensorMemory.Start(tensor) is not null)
                return true;
            CheckForErrors(); // that there is no memory: the next call would find it
            return tensor.numel() == 0 && !tensor.is_sparse;
        }
        catch (System.Runtime.InteropServices.ExternalException)
        {
            return false;
        }
    }

    private static bool HasSize(Tensor tensor, ReadOnlySpan<long> shape)
    {
        if (tensor.dim() != shape.Length)
            return false;
        for (var axis = 0; axis < shape.Length; axis++)
        {
            if (tensor.size(axis) != shape[axis])
                return false;
        }
        return true;
    }

    private static bool IsSupported(ScalarType dtype) =>
        dtype is ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64;
}
