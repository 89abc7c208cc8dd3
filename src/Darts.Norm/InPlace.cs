namespace Darts.Norm;

/// <summary>Changes a tensor's dtype or device in place, as PyTorch's <c>param.data = ...</c> does, so that whoever holds it keeps the right one.</summary>
internal static class InPlace
{
    // TorchSharp binds no set_data; the operator is reached through TorchScript, whose parser wants a line end at the end.
    private static readonly Lazy<jit.CompilationUnit> Operators = new(() => jit.compile(
        """
        def set_data(tensor: Tensor, data: Tensor):
            tensor.set_data(data)

        """));

    /// <summary>Whether <see cref="Convert"/> can: values do not move to or from the meta device in place.</summary>
    public static bool IsPossible(Tensor tensor, Device? device) =>
        device is null || (device.type == DeviceType.META) == (tensor.device_type == DeviceType.META);

    public static void Convert(Tensor tensor, ScalarType? dtype, Device? device, bool non_blocking)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var targetDtype = is_floating_point(tensor) || is_complex(tensor) ? dtype ?? tensor.dtype : tensor.dtype;
        var targetDevice = device ?? tensor.device;
        var data = tensor.to(targetDtype, targetDevice, copy: false, non_blocking: non_blocking);
        if (data.dtype == tensor.dtype && data.device_type == tensor.device_type && data.device_index == tensor.device_index)
            return;
        var grad = tensor.grad?.to(targetDtype, targetDevice, copy: false, non_blocking: non_blocking);
        tensor.grad = null;
        SetData(tensor, data);
        tensor.grad = grad;
    }

    public static void SetData(Tensor tensor, Tensor data) => Operators.Value.invoke("set_data", tensor, data);
}
