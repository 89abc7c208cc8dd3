using Darts.Norm;
using TorchSharp;
using static TorchSharp.torch;

public sealed class OverTime : nn.Module<Tensor, Tensor>                    // (batch, past, columns) to (batch, future, targets)
{
    private readonly long targets;
    private readonly nn.Module<Tensor, Tensor> map;

    public OverTime(long past, long future, long targets) : base(nameof(OverTime))
    {
        this.targets = targets;
        map = nn.Sequential(nn.Linear(past, 32), nn.ReLU(), nn.Linear(32, future));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => map.call(x.transpose(1, 2)).transpose(1, 2).narrow(-1, 0, targets);
}
