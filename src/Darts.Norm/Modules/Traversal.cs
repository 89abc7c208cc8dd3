using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Modules and what they hold, in PyTorch's order: a module before what is below it, depth first.</summary>
internal static class Traversal
{
    public static IEnumerable<(string name, nn.Module module)> NamedModules(nn.Module module, ISet<nn.Module> memo, string prefix, bool removeDuplicate)
    {
        if (memo.Contains(module))
            yield break;
        if (removeDuplicate)
            memo.Add(module);
        yield return (prefix, module);
        foreach (var (name, child) in Registry.Children(module))
        {
            foreach (var below in NamedModules(child, memo, Joined(prefix, name), removeDuplicate))
                yield return below;
        }
    }

    /// <summary>The module and all below it, each once.</summary>
    public static IEnumerable<nn.Module> Modules(nn.Module module) =>
        NamedModules(module, NewMemo(), "", true).Select(entry => entry.module);

    public static IEnumerable<(string name, nn.Module module)> NamedChildren(nn.Module module) =>
        Registry.Children(module).DistinctBy(entry => entry.module, ReferenceEqualityComparer.Instance);

    public static IEnumerable<(string name, Parameter parameter)> NamedParameters(nn.Module module, string prefix, bool recurse, bool removeDuplicate) =>
        NamedMembers(module, Registry.Parameters, prefix, recurse, removeDuplicate);

    public static IEnumerable<(string name, Tensor buffer)> NamedBuffers(nn.Module module, string prefix, bool recurse, bool removeDuplicate) =>
        NamedMembers(module, owner => Registry.Buffers(owner).Select(entry => (entry.name, entry.buffer)), prefix, recurse, removeDuplicate);

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
        if (!Registry.HasAttribute(module, name))
            throw new MissingMemberException($"{PythonText.ClassName(module)} has no attribute `{name}`");
    }

    public static HashSet<nn.Module> NewMemo() => new(ReferenceEqualityComparer.Instance);

    private static IEnumerable<(string name, T member)> NamedMembers<T>(
        nn.Module module, Func<nn.Module, IEnumerable<(string, T)>> members, string prefix, bool recurse, bool removeDuplicate)
        where T : class
    {
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var modules = recurse ? NamedModules(module, NewMemo(), prefix, removeDuplicate) : [(prefix, module)];
        foreach (var (path, owner) in modules)
        {
            foreach (var (name, member) in members(owner))
            {
                if (!removeDuplicate || seen.Add(member))
                    yield return (Joined(path, name), member);
            }
        }
    }

    private static string Joined(string prefix, string name) => prefix.Length == 0 ? name : $"{prefix}.{name}";
}
