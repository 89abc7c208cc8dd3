using System.Collections;
using System.Diagnostics.CodeAnalysis;
using TorchSharp.Modules;
using TorchSharp.Utils;

namespace Darts.Norm;

/// <summary>Puts parameters, buffers and children under a name: in TorchSharp's registry, in its containers, and in the fields that hold what had the name.</summary>
[RequiresUnreferencedCode(Attributes.Why)]
internal static class Placement
{
    private static readonly Type[] Sequentials =
        [typeof(Sequential<,>), typeof(Sequential<,,>), typeof(Sequential<,,,>), typeof(Sequential<,,,,>), typeof(Sequential<,,,,,>), typeof(Sequential<,,,,,,>)];

    /// <summary>Registers the parameter, in the place of one of this name, and wherever the module's fields hold that one; null leaves the name without a value.</summary>
    public static void Parameter(nn.Module module, string name, Parameter? value)
    {
        value?.DetachFromDisposeScope();
        if (module is ParameterList or ParameterDict)
            Registry.RegisterComponents(module);
        if (module is ParameterList list && value is not null)
        {
            var index = Index(module, name, list.Count, "parameters");
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
        Set(module, Registry.ParametersOf(module), ModuleRecord.Of(module).NullParameters, name, value, value, item => item);
        if (value is not null)
            NativeTensors.Set(module, name, value);
    }

    /// <summary>As <see cref="Parameter"/>, for a buffer.</summary>
    public static void Buffer(nn.Module module, string name, Tensor? value, bool persistent)
    {
        value?.DetachFromDisposeScope();
        Set(module, Registry.BuffersOf(module), ModuleRecord.Of(module).NullBuffers, name, value is null ? null : ((Tensor, bool)?)(value, persistent), value, item => item.Item1);
    }

    /// <summary>Puts this data in the place of a parameter or persistent buffer, and answers how to take that back.</summary>
    public static Action Renew(nn.Module module, string name, Tensor old, Tensor data, Action<Tensor> own)
    {
        var held = NativeTensors.Find(module, name);
        var (values, grad) = (held?.detach(), held?.grad);
        var other = NativeTensors.Renewed(held, old, data);
        foreach (var tensor in new[] { held, values, grad }.Where(tensor => tensor is not null && !ReferenceEquals(tensor, other)))
            own(tensor!);
        Tensor(module, name, other);
        return () =>
        {
            if (held is not null)
                InPlace.SetData(held, values!, grad);
            Tensor(module, name, old);
        };
    }

    private static void Tensor(nn.Module module, string name, Tensor value)
    {
        if (value is Parameter parameter)
            Parameter(module, name, parameter);
        else
            Buffer(module, name, value, persistent: true);
    }

    /// <summary>As <see cref="Parameter"/>, for a child.</summary>
    /// <exception cref="ArgumentTypeException">A container or a field holds modules of another type. Nothing is changed.</exception>
    /// <exception cref="ArgumentException">The module is part of the child. PyTorch takes it, and raises a RecursionError later; TorchSharp's own members would end the process.</exception>
    public static void Child(nn.Module module, string name, nn.Module? child)
    {
        if (child is not null && Traversal.Modules(child).Contains(module, ReferenceEqualityComparer.Instance))
            throw new ArgumentException(
                $"A module must not contain itself, but the {PythonText.ClassName(child)} to be '{name}' of {PythonText.ClassName(module)} contains that one, and the network would have no end. Put another there.");
        var old = Registry.Children(module).Find(entry => entry.name == name).module;
        if (old is not null && child is not null)
            RequireFieldsFor(module, name, old, child);
        if (child is not null)
        {
            Registry.RegisterComponents(child);
            if (SetItem(module, name, child))
                return;
        }
        Set(module, Registry.ChildrenOf(module), ModuleRecord.Of(module).NullModules, name, child, child, item => item);
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
        foreach (var field in Attributes.FieldsHolding(module, old))
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
        if (Sequentials.Select(definition => Registry.ContainerOf(module, definition)).FirstOrDefault(type => type is not null) is { } sequential)
        {
            SetListed(module, sequential, name, child);
            return true;
        }
        if (Registry.ContainerOf(module, typeof(ModuleList<>)) is { } list)
        {
            var count = Registry.Children(module).Count;
            var index = Index(module, name, count, "modules");
            RequireItem(list, module, name, child);
            Registry.RegisterComponents(module); // or attaching the list would register what is registered here
            if (index == count)
                list.GetMethod("Add")!.Invoke(module, [child]);
            else
                list.GetProperty("Item")!.SetValue(module, child, [index]);
        }
        else if (Registry.ContainerOf(module, typeof(ModuleDict<>)) is { } dictionary)
        {
            RequireItem(dictionary, module, name, child);
            Registry.RegisterComponents(module);
            if (Registry.HasChild(module, name))
                dictionary.GetProperty("Item", [typeof(string)])!.SetValue(module, child, [name]);
            else
                dictionary.GetMethod("Add", [typeof(string), dictionary.GenericTypeArguments[0]])!.Invoke(module, [name, child]);
        }
        return false; // it is registered as well
    }

    private static int Index(nn.Module list, string name, int count, string items) =>
        int.TryParse(name, out var index) && index >= 0 && index <= count
            ? index
            : throw new KeyNotFoundException($"{PythonText.ClassName(list)} has {count} {items} and takes one under \"0\" to \"{count}\", but got \"{name}\". Put one of that name beside the list.");

    private static void SetListed(nn.Module module, Type sequential, string name, nn.Module child)
    {
        var modules = Attributes.Value<IList>(sequential, module, "_modules");
        var names = Attributes.Value<List<string>>(sequential, module, "_names");
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
        foreach (var field in Attributes.FieldsHolding(module, old))
        {
            if (!field.FieldType.IsInstanceOfType(child))
                throw WrongType(module, name, child, field.FieldType.Name);
        }
    }

    private static ArgumentTypeException WrongType(nn.Module module, string name, nn.Module child, string type) =>
        new($"cannot assign '{PythonText.ClassName(child)}' as child module '{name}': {PythonText.ClassName(module)} holds a {type} there. Declare it as a module of what both are, nn.Module<Tensor, Tensor> say.");
}
