using Darts.Norm;
using static TorchSharp.torch;

namespace Forecasting;

/// <summary>Forecasts each component of a series by one map over time, with or without reversible instance normalisation around it.</summary>
/// <remarks>
/// <c>forward(x) = rin.inverse(map(rin(x)))</c>. Shape: input (batch, input, components), output (batch, horizon, components).
/// <code>
/// var network = new Forecaster(Forecaster.ResidualMlp(96, 24, "RMSNorm"), new RINorm(components));
/// </code>
/// </remarks>
public sealed class Forecaster : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> map;
    private readonly RINorm? rin;

    /// <summary>Puts the normalisation around the map.</summary>
    /// <param name="map">From (*, input) to (*, horizon): <see cref="ResidualMlp"/>, or <c>nn.Linear(input, horizon)</c>.</param>
    /// <param name="rin">For as many components as the series has; null forecasts without it.</param>
    public Forecaster(nn.Module<Tensor, Tensor> map, RINorm? rin) : base(nameof(Forecaster))
    {
        this.map = map;
        this.rin = rin;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var past = rin is null ? x : rin.call(x);
        var future = map.call(past.transpose(1, 2)).transpose(1, 2);
        return (rin is null ? future : rin.inverse(future.unsqueeze(-1)).squeeze(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>A map over time of residual blocks.</summary>
    /// <param name="input">The number of past time steps.</param>
    /// <param name="horizon">The number of future time steps.</param>
    /// <param name="norm">The norm of each block; null leaves it out.</param>
    /// <param name="width">The features of a block.</param>
    /// <param name="blocks">How many follow each other.</param>
    /// <returns>A module from (*, input) to (*, horizon).</returns>
    public static nn.Module<Tensor, Tensor> ResidualMlp(
        long input, long horizon, NormType? norm, long width = 128, int blocks = 2) =>
        nn.Sequential([
            nn.Linear(input, width),
            .. Enumerable.Range(0, blocks).Select(_ => new Block(width, norm?.make(width))),
            nn.Linear(width, horizon)]);

    /// <summary><c>x + down(relu(up(norm(x))))</c></summary>
    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> layers;

        public Block(long width, nn.Module<Tensor, Tensor>? norm) : base(nameof(Block))
        {
            layers = nn.Sequential([.. norm is null ? [] : new[] { norm }, nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)]);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var change = layers.call(x);
            return x + change;
        }
    }
}
