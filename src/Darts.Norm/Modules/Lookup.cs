using System.Diagnostics.CodeAnalysis;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>What stands at a dotted path.</summary>
[RequiresUnreferencedCode(Attributes.Why)]
internal static class Lookup
{
    public static nn.Module Submodule(nn.Module module, string target)
    {
        if (target.Length == 0)
            return module;
        foreach (var name in target.Split('.'))
            module = Child(module, name);
        return module;
    }

    public static Parameter Parameter(nn.Module module, string target)
    {
        var (owner, name) = Owner(module, target, (holder, path) => Registry.Parameters(holder).Exists(entry => entry.name == path));
        return Registry.Parameters(owner).Find(entry => entry.name == name).parameter ?? throw new MissingMemberException($"`{name}` is not an nn.Parameter");
    }

    public static Tensor? Buffer(nn.Module module, string target)
    {
        var (owner, name) = Owner(module, target, Registry.HasBuffer);
        return Registry.HasBuffer(owner, name)
            ? Registry.Buffers(owner).Find(entry => entry.name == name).buffer
            : throw new MissingMemberException($"`{name}` is not a buffer");
    }

    // What holds the end of a dotted path: the last name mostly, but TorchSharp's MultiheadAttention has a parameter "out_proj.weight".
    private static (nn.Module owner, string name) Owner(nn.Module module, string target, Func<nn.Module, string, bool> holds)
    {
        var name = target;
        while (!holds(module, name) && name.Split('.', 2) is [var child, var rest])
            (module, name) = (Child(module, child), rest);
        RequireAttribute(module, name);
        return (module, name);
    }

    private static nn.Module Child(nn.Module module, string name)
    {
        RequireAttribute(module, name);
        return Registry.Children(module).Find(entry => entry.name == name).module ?? throw new MissingMemberException($"`{name}` is not an nn.Module");
    }

    public static void RequireAttribute(nn.Module module, string name)
    {
        if (!Attributes.Has(module, name))
            throw new MissingMemberException($"{PythonText.ClassName(module)} has no attribute `{name}`");
    }
}
