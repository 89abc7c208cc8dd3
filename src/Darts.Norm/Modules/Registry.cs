using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchSharp.Modules;
using TorchSharp.Utils;

namespace Darts.Norm;

/// <summary>A module's own parameters, buffers and children, by name and in order, as <c>_parameters</c>, <c>_buffers</c> and <c>_modules</c> hold them in PyTorch.</summary>
/// <remarks>TorchSharp keeps them in protected fields, and those of its containers in lists of their own. This is the one place that knows.</remarks>
internal static class Registry
{
    private const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private static readonly ConcurrentDictionary<Type, FieldInfo[]> Fields = new();
    private static readonly ConcurrentDictionary<Type, HashSet<string>> Attributes = new();

    private static readonly Action<nn.Module> RegisterComponents = typeof(nn.Module)
        .GetMethod("RegisterComponents", Own)?.CreateDelegate<Action<nn.Module>>() ?? throw Unknown("RegisterComponents");

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

    public static List<(string name, nn.Module module)> Children(nn.Module module)
    {
        RequireUsable(module);
        if (ContainerOf(module, typeof(ModuleList<>)) is not null)
            return [.. Enumerable.Select((IEnumerable<nn.Module>)module, (child, i) => ($"{i}", child))];
        if (ContainerOf(module, typeof(ModuleDict<>)) is { } dictionary)
            return [.. Named<IEnumerable<string>>(dictionary, module, "Keys").Zip(Named<IEnumerable<nn.Module>>(dictionary, module, "Values"))];
        return [.. module.named_children().Select(entry => (entry.name, entry.module))];
    }

    /// <summary>Whether Python's <c>hasattr</c> would find the name: registered, or a member of the class.</summary>
    public static bool HasAttribute(nn.Module module, string name) =>
        Parameters(module).Exists(entry => entry.name == name)
        || Buffers(module).Exists(entry => entry.name == name)
        || Children(module).Exists(entry => entry.name == name)
        || HasNull(module, name)
        || Attributes.GetOrAdd(module.GetType(), MembersOf).Contains(name);

    /// <summary>Whether a parameter of this name is registered, if only without a value: a null property of type Parameter counts as such.</summary>
    public static bool HasParameter(nn.Module module, string name) =>
        Parameters(module).Exists(entry => entry.name == name)
        || ModuleRecord.Find(module)?.NullParameters.Contains(name) == true
        || (module.GetType().GetProperty(name) is { } property && property.PropertyType == typeof(Parameter) && !HasBuffer(module, name) && !HasChild(module, name));

    public static bool HasBuffer(nn.Module module, string name) =>
        Buffers(module).Exists(entry => entry.name == name) || ModuleRecord.Find(module)?.NullBuffers.Contains(name) == true;

    public static bool HasChild(nn.Module module, string name) =>
        Children(module).Exists(entry => entry.name == name) || ModuleRecord.Find(module)?.NullModules.Contains(name) == true;

    public static bool IsModuleList(nn.Module module) => ContainerOf(module, typeof(ModuleList<>)) is not null;

    /// <summary>Registers the parameter, in the place of one of this name, and wherever the module's fields hold that one; null leaves the name without a value.</summary>
    public static void SetParameter(nn.Module module, string name, Parameter? value)
    {
        value?.DetachFromDisposeScope();
        if (module is ParameterList list && int.TryParse(name, out var index) && value is not null)
        {
            if (index == list.Count)
                list.Add(value);
            else
                list[index] = value;
        }
        else if (module is ParameterDict dictionary && value is not null)
        {
            if (dictionary.ContainsKey(name))
                dictionary[name] = value;
            else
                dictionary.Add(name, value);
        }
        Set(module, ParametersOf(module), ModuleRecord.Of(module).NullParameters, name, value, value, item => item);
    }

    /// <summary>As <see cref="SetParameter"/>, for a buffer.</summary>
    public static void SetBuffer(nn.Module module, string name, Tensor? value, bool persistent)
    {
        value?.DetachFromDisposeScope();
        Set(module, BuffersOf(module), ModuleRecord.Of(module).NullBuffers, name, value is null ? null : ((Tensor, bool)?)(value, persistent), value, item => item.Item1);
    }

    /// <summary>As <see cref="SetParameter"/>, for a child.</summary>
    /// <exception cref="ArgumentTypeException">A container or a field holds modules of another type. Nothing is changed.</exception>
    public static void SetChild(nn.Module module, string name, nn.Module? child)
    {
        var old = Children(module).Find(entry => entry.name == name).module;
        if (old is not null && child is not null)
            RequireFieldsFor(module, name, old, child);
        if (child is not null)
        {
            RegisterComponents(child);
            if (SetItem(module, name, child))
                return;
        }
        Set(module, ChildrenOf(module), ModuleRecord.Of(module).NullModules, name, child, child, item => item);
    }

    /// <summary>Where TorchSharp believes the module to be; its own <c>to</c> does nothing where that is the target.</summary>
    public static void SetDevice(nn.Module module, Device device)
    {
        DeviceTypeOf(module) = device.type;
        DeviceIndexOf(module) = device.type == DeviceType.CUDA ? device.index : -1;
    }

    private static void Set<TValue>(
        nn.Module module, OrderedDict<string, TValue> registry, List<string> nulls, string name, object? value, object? held, Func<TValue, object> heldBy)
    {
        var old = registry.TryGetValue(name, out var item) ? heldBy(item) : null;
        nulls.Remove(name);
        if (value is null)
        {
            if (old is not null)
                registry.Remove(name);
            nulls.Add(name);
        }
        else
        {
            registry[name] = (TValue)value;
        }
        if (old is null || ReferenceEquals(old, held))
            return;
        foreach (var field in FieldsHolding(module, old))
            field.SetValue(module, held);
    }

    private static bool SetItem(nn.Module module, string name, nn.Module child)
    {
        if (module is Sequential)
        {
            if (child is not nn.IModule<Tensor, Tensor>)
                throw WrongType(module, name, child, "Module<Tensor, Tensor>");
            SetListed(module, typeof(Sequential), name, child);
            return true;
        }
        if (SequentialOf(module) is { } sequential)
        {
            SetListed(module, sequential, name, child);
            return true;
        }
        if (ContainerOf(module, typeof(ModuleList<>)) is { } list)
        {
            var items = Named<object>(list, module, null);
            var count = ((System.Collections.IEnumerable)items).Cast<object>().Count();
            if (!int.TryParse(name, out var index) || index < 0 || index > count)
                throw new KeyNotFoundException($"{PythonText.ClassName(module)} has {count} modules and takes one under \"0\" to \"{count}\", but got \"{name}\". Put a module of that name beside the list.");
            RequireItem(list, module, name, child);
            if (index == count)
                list.GetMethod("Add")!.Invoke(module, [child]);
            else
                list.GetProperty("Item")!.SetValue(module, child, [index]);
        }
        else if (ContainerOf(module, typeof(ModuleDict<>)) is { } dictionary)
        {
            RequireItem(dictionary, module, name, child);
            if (Children(module).Exists(entry => entry.name == name))
                dictionary.GetProperty("Item", [typeof(string)])!.SetValue(module, child, [name]);
            else
                dictionary.GetMethod("Add", [typeof(string), dictionary.GenericTypeArguments[0]])!.Invoke(module, [name, child]);
        }
        return false; // what is registered already is registered anew as well
    }

    private static void SetListed(nn.Module module, Type sequential, string name, nn.Module child)
    {
        var modules = Named<System.Collections.IList>(sequential, module, "_modules");
        var names = Named<List<string>>(sequential, module, "_names");
        var index = names.IndexOf(name);
        if (index >= 0)
        {
            modules[index] = child;
            return;
        }
        modules.Add(child);
        names.Add(name);
    }

    private static void RequireItem(Type container, nn.Module module, string name, nn.Module child)
    {
        if (!container.GenericTypeArguments[0].IsInstanceOfType(child))
            throw WrongType(module, name, child, container.GenericTypeArguments[0].Name);
    }

    private static void RequireFieldsFor(nn.Module module, string name, nn.Module old, nn.Module child)
    {
        foreach (var field in FieldsHolding(module, old))
        {
            if (!field.FieldType.IsInstanceOfType(child))
                throw WrongType(module, name, child, field.FieldType.Name);
        }
    }

    private static ArgumentTypeException WrongType(nn.Module module, string name, nn.Module child, string type) =>
        new($"cannot assign '{PythonText.ClassName(child)}' as child module '{name}': {PythonText.ClassName(module)} holds a {type} there. Declare it as a module of what both are, nn.Module<Tensor, Tensor> say.");

    private static IEnumerable<FieldInfo> FieldsHolding(nn.Module module, object value) =>
        Fields.GetOrAdd(module.GetType(), FieldsOf).Where(field => ReferenceEquals(field.GetValue(module), value));

    private static FieldInfo[] FieldsOf(Type type) =>
        [.. OwnTypes(type).SelectMany(own => own.GetFields(Own)).Where(field => !field.FieldType.IsValueType && CanHold(field.FieldType))];

    private static bool CanHold(Type type) =>
        type.IsInterface || typeof(Tensor).IsAssignableFrom(type) || typeof(nn.Module).IsAssignableFrom(type) || type == typeof(object);

    // What nn.Module itself has that isn't public is not an attribute of PyTorch's modules: a buffer may be called "name".
    private static HashSet<string> MembersOf(Type type) =>
    [
        .. type.GetMembers(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.FlattenHierarchy).Select(member => member.Name),
        .. OwnTypes(type).SelectMany(own => own.GetMembers(Own)).Where(member => member is FieldInfo or PropertyInfo or MethodInfo).Select(member => member.Name),
        .. typeof(PyTorchModule<>).GetMembers(BindingFlags.Instance | BindingFlags.Public).Select(member => member.Name),
    ];

    private static IEnumerable<Type> OwnTypes(Type type)
    {
        for (var own = type; own is not null && own != typeof(nn.Module) && own.DeclaringType != typeof(nn); own = own.BaseType)
            yield return own;
    }

    private static Type? ContainerOf(nn.Module module, Type definition) =>
        OwnTypes(module.GetType()).FirstOrDefault(type => type.IsGenericType && type.GetGenericTypeDefinition() == definition);

    private static Type? SequentialOf(nn.Module module) =>
        OwnTypes(module.GetType()).FirstOrDefault(type => type.Namespace == typeof(Sequential).Namespace && type.IsGenericType && type.Name.StartsWith("Sequential`", StringComparison.Ordinal));

    private static bool HasNull(nn.Module module, string name) =>
        ModuleRecord.Find(module) is { } record && (record.NullParameters.Contains(name) || record.NullBuffers.Contains(name) || record.NullModules.Contains(name));

    private static void RequireUsable(nn.Module module) => (module as NormModule)?.RequireNotDisposed();

    private static T Alive<T>(T tensor, nn.Module module, string kind, string name)
        where T : Tensor =>
        !tensor.IsInvalid
            ? tensor
            : throw new ObjectDisposedException(
                name, $"The {kind} '{name}' of {PythonText.ClassName(module)} is disposed: the module was, or a DisposeScope ended that it was built in. Build modules outside of scopes, or detach their parameters from them.");

    private static T Named<T>(Type type, nn.Module module, string? member) =>
        member is null
            ? (T)(object)module
            : (T)(type.GetProperty(member)?.GetValue(module) ?? type.GetField(member, Own)?.GetValue(module) ?? throw Unknown($"{type.Name}.{member}"));

    private static OrderedDict<string, Parameter> ParametersOf(nn.Module module) => Known(module, static module => InternalParams(module));

    private static OrderedDict<string, (Tensor, bool)> BuffersOf(nn.Module module) => Known(module, static module => InternalBuffers(module));

    private static OrderedDict<string, nn.Module> ChildrenOf(nn.Module module) => Known(module, static module => InternalSubmodules(module));

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

    private static NotSupportedException Unknown(string what) =>
        new($"Darts.Norm knows how TorchSharp 0.107 keeps a module's parameters, buffers and children, and this is {typeof(nn.Module).Assembly.GetName().Version}, where that is otherwise ({what}). Use TorchSharp 0.107.");

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
