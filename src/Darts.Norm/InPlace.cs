namespace Darts.Norm;

/// <summary>Changes a tensor's dtype or device in place, as PyTorch's <c>param.data = ...</c> does, so that whoever holds it keeps the right one.</summary>
internal static class InPlace
{
    // TorchSharp binds no set_data; the operator is reached through TorchScript, whose parser wants a line end at the end.
    private static readonly Lazy<jit.CompilationUnit> Operators = new(() => jit.compile(
        """
        def set_data(tensor: Tensor, data: Tensor):
            tensor.set_data(data)

        def is_inference(tensor: Tensor) -> bool:
            return tensor.is_inference()

        """));

    /// <summary>Whether <see cref="Convert"/> can: values do not move to or from the meta device in place.</summary>
    public static bool IsPossible(Tensor tensor, Device? device) =>
        device is null || (device.type == DeviceType.META) == (tensor.device_type == DeviceType.META);

    /// <summary>Why libtorch would refuse values written into the tensor; null where it takes them. To be asked first: some refusals come when the values are written already.</summary>
    public static string? WhyNot(Tensor tensor)
    {
        using var isInference = (Scalar)Operators.Value.invoke("is_inference", tensor);
        if (isInference.ToBoolean() && !is_inference_mode_enabled())
            return "Inplace update to inference tensor outside InferenceMode is not allowed. Make the module outside of inference_mode";
        var (shape, stride) = Require.IsDense(tensor) ? (tensor.shape, tensor.stride()) : ([], []);
        return shape.Zip(stride).Any(axis => axis is { First: > 1, Second: 0 })
            ? "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation"
            : null;
    }

    public static void Convert(Tensor tensor, ScalarType? dtype, Device? device, bool non_blocking)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var targetDtype = is_floating_point(tensor) || is_complex(tensor) ? dtype ?? tensor.dtype : tensor.dtype;
        var targetDevice = device ?? tensor.device;
        var data = tensor.to(targetDtype, targetDevice, copy: false, non_blocking: non_blocking);
        if (data.dtype == tensor.dtype && data.device_type == tensor.device_type && data.device_index == tensor.device_index)
            return;
        SetData(tensor, data, tensor.grad?.to(targetDtype, targetDevice, copy: false, non_blocking: non_blocking));
    }

    /// <summary>Gives the tensor other values, and a gradient that fits them: what it had may be of another dtype.</summary>
    public static void SetData(Tensor tensor, Tensor data, Tensor? grad)
    {
        tensor.grad = null;
        Operators.Value.invoke("set_data", tensor, data);
        tensor.grad = grad;
    }
}
