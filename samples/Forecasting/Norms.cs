using Darts.Norm;

namespace Forecasting;

/// <summary>The norms that a residual block can have, by the names of <c>--norm</c>.</summary>
internal static class Norms
{
    private static readonly Dictionary<string, NormType?> Types = new()
    {
        ["rms"] = nameof(RMSNorm),
        ["layer"] = nameof(LayerNorm),
        ["layer-nobias"] = nameof(LayerNormNoBias),
        ["none"] = null,
    };

    public static IEnumerable<string> Names => Types.Keys;

    /// <summary>The name that is meant: the layers' own, such as RMSNorm, count too.</summary>
    public static string? Find(string name)
    {
        return Names.FirstOrDefault(known => Key(known) == Key(name));

        static string Key(string text)
        {
            var key = text.ToLowerInvariant().Replace("-", "").Replace("_", "");
            return key.StartsWith("layernorm", StringComparison.Ordinal) || key == "rmsnorm" ? key.Replace("norm", "") : key;
        }
    }

    /// <summary>Null for "none".</summary>
    public static NormType? Type(string name) => Types[name];
}
