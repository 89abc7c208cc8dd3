using System.Globalization;
using Darts.Norm;
using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>Dropout that can stay on after training: each call then answers one of many forecasts, whose spread says how sure the network is.</summary>
/// <param name="p">The part of the values that is dropped.</param>
public sealed class MonteCarloDropout(double p) : nn.Module<Tensor, Tensor>(nameof(MonteCarloDropout)), IExtraRepr
{
    /// <summary>Whether values are dropped in evaluation, too.</summary>
    public bool mc_dropout_enabled { get; set; }

    /// <inheritdoc/>
    public string extra_repr() => string.Create(CultureInfo.InvariantCulture, $"p={p}, inplace=False");

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => nn.functional.dropout(x, p, training || mc_dropout_enabled);
}
