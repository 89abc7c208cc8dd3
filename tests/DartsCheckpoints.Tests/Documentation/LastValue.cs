using Darts.Norm;
using DartsCheckpoints;
using static TorchSharp.torch;

[DartsModel("LastValueModel")]
public sealed class _LastValueModule(Sizes sizes, HyperParameters hyper, RINorm? rin) : DartsNetwork(nameof(_LastValueModule), rin)
{
    protected override Tensor Forecast(Inputs x) =>
        x.past_target.narrow(1, sizes.PastSteps - 1, 1).expand(-1, sizes.FutureSteps, -1).unsqueeze(-1) * hyper.Number("damping");
}
