using System.Diagnostics.CodeAnalysis;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Casts and moves what modules hold, in place, as PyTorch's <c>_apply</c> does: everything is converted before anything is changed.</summary>
[RequiresUnreferencedCode(Attributes.Why)]
internal static class Conversion
{
    /// <summary>libtorch's numbers of the devices that TorchSharp has no name for.</summary>
    public const DeviceType XPU = (DeviceType)12;

    public const DeviceType IPU = (DeviceType)18;

    public const DeviceType MTIA = (DeviceType)20;

    private static readonly Dictionary<string, ScalarType> TensorTypes = new()
    {
        ["ByteTensor"] = ScalarType.Byte,
        ["CharTensor"] = ScalarType.Int8,
        ["ShortTensor"] = ScalarType.Int16,
        ["IntTensor"] = ScalarType.Int32,
        ["LongTensor"] = ScalarType.Int64,
        ["HalfTensor"] = ScalarType.Float16,
        ["FloatTensor"] = ScalarType.Float32,
        ["DoubleTensor"] = ScalarType.Float64,
        ["BFloat16Tensor"] = ScalarType.BFloat16,
        ["BoolTensor"] = ScalarType.Bool,
    };

    private static readonly Lazy<jit.CompilationUnit> Operators = new(() => jit.compile(
        """
        def in_format(tensor: Tensor, memory_format: int):
            return tensor.to(tensor.dtype, memory_format=memory_format)

        """));

    /// <summary>Floating-point tensors become <paramref name="dtype"/>, others stay: <c>half()</c>, <c>double()</c> and the like.</summary>
    public static void Cast(nn.Module module, ScalarType dtype) =>
        Apply(module, recurse: true, tensor => is_floating_point(tensor) ? Moved(tensor, dtype, tensor.device, false) : tensor, dtype, null);

    public static void To(nn.Module module, Device? device, ScalarType? dtype, bool nonBlocking, memory_format? memory_format)
    {
        if (dtype is { } wanted && !is_floating_point(wanted) && !is_complex(wanted))
            throw new ArgumentTypeException($"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={PythonText.Dtype(wanted)}");
        int? order = memory_format switch // libtorch's number of it
        {
            null or TorchSharp.memory_format.preserve_format => null,
            TorchSharp.memory_format.contiguous_format => 0,
            TorchSharp.memory_format.channels_last => 2,
            _ => throw new ArgumentOutOfRangeException(nameof(memory_format), memory_format, $"memory_format must be preserve_format, contiguous_format or channels_last, but is {memory_format}."),
        };
        Apply(module, recurse: true, Converted, dtype, device);

        Tensor Converted(Tensor tensor)
        {
            if (device is { type: not DeviceType.META } && tensor.device_type == DeviceType.META)
                throw new InvalidOperationException(
                    "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a different device.");
            var target = is_floating_point(tensor) || is_complex(tensor) ? dtype ?? tensor.dtype : tensor.dtype;
            var converted = Moved(tensor, target, device ?? tensor.device, nonBlocking);
            if (order is null || tensor.dim() is not (4 or 5))
                return converted;
            if (memory_format == TorchSharp.memory_format.channels_last && tensor.dim() == 5)
                throw new InvalidOperationException($"required rank 4 tensor to use channels_last format, but a parameter or buffer has {Require.Describe(tensor)}. Convert the modules of 4 dimensions alone.");
            return (Tensor)Operators.Value.invoke("in_format", converted, order)!;
        }
    }

    /// <summary>Every tensor becomes <paramref name="dtype"/>, integers too.</summary>
    public static void Type(nn.Module module, ScalarType dtype, Device? device)
    {
        if (!is_floating_point(dtype) && !is_complex(dtype) && Traversal.NamedParameters(module, "", true, true).Any(entry => entry.parameter.requires_grad))
            throw new InvalidOperationException("data set to a tensor that requires gradients must be floating point or complex dtype");
        Apply(module, recurse: true, tensor => Moved(tensor, dtype, device ?? tensor.device, false), dtype, device);
    }

    public static void Type(nn.Module module, string name)
    {
        var parts = name.Split('.');
        Device? device = parts is ["torch", "cuda", _] ? new Device(DeviceType.CUDA) : CPU;
        if (parts is not (["torch", _] or ["torch", "cuda", _]) || !TensorTypes.TryGetValue(parts[^1], out var dtype))
            throw new ArgumentException($"invalid type: '{name}'");
        Type(module, dtype, device);
    }

    public static void ToEmpty(nn.Module module, Device? device, bool recurse) =>
        Apply(module, recurse, tensor => empty_like(tensor, device: device), null, device);

    private static Tensor Moved(Tensor tensor, ScalarType dtype, Device device, bool nonBlocking) =>
        tensor.dtype == dtype && tensor.device_type == device.type && (device.index < 0 || tensor.device_index == device.index)
            ? tensor
            : tensor.to(dtype, device, copy: false, non_blocking: nonBlocking);

    private static void Apply(nn.Module root, bool recurse, Func<Tensor, Tensor> convert, ScalarType? dtype, Device? device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var modules = recurse ? Traversal.Modules(root).ToList() : [root];
        var converted = new Dictionary<object, (Tensor data, Tensor? grad)>(ReferenceEqualityComparer.Instance);
        foreach (var tensor in modules.SelectMany(Registry.Tensors).Where(tensor => !converted.ContainsKey(tensor)))
            converted.Add(tensor, (convert(tensor), tensor.grad is { } grad ? convert(grad) : null));

        var replaced = new Dictionary<object, Tensor>(ReferenceEqualityComparer.Instance); // a tied parameter stays tied
        foreach (var module in modules)
        {
            foreach (var (name, tensor) in Registry.NamedTensors(module))
            {
                var (data, grad) = converted[tensor];
                if (SetInPlace(tensor, data, grad))
                    continue;
                var held = NativeTensors.Find(module, name);
                if (held is null && replaced.ContainsKey(tensor))
                    continue;
                replaced[tensor] = NativeTensors.Renewed(held, tensor, data);
                replaced[tensor].grad = grad;
            }
        }
        foreach (var module in modules)
        {
            foreach (var (name, parameter) in Registry.Parameters(module))
            {
                if (replaced.TryGetValue(parameter, out var other))
                    Placement.Parameter(module, name, (Parameter)other);
            }
            foreach (var (name, buffer, persistent) in Registry.Buffers(module))
            {
                if (replaced.TryGetValue(buffer, out var other))
                    Placement.Buffer(module, name, other, persistent);
            }
            if (device is not null)
                Registry.SetDevice(module, device);
            (module as NormModule)?.MoveKept(dtype, device);
        }
        foreach (var old in replaced.Keys) // an optimizer that still holds one must fail, instead of training it in vain
            ((Tensor)old).Dispose();
    }

    private static bool SetInPlace(Tensor tensor, Tensor data, Tensor? grad)
    {
        if (ReferenceEquals(tensor, data))
            return true;
        if (!InPlace.IsPossible(tensor, data.device))
            return false;
        InPlace.SetData(tensor, data, grad);
        return true;
    }
}
