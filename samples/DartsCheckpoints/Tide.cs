using Darts.Norm;
using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>TiDE: a dense encoder of everything known, and a decoder that adds the future covariates of each step. Das et al., Long-term Forecasting with TiDE, 2023.</summary>
[DartsModel("TiDEModel")]
public sealed class _TideModule : DartsNetwork
{
    private readonly Sizes _sizes;
    private readonly nn.Module<Tensor, Tensor>? past_cov_projection;
    private readonly nn.Module<Tensor, Tensor>? future_cov_projection;
    private readonly nn.Module<Tensor, Tensor> encoders;
    private readonly nn.Module<Tensor, Tensor> decoders;
    private readonly nn.Module<Tensor, Tensor> temporal_decoder;
    private readonly nn.Module<Tensor, Tensor> lookback_skip;

    public _TideModule(Sizes sizes, HyperParameters hyper, RINorm? rin)
        : base(nameof(_TideModule), rin)
    {
        _sizes = sizes;
        var hidden = hyper.Whole("hidden_size");
        past_cov_projection = Projection(sizes.PastCovariates, "past", out var pastWidth);
        future_cov_projection = Projection(sizes.FutureCovariates, "future", out var futureWidth);

        var known = (sizes.PastSteps * (sizes.Targets + pastWidth)) + ((sizes.PastSteps + sizes.FutureSteps) * futureWidth) + sizes.StaticCovariates;
        encoders = Blocks(hyper.Whole("num_encoder_layers"), known, hidden);
        var decoded = hyper.Whole("decoder_output_dim") * sizes.Parameters;
        decoders = Blocks(hyper.Whole("num_decoder_layers"), hidden, decoded * sizes.FutureSteps);
        temporal_decoder = Block(decoded + futureWidth, sizes.Targets * sizes.Parameters, hyper.Whole("temporal_decoder_hidden"));
        lookback_skip = nn.Linear(sizes.PastSteps, sizes.FutureSteps * sizes.Parameters);
        RegisterComponents();

        // The width is that of the covariates as the encoder sees them: projected, or as they are where the projection's width is 0.
        nn.Module<Tensor, Tensor>? Projection(long covariates, string which, out long width)
        {
            var projected = covariates == 0 ? 0 : hyper.Whole($"temporal_width_{which}", otherwise: 0);
            width = projected == 0 ? covariates : projected;
            return projected == 0 ? null : Block(covariates, projected, hyper.Whole($"temporal_hidden_size_{which}", otherwise: hidden));
        }

        nn.Module<Tensor, Tensor> Blocks(long count, long input, long output) => nn.Sequential(
            Enumerable.Range(1, (int)count).Select(number => Block(number == 1 ? input : hidden, number == count ? output : hidden, hidden)));

        nn.Module<Tensor, Tensor> Block(long input, long output, long width) =>
            new _ResidualBlock(input, output, width, hyper.Number("dropout"), hyper.Flag("use_layer_norm"));
    }

    protected override Tensor Forecast(Inputs x)
    {
        var past = past_cov_projection is null ? x.past_covariates : past_cov_projection.call(x.past_covariates!);
        var future = x.concatenate_future_along_time();
        if (future_cov_projection is not null)
            future = future_cov_projection.call(future!);
        var known = Inputs.Joined(1, x.past_target.flatten(1), past?.flatten(1), future?.flatten(1), x.static_covariates?.flatten(1))!;
        var decoded = decoders.call(encoders.call(known)).reshape(known.size(0), _sizes.FutureSteps, -1);
        var perStep = temporal_decoder.call(Inputs.Joined(2, decoded, future?.narrow(1, _sizes.PastSteps, _sizes.FutureSteps))!);
        var skip = lookback_skip.call(x.past_target.transpose(1, 2)).transpose(1, 2);
        return (perStep + skip.reshape(perStep.shape)).reshape(known.size(0), _sizes.FutureSteps, _sizes.Targets, _sizes.Parameters);
    }

    /// <summary><c>layer_norm(dense(x) + skip(x))</c></summary>
    private sealed class _ResidualBlock : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> dense;
        private readonly nn.Module<Tensor, Tensor> skip;
        private readonly LayerNorm? layer_norm;

        public _ResidualBlock(long input, long output, long hidden, double dropout, bool useLayerNorm)
            : base(nameof(_ResidualBlock))
        {
            dense = nn.Sequential(nn.Linear(input, hidden), nn.ReLU(), nn.Linear(hidden, output), new MonteCarloDropout(dropout));
            skip = nn.Linear(input, output);
            layer_norm = useLayerNorm ? new LayerNorm(output) : null;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var y = dense.call(x) + skip.call(x);
            return layer_norm is null ? y : layer_norm.call(y);
        }
    }
}
