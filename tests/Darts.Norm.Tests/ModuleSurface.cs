using System.Text.Json;

namespace Darts.Norm.Tests;

/// <summary>What PyTorch did in each scenario of module_surface.py, as lines of text.</summary>
public static class ModuleSurface
{
    private static readonly JsonElement Scenarios = Read();

    public static string[] Lines(string scenario) =>
        [.. Scenarios.GetProperty(scenario).GetProperty("lines").EnumerateArray().Select(line => line.GetString()!)];

    private static JsonElement Read()
    {
        using var stream = typeof(ModuleSurface).Assembly.GetManifestResourceStream("module_surface.json")!;
        return JsonDocument.Parse(stream).RootElement.GetProperty("scenarios");
    }
}
