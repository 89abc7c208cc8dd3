using Darts.Norm;
using TorchSharp;
using static TorchSharp.torch;

public sealed class Network : nn.Module<Tensor, Tensor>
{
    private readonly RINorm rin = new(input_dim: 7);
    private readonly nn.Module<Tensor, Tensor> map = nn.Sequential(
        nn.Linear(96, 128), new RMSNorm(128), nn.ReLU(), nn.Linear(128, 24));

    public Network() : base(nameof(Network)) => RegisterComponents();

    public override Tensor forward(Tensor x)                                        // (batch, 96 steps, 7 series)
    {
        using var scope = NewDisposeScope();
        using var past = rin.call(x);                                               // each series without its level and scale
        var future = map.call(past.transpose(1, 2)).transpose(1, 2);                // (batch, 24 steps, 7 series)
        return rin.inverse(future.unsqueeze(-1)).squeeze(-1).MoveToOuterDisposeScope();   // in the units of x again
    }
}
