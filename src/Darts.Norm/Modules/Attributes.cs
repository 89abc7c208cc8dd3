using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>The names that a module has, as Python's <c>hasattr</c> knows them, and the fields that hold what it registered.</summary>
[RequiresUnreferencedCode(Why)]
internal static class Attributes
{
    public const string Why = "A module's members are looked up by name, as in Python.";

    private const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private static readonly ConcurrentDictionary<Type, FieldInfo[]> Fields = new();
    private static readonly ConcurrentDictionary<Type, HashSet<string>> Names = new();

    /// <summary>Whether the name is registered, or a member of the class.</summary>
    public static bool Has(nn.Module module, string name) =>
        HasParameter(module, name) || Registry.HasBuffer(module, name) || Registry.HasChild(module, name) || Names.GetOrAdd(module.GetType(), NamesOf).Contains(name);

    /// <summary>Whether a parameter of this name is registered, if only without a value: a property of type Parameter counts as such.</summary>
    public static bool HasParameter(nn.Module module, string name) =>
        Registry.Parameters(module).Exists(entry => entry.name == name)
        || ModuleRecord.Find(module)?.NullParameters.Contains(name) == true
        || (Array.Exists(module.GetType().GetProperties(), property => property.Name == name && property.PropertyType == typeof(Parameter)) && !Registry.HasBuffer(module, name) && !Registry.HasChild(module, name));

    public static IEnumerable<FieldInfo> FieldsHolding(nn.Module module, object value) =>
        Fields.GetOrAdd(module.GetType(), FieldsOf).Where(field => ReferenceEquals(field.GetValue(module), value));

    /// <summary>A field of a type of TorchSharp's.</summary>
    public static T Value<T>(Type type, nn.Module module, string field) =>
        (T)(type.GetField(field, Own)?.GetValue(module) ?? throw Registry.Unknown($"{type.Name}.{field}"));

    private static FieldInfo[] FieldsOf(Type type) =>
        [.. OwnTypes(type).SelectMany(own => own.GetFields(Own)).Where(field => CanHold(field.FieldType))];

    private static bool CanHold(Type type) =>
        type.IsInterface || type == typeof(object) || typeof(Tensor).IsAssignableFrom(type) || typeof(nn.Module).IsAssignableFrom(type);

    // What nn.Module itself has that isn't public is not an attribute of PyTorch's modules: a buffer may be called "name".
    private static HashSet<string> NamesOf(Type type) =>
    [
        .. type.GetMembers(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.FlattenHierarchy).Select(member => member.Name),
        .. OwnTypes(type).SelectMany(own => own.GetMembers(Own)).Where(member => member is FieldInfo or PropertyInfo or MethodInfo).Select(member => member.Name),
        .. typeof(PyTorchModule<nn.Module>).GetMembers(BindingFlags.Instance | BindingFlags.Public).Select(member => member.Name),
    ];

    private static IEnumerable<Type> OwnTypes(Type type)
    {
        for (var own = type; own != typeof(nn.Module) && own.DeclaringType != typeof(nn); own = own.BaseType!)
            yield return own;
    }
}
