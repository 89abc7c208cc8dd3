using Darts.Norm;
using static TorchSharp.torch;

namespace Forecasting;

/// <summary>The norms that a residual block can have, by the names of <c>--norm</c>.</summary>
internal static class Norms
{
    private static readonly Dictionary<string, Func<long, nn.Module<Tensor, Tensor>>?> Makers = new()
    {
        ["rms"] = width => new RMSNorm(width),
        ["layer"] = width => new LayerNorm(width),
        ["layer-nobias"] = width => new LayerNormNoBias(width),
        ["none"] = null,
    };

    public static IEnumerable<string> Names => Makers.Keys;

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

    /// <summary>Makes a norm from a width; null for "none".</summary>
    public static Func<long, nn.Module<Tensor, Tensor>>? Maker(string name) => Makers[name];
}
