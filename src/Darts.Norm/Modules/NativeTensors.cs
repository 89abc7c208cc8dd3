using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>
/// What libtorch's own modules hold inside of TorchSharp's: LSTM, GRU, RNN, their cells, MultiheadAttention, the Transformers, Embedding, EmbeddingBag and loaded scripts
/// compute with it, whatever is registered. Embedding, EmbeddingBag and the cells take another parameter by their properties; in the others, the tensor stays and its data changes.
/// </summary>
[RequiresUnreferencedCode(Attributes.Why)]
internal static class NativeTensors
{
    private static readonly Func<nn.Module, (string, Parameter)[]> Parameters = Named<(string, Parameter)[]>("_named_parameters");
    private static readonly Func<nn.Module, (string, Tensor)[]> Buffers = Named<(string, Tensor)[]>("_named_buffers");

    /// <summary>The tensor of this name, in a new object, if no other can take its place.</summary>
    public static Tensor? Find(nn.Module module, string name)
    {
        using var scope = NewDisposeScope();
        var found = Parameters(module).Select(entry => (name: entry.Item1, tensor: (Tensor)entry.Item2))
            .Concat(Buffers(module).Select(entry => (name: entry.Item1, tensor: entry.Item2)))
            .ToList().Find(entry => entry.name == name).tensor;
        return found is null || Property(module, name) is not null ? null : scope.MoveToOuter(found);
    }

    /// <summary>What is to be registered in the place of <paramref name="old"/>, with this data.</summary>
    /// <param name="held">What <see cref="Find"/> found. It takes the data; on the meta device, which has none, NaN, since the values from before would pass for right.</param>
    /// <param name="old">The registered tensor.</param>
    /// <param name="data">Shared, not copied.</param>
    public static Tensor Renewed(Tensor? held, Tensor old, Tensor data)
    {
        var isMeta = data.device_type == DeviceType.META;
        if (held is not null)
        {
            using var nan = tensor(float.NaN, dtype: held.dtype, device: held.device);
            using var none = nan.expand(held.shape);
            InPlace.SetData(held, isMeta ? none : data, grad: null);
        }
        if (held is null || isMeta)
            return old is Parameter ? new Parameter(data.alias(), old.requires_grad) : data.alias();
        held.requires_grad = old.requires_grad;
        return held;
    }

    /// <summary>Computes with the parameter from now on, where the module can.</summary>
    public static void Set(nn.Module module, string name, Parameter value)
    {
        using var scope = NewDisposeScope();
        if (Property(module, name) is { } property && Parameters(module).Length > 0)
            property.SetValue(module, value);
    }

    /// <exception cref="NotSupportedException">The module would go on computing with the parameter that it has.</exception>
    public static void RequireReplaceable(nn.Module module, string name, Parameter? value)
    {
        using var scope = NewDisposeScope();
        if (!Array.Exists(Parameters(module), entry => entry.Item1 == name) || (value is not null && Property(module, name) is not null))
            return;
        throw new NotSupportedException(
            $"A parameter to register must become what the module computes with, but {PythonText.ClassName(module)} keeps its '{name}' inside of libtorch, "
            + $"where {(value is null ? "it cannot be taken away" : "no other can take its place")}. "
            + (value is null ? "Make the module without it." : $"Copy the values into it under no_grad: get_parameter(\"{name}\").copy_(...); what is to share it can register that parameter."));
    }

    // Setters of Linear and the like are left out: they set a field, which has been done, and dispose the old parameter, which may be tied.
    private static PropertyInfo? Property(nn.Module module, string name) =>
        module.GetType().Assembly == typeof(nn.Module).Assembly && module.GetType().GetProperty(name, typeof(Parameter)) is { CanWrite: true } property ? property : null;

    private static Func<nn.Module, T> Named<T>(string method) =>
        typeof(nn.Module).GetMethod(method, BindingFlags.Instance | BindingFlags.NonPublic)?.CreateDelegate<Func<nn.Module, T>>() ?? throw Registry.Unknown(method);
}
