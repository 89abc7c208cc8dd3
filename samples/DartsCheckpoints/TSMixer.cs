using Darts.Norm;
using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>TSMixer: blocks that mix over time and over features by turns. Chen et al., TSMixer: An All-MLP Architecture for Time Series Forecasting, 2023.</summary>
[DartsModel("TSMixerModel")]
public sealed class _TSMixerModule : DartsNetwork
{
    private readonly Sizes _sizes;
    private readonly nn.Module<Tensor, Tensor> fc_hist;
    private readonly nn.Module<Tensor, Tensor> feature_mixing_hist;
    private readonly nn.Module<Tensor, Tensor>? feature_mixing_future;
    private readonly TorchSharp.Modules.ModuleList<_ConditionalMixerLayer> conditional_mixer;
    private readonly nn.Module<Tensor, Tensor> fc_out;

    static _TSMixerModule() => NormType.register(nameof(TimeBatchNorm2d), _ => new TimeBatchNorm2d());

    public _TSMixerModule(Sizes sizes, HyperParameters hyper, RINorm? rin)
        : base(nameof(_TSMixerModule), rin)
    {
        _sizes = sizes;
        var hidden = hyper.Whole("hidden_size");
        var parts = new Parts(
            sizes.FutureSteps, hyper.Whole("ff_size"), Activation(hyper.Text("activation")), hyper.Number("dropout"), hyper.Text("norm_type"), hyper.Flag("normalize_before"));
        fc_hist = nn.Linear(sizes.PastSteps, sizes.FutureSteps);
        feature_mixing_hist = new _FeatureMixing(sizes.PastFeatures, hidden, parts);
        feature_mixing_future = sizes.FutureCovariates == 0 ? null : new _FeatureMixing(sizes.FutureCovariates, hidden, parts);
        conditional_mixer = new([.. Enumerable.Range(0, (int)hyper.Whole("num_blocks"))
            .Select(block => new _ConditionalMixerLayer(block == 0 && sizes.FutureCovariates > 0 ? 2 * hidden : hidden, hidden, sizes.StaticCovariates, parts))]);
        fc_out = nn.Linear(hidden, sizes.Targets * sizes.Parameters);
        RegisterComponents();
    }

    protected override Tensor Forecast(Inputs x)
    {
        var y = fc_hist.call(x.concatenate_past_features().transpose(1, 2)).transpose(1, 2);
        y = feature_mixing_hist.call(y);
        if (feature_mixing_future is not null)
            y = cat([y, feature_mixing_future.call(x.future_covariates!)], -1);
        var constants = x.static_covariates?.reshape(y.size(0), 1, -1).expand(-1, _sizes.FutureSteps, -1);
        foreach (var mixer in conditional_mixer)
            y = mixer.call(y, constants);
        return fc_out.call(y).reshape(y.size(0), _sizes.FutureSteps, _sizes.Targets, _sizes.Parameters);
    }

    private static nn.Module<Tensor, Tensor> Activation(string name) => name switch
    {
        "ReLU" => nn.ReLU(),
        "RReLU" => nn.RReLU(),
        "PReLU" => nn.PReLU(1),
        "ELU" => nn.ELU(),
        "Softplus" => nn.Softplus(),
        "Tanh" => nn.Tanh(),
        "SELU" => nn.SELU(),
        "LeakyReLU" => nn.LeakyReLU(0.01),
        "Sigmoid" => nn.Sigmoid(),
        "GELU" => nn.GELU(),
        _ => throw new InputException($"TSMixer has no activation {InputException.Quote(name)}, as in Darts."),
    };

    /// <summary>What all blocks have alike. The activation is one module, as in Darts: a learned one is learned once.</summary>
    private sealed record Parts(long Steps, long Width, nn.Module<Tensor, Tensor> Activation, double Dropout, NormType Norm, bool NormalizeBefore)
    {
        public nn.Module<Tensor, Tensor> NormBefore(long features) => NormalizeBefore ? Norm.make(Steps, features) : nn.Identity();

        public nn.Module<Tensor, Tensor> NormAfter(long features) => NormalizeBefore ? nn.Identity() : Norm.make(Steps, features);
    }

    /// <summary>Mixes the features of each step.</summary>
    private sealed class _FeatureMixing : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> projection;
        private readonly nn.Module<Tensor, Tensor> norm_before;
        private readonly nn.Module<Tensor, Tensor> fc1;
        private readonly nn.Module<Tensor, Tensor> activation;
        private readonly nn.Module<Tensor, Tensor> dropout1;
        private readonly nn.Module<Tensor, Tensor> fc2;
        private readonly nn.Module<Tensor, Tensor> dropout2;
        private readonly nn.Module<Tensor, Tensor> norm_after;

        public _FeatureMixing(long input, long output, Parts parts)
            : base(nameof(_FeatureMixing))
        {
            projection = input == output ? nn.Identity() : nn.Linear(input, output);
            norm_before = parts.NormBefore(input);
            fc1 = nn.Linear(input, parts.Width);
            activation = parts.Activation;
            dropout1 = new MonteCarloDropout(parts.Dropout);
            fc2 = nn.Linear(parts.Width, output);
            dropout2 = new MonteCarloDropout(parts.Dropout);
            norm_after = parts.NormAfter(output);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var mixed = dropout1.call(activation.call(fc1.call(norm_before.call(x))));
            return norm_after.call(projection.call(x) + dropout2.call(fc2.call(mixed)));
        }
    }

    /// <summary>Mixes the steps of each feature.</summary>
    private sealed class _TimeMixing : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> norm_before;
        private readonly nn.Module<Tensor, Tensor> activation;
        private readonly nn.Module<Tensor, Tensor> dropout;
        private readonly nn.Module<Tensor, Tensor> fc1;
        private readonly nn.Module<Tensor, Tensor> norm_after;

        public _TimeMixing(long features, Parts parts)
            : base(nameof(_TimeMixing))
        {
            norm_before = parts.NormBefore(features);
            activation = parts.Activation;
            dropout = new MonteCarloDropout(parts.Dropout);
            fc1 = nn.Linear(parts.Steps, parts.Steps);
            norm_after = parts.NormAfter(features);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var mixed = dropout.call(activation.call(fc1.call(norm_before.call(x).transpose(1, 2))));
            return norm_after.call(x + mixed.transpose(1, 2));
        }
    }

    /// <summary>Mixes over time, then over features, beside the static covariates.</summary>
    private sealed class _ConditionalMixerLayer : nn.Module<Tensor, Tensor?, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor>? feature_mixing_static;
        private readonly nn.Module<Tensor, Tensor> time_mixing;
        private readonly nn.Module<Tensor, Tensor> feature_mixing;

        public _ConditionalMixerLayer(long input, long output, long statics, Parts parts)
            : base(nameof(_ConditionalMixerLayer))
        {
            feature_mixing_static = statics == 0 ? null : new _FeatureMixing(statics, output, parts);
            var mixed = statics == 0 ? input : input + output;
            time_mixing = new _TimeMixing(mixed, parts);
            feature_mixing = new _FeatureMixing(mixed, output, parts);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor? statics)
        {
            if (feature_mixing_static is not null)
                x = cat([x, feature_mixing_static.call(statics!)], -1);
            return feature_mixing.call(time_mixing.call(x));
        }
    }

    /// <summary>Batch normalisation over time and features together, another of Darts' choices for <c>norm_type</c>.</summary>
    private sealed class TimeBatchNorm2d : nn.Module<Tensor, Tensor>
    {
        private TorchSharp.Modules.Parameter weight = nn.Parameter(ones(1));
        private TorchSharp.Modules.Parameter bias = nn.Parameter(zeros(1));
        private Tensor running_mean = zeros(1);
        private Tensor running_var = ones(1);
        private Tensor num_batches_tracked = zeros([], ScalarType.Int64);

        public TimeBatchNorm2d()
            : base(nameof(TimeBatchNorm2d)) => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            if (training)
                num_batches_tracked.add_(1);
            return nn.functional.batch_norm(x.unsqueeze(1), running_mean, running_var, weight, bias, training).squeeze(1);
        }
    }
}
