using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Modules and what they hold, in PyTorch's order: a module before what is below it, depth first.</summary>
internal static class Traversal
{
    public static IEnumerable<(string name, nn.Module module)> NamedModules(nn.Module module, ISet<nn.Module> memo, string prefix, bool removeDuplicate, int depth = 0)
    {
        if (memo.Contains(module))
            yield break;
        if (removeDuplicate)
            memo.Add(module);
        yield return (prefix, module);
        foreach (var (name, child) in Registry.Children(module, depth))
        {
            foreach (var below in NamedModules(child, memo, Joined(prefix, name), removeDuplicate, depth + 1))
                yield return below;
        }
    }

    /// <summary>The module and all below it, each once.</summary>
    public static IEnumerable<nn.Module> Modules(nn.Module module) =>
        NamedModules(module, NewMemo(), "", true).Select(entry => entry.module);

    public static IEnumerable<(string name, nn.Module module)> NamedChildren(nn.Module module, int depth = 0) =>
        Registry.Children(module, depth).DistinctBy(entry => entry.module, ReferenceEqualityComparer.Instance);

    public static IEnumerable<(string name, Parameter parameter)> NamedParameters(nn.Module module, string prefix, bool recurse, bool removeDuplicate) =>
        NamedMembers(module, Registry.Parameters, prefix, recurse, removeDuplicate);

    public static IEnumerable<(string name, Tensor buffer)> NamedBuffers(nn.Module module, string prefix, bool recurse, bool removeDuplicate) =>
        NamedMembers(module, owner => Registry.Buffers(owner).Select(entry => (entry.name, entry.buffer)), prefix, recurse, removeDuplicate);

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
