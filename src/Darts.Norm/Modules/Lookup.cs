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
        {
            RequireAttribute(module, name);
            module = Registry.Children(module).Find(entry => entry.name == name).module ?? throw new MissingMemberException($"`{name}` is not an nn.Module");
        }
        return module;
    }

    public static Parameter Parameter(nn.Module module, string target)
    {
        var (owner, name) = Owner(module, target);
        return Registry.Parameters(owner).Find(entry => entry.name == name).parameter ?? throw new MissingMemberException($"`{name}` is not an nn.Parameter");
    }

    public static Tensor? Buffer(nn.Module module, string target)
    {
        var (owner, name) = Owner(module, target);
        return Registry.HasBuffer(owner, name)
            ? Registry.Buffers(owner).Find(entry => entry.name == name).buffer
            : throw new MissingMemberException($"`{name}` is not a buffer");
    }

    /// <summary>What holds the last name of a dotted path.</summary>
    public static (nn.Module owner, string name) Owner(nn.Module module, string target)
    {
        var dot = target.LastIndexOf('.');
        var (owner, name) = (Submodule(module, dot < 0 ? "" : target[..dot]), target[(dot + 1)..]);
        RequireAttribute(owner, name);
        return (owner, name);
    }

    public static void RequireAttribute(nn.Module module, string name)
    {
        if (!Attributes.Has(module, name))
            throw new MissingMemberException($"{PythonText.ClassName(module)} has no attribute `{name}`");
    }
}
