using Darts.Norm;
using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>NLinear: one linear map, around the last value if wanted. Zeng et al., Are Transformers Effective for Time Series Forecasting?, 2022.</summary>
[DartsModel("NLinearModel")]
public sealed class _NLinearModule : DartsNetwork
{
    private readonly Sizes _sizes;
    private readonly bool _isShared;
    private readonly bool _fromLast;
    private readonly nn.Module<Tensor, Tensor> layer;
    private readonly nn.Module<Tensor, Tensor>? linear_fut_cov;
    private readonly nn.Module<Tensor, Tensor>? linear_static_cov;

    public _NLinearModule(Sizes sizes, HyperParameters hyper, RINorm? rin)
        : base(nameof(_NLinearModule), rin)
    {
        _sizes = sizes;
        _isShared = hyper.Flag("shared_weights");
        _fromLast = hyper.Flag("normalize");
        var output = sizes.Targets * sizes.Parameters;
        layer = _isShared
            ? nn.Linear(sizes.PastSteps, sizes.FutureSteps * sizes.Parameters)
            : nn.Linear(sizes.PastSteps * sizes.PastFeatures, sizes.FutureSteps * output);
        linear_fut_cov = sizes.FutureCovariates == 0 ? null : nn.Linear(sizes.FutureCovariates, output);
        linear_static_cov = sizes.StaticCovariates == 0 ? null : nn.Linear(sizes.StaticCovariates, _isShared ? sizes.FutureSteps * sizes.Parameters : sizes.FutureSteps * output);
        RegisterComponents();
    }

    protected override Tensor Forecast(Inputs x)
    {
        var batch = x.past_target.size(0);
        var last = _fromLast ? x.past_target.narrow(1, _sizes.PastSteps - 1, 1).detach() : null;
        if (last is not null)
            x = x with { past_target = x.past_target - last, past_covariates = FromLast(x.past_covariates) };

        Tensor y;
        if (_isShared) // which leaves the covariates out, in Darts too
        {
            y = layer.call(x.past_target.transpose(1, 2)).reshape(batch, _sizes.Targets, _sizes.FutureSteps, _sizes.Parameters).transpose(1, 2);
        }
        else
        {
            y = layer.call(x.concatenate_past_features().flatten(1)).reshape(batch, _sizes.FutureSteps, -1);
            if (linear_fut_cov is not null)
                y = y + linear_fut_cov.call(x.future_covariates!);
            if (linear_static_cov is not null)
                y = y + linear_static_cov.call(x.static_covariates!.flatten(1)).reshape(y.shape);
            y = y.reshape(batch, _sizes.FutureSteps, _sizes.Targets, _sizes.Parameters);
        }
        return last is null ? y : y + last.unsqueeze(-1);

        Tensor? FromLast(Tensor? covariates) => covariates is null ? null : covariates - covariates.narrow(1, _sizes.PastSteps - 1, 1);
    }
}
