using System.Text.Json;

namespace Darts.Norm.Tests;

/// <summary>What PyTorch did in each scenario of module_surface.py, as lines of text.</summary>
public static class ModuleSurface
{
    private static readonly JsonElement Scenarios = Read();

    public static string[] Lines(string scenario) =>
        [.. Scenarios.GetProperty(scenario).GetProperty("lines").EnumerateArray().Select(line => line.GetString()!)];

    /// <summary>The dictionaries of load_errors that layers get, in the order of its lines.</summary>
    public static IEnumerable<(Func<NormModule> make, Dictionary<string, Tensor> source)> WrongDictionaries()
    {
        var (one, four) = (ones(1), ones(4));
        return
        [
            (() => new LayerNorm(4), []),
            (() => new LayerNorm(4), new() { ["weight"] = four }),
            (() => new LayerNorm(4), new() { ["weight"] = four, ["bias"] = four, ["extra"] = one }),
            (() => new LayerNorm(4), new() { ["weight"] = one, ["bias"] = four }),
            (() => new RMSNorm(4), new() { ["weight"] = four }),
            (() => new RMSNorm(4), new() { ["g"] = ones(2, 2) }),
            (() => new LayerNormNoBias(4), new() { ["weight"] = four }),
            (() => new RINorm(4), new() { ["affine_weight"] = four }),
        ];
    }

    private static JsonElement Read()
    {
        using var stream = typeof(ModuleSurface).Assembly.GetManifestResourceStream("module_surface.json")!;
        return JsonDocument.Parse(stream).RootElement.GetProperty("scenarios");
    }
}
