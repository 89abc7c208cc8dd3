namespace Darts.Norm;

/// <summary>A network's text, as PyTorch prints it.</summary>
internal static class ModuleText
{
    public static string Of(nn.Module module, int depth = 0)
    {
        var children = Registry.Children(module, depth).Select(entry => (entry.name, text: Of(entry.module, depth + 1)))
            .Concat(ModuleRecord.Find(module)?.NullModules.Select(name => (name, text: "None")) ?? [])
            .ToList();
        if (Registry.IsModuleList(module))
            children = Folded(children);
        var extra = ExtraRepr(module);
        var extraLines = extra.Length == 0 ? [] : extra.Split('\n');
        var name = PythonText.ClassName(module);
        return (extraLines.Length, children.Count) switch
        {
            (0, 0) => $"{name}()",
            (1, 0) => $"{name}({extra})",
            _ => $"{name}(\n  {string.Join("\n  ", extraLines.Concat(children.Select(child => Indented($"({child.name}): {child.text}"))))}\n)",
        };
    }

    public static string ExtraRepr(nn.Module module) => (module as IExtraRepr)?.extra_repr() ?? TorchSharpText.ExtraRepr(module);

    // (0-2): 3 x RMSNorm()
    private static List<(string name, string text)> Folded(List<(string name, string text)> children)
    {
        var folded = new List<(string, string)>();
        for (var start = 0; start < children.Count;)
        {
            var text = children[start].text;
            var end = start + 1;
            while (end < children.Count && children[end].text == text)
                end++;
            folded.Add(end == start + 1 ? children[start] : ($"{start}-{end - 1}", $"{end - start} x {text}"));
            start = end;
        }
        return folded;
    }

    private static string Indented(string text) => text.Replace("\n", "\n  ", StringComparison.Ordinal);
}
