using System.Runtime.CompilerServices;
using TorchSharp.Modules;
using TorchSharp.Utils;

namespace Darts.Norm;

/// <summary>A module's own parameters, buffers and children, by name and in order, as <c>_parameters</c>, <c>_buffers</c> and <c>_modules</c> hold them in PyTorch.</summary>
/// <remarks>TorchSharp keeps them in protected fields, and those of its containers in lists of their own.</remarks>
internal static class Registry
{
    private const int Deepest = 1000; // Python's limit of recursion; the paths of deeper modules alone would take all memory

    private static readonly Action<nn.Module> Register = typeof(nn.Module)
        .GetMethod("RegisterComponents", System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.NonPublic)?.CreateDelegate<Action<nn.Module>>() ?? throw Unknown("RegisterComponents");

    public static List<(string name, Parameter parameter)> Parameters(nn.Module module)
    {
        RequireUsable(module);
        var own = module is ParameterList or ParameterDict ? module.named_parameters(false) : ParametersOf(module);
        return [.. own.Select(entry => (entry.Item1, Alive(entry.Item2, module, "parameter", entry.Item1)))];
    }

    public static List<(string name, Tensor buffer, bool persistent)> Buffers(nn.Module module)
    {
        RequireUsable(module);
        return [.. ((IList<(string, (Tensor, bool))>)BuffersOf(module)).Select(entry => (entry.Item1, Alive(entry.Item2.Item1, module, "buffer", entry.Item1), entry.Item2.Item2))];
    }

    /// <summary>Parameters and buffers.</summary>
    public static IEnumerable<Tensor> Tensors(nn.Module module) => NamedTensors(module).Select(entry => entry.tensor);

    public static IEnumerable<(string name, Tensor tensor)> NamedTensors(nn.Module module) =>
        Parameters(module).Select(entry => (entry.name, (Tensor)entry.parameter)).Concat(Buffers(module).Select(entry => (entry.name, entry.buffer)));

    /// <summary>The module's children by name. A disposed module has them too, for its text.</summary>
    /// <param name="module">The module.</param>
    /// <param name="depth">How many modules the caller has descended to it.</param>
    /// <exception cref="InsufficientExecutionStackException">Python's RecursionError: a module contains itself.</exception>
    public static List<(string name, nn.Module module)> Children(nn.Module module, int depth = 0)
    {
        if (depth > Deepest || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new InsufficientExecutionStackException(
                $"A network must end somewhere, but the {PythonText.ClassName(module)} here lies too deep, in itself probably. Hold a module that is around this one in a Func, not in a field: fields are children.");
        if (IsModuleList(module))
            return [.. Enumerable.Select((IEnumerable<nn.Module>)module, (child, i) => ($"{i}", child))];
        if (module is ModuleDict<nn.Module> dictionary)
            return [.. dictionary.Keys.Zip(dictionary.Values)];
        if (ContainerOf(module, typeof(ModuleDict<>)) is not null)
            RegisterComponents(module); // as attaching it does
        return [.. module.named_children().Select(entry => (entry.name, entry.module))];
    }

    public static bool HasBuffer(nn.Module module, string name) =>
        Buffers(module).Exists(entry => entry.name == name) || ModuleRecord.Find(module)?.NullBuffers.Contains(name) == true;

    public static bool HasChild(nn.Module module, string name) =>
        Children(module).Exists(entry => entry.name == name) || ModuleRecord.Find(module)?.NullModules.Contains(name) == true;

    public static bool IsModuleList(nn.Module module) => ContainerOf(module, typeof(ModuleList<>)) is not null;

    /// <summary>Whether the module holds others, or parameters, and has no <c>call</c>.</summary>
    public static bool IsContainer(nn.Module module) => module is ParameterList or ParameterDict || IsModuleList(module) || ContainerOf(module, typeof(ModuleDict<>)) is not null;

    /// <summary>The type of TorchSharp's that makes the module a container of this kind.</summary>
    public static Type? ContainerOf(nn.Module module, Type definition)
    {
        for (var type = module.GetType(); type is not null; type = type.BaseType)
        {
            if (type.IsGenericType && type.GetGenericTypeDefinition() == definition)
                return type;
        }
        return null;
    }

    /// <summary>Where TorchSharp believes the module to be; its own <c>to</c> does nothing where that is the target.</summary>
    public static void SetDevice(nn.Module module, Device device)
    {
        DeviceTypeOf(module) = device.type;
        DeviceIndexOf(module) = device.type == DeviceType.CUDA ? device.index : -1;
    }

    public static void RegisterComponents(nn.Module module) => Register(module);

    public static OrderedDict<string, Parameter> ParametersOf(nn.Module module) => Known(module, static module => InternalParams(module));

    public static OrderedDict<string, (Tensor, bool)> BuffersOf(nn.Module module) => Known(module, static module => InternalBuffers(module));

    public static OrderedDict<string, nn.Module> ChildrenOf(nn.Module module) => Known(module, static module => InternalSubmodules(module));

    public static NotSupportedException Unknown(string what) =>
        new($"Darts.Norm knows how TorchSharp 0.107 keeps a module's parameters, buffers, children and hooks, and this is {typeof(nn.Module).Assembly.GetName().Version}, where that is otherwise ({what}). Use TorchSharp 0.107.");

    private static void RequireUsable(nn.Module module) => (module as NormModule)?.RequireNotDisposed();

    private static T Alive<T>(T tensor, nn.Module module, string kind, string name)
        where T : Tensor =>
        !tensor.IsInvalid
            ? tensor
            : throw new ObjectDisposedException(
                name, $"The {kind} '{name}' of {PythonText.ClassName(module)} is disposed: the module was, or a DisposeScope ended that it was built in. Build modules outside of scopes, or detach their parameters from them.");

    private static T Known<T>(nn.Module module, Func<nn.Module, T> read)
    {
        try
        {
            return read(module);
        }
        catch (MissingFieldException error)
        {
            throw Unknown(error.Message);
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_internal_params")]
    private static extern ref OrderedDict<string, Parameter> InternalParams(nn.Module module);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_internal_buffers")]
    private static extern ref OrderedDict<string, (Tensor, bool)> InternalBuffers(nn.Module module);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_internal_submodules")]
    private static extern ref OrderedDict<string, nn.Module> InternalSubmodules(nn.Module module);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_deviceType")]
    private static extern ref DeviceType DeviceTypeOf(nn.Module module);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_deviceIndex")]
    private static extern ref int DeviceIndexOf(nn.Module module);
}
