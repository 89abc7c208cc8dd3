using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Changes a parameter's dtype or device in place, as PyTorch's <c>param.data = ...</c> does, so that whoever holds it keeps the right one.</summary>
internal static class InPlace
{
    // TorchSharp binds no set_data; the operator is reached through TorchScript.
    private static readonly Lazy<jit.CompilationUnit> Operators = new(() => jit.compile(
        """
        def set_data(parameter: Tensor, data: Tensor) -> None:
            parameter.set_data(data)
        """));

    public static void Convert(Parameter parameter, ScalarType? dtype, Device? device, bool non_blocking)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var targetDtype = is_floating_point(parameter) || is_complex(parameter) ? dtype ?? parameter.dtype : parameter.dtype;
        var targetDevice = device ?? parameter.device;
        var data = parameter.to(targetDtype, targetDevice, copy: false, non_blocking: non_blocking);
        if (data.Handle == parameter.Handle || (data.dtype == parameter.dtype && data.device_type == parameter.device_type && data.device_index == parameter.device_index))
            return;
        var grad = parameter.grad?.to(targetDtype, targetDevice, copy: false, non_blocking: non_blocking);
        parameter.grad = null;
        Operators.Value.invoke("set_data", parameter, data);
        parameter.grad = grad;
    }
}
