using System;
using System.IO;
using System.Linq;
using Darts.Norm;
using TorchSharp;
using static TorchSharp.torch;

random.manual_seed(1);
using var network = new Network();
using var optimizer = optim.Adam(network.parameters(), 0.01);
using var past = randn(16, 24, 3).cumsum(1);
using var future = past[.., ^1..].expand(16, 4, 3).contiguous();
double first = Step(), last = first;
for (var i = 0; i < 20; i++)
    last = Step();
Require(last < first / 2, $"the loss falls to less than half, but went from {first} to {last}");

var file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid()}.dat");
network.save(file);
using var copy = new Network();
copy.load(file);
File.Delete(file);
Require(network.state_dict().Keys.SequenceEqual(new[] { "rin.affine_weight", "rin.affine_bias", "first.weight", "first.bias", "layerNorm.weight", "layerNorm.bias", "rms.g", "second.weight", "second.bias" }), "the state_dict has PyTorch's keys, but has " + string.Join(", ", network.state_dict().Keys));
Require(copy.state_dict().All(entry => entry.Value.equal(network.state_dict()[entry.Key]).all().item<bool>()), "what was saved is loaded");
using var forecast = network.forward(past);
using var again = copy.forward(past);
Require(forecast.equal(again).all().item<bool>(), "the copy forecasts the same");
copy.to(ScalarType.Float64);
using var past64 = past.to(ScalarType.Float64);
using var inDouble = copy.forward(past64);
Require(inDouble.dtype == ScalarType.Float64 && copy.parameters().All(parameter => parameter.dtype == ScalarType.Float64), "a cast reaches every parameter");
Require((inDouble - forecast).abs().max().item<double>() < 1e-4, "the cast network forecasts the same but for rounding");
Require(new Darts.Norm.LayerNorm(4).ToString() == "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)", "the text is PyTorch's");
Console.WriteLine("trained, saved and loaded");

double Step()
{
    using var scope = NewDisposeScope();
    optimizer.zero_grad();
    var loss = nn.functional.mse_loss(network.forward(past), future);
    loss.backward();
    optimizer.step();
    return loss.item<float>();
}

static void Require(bool holds, string what)
{
    if (!holds)
        throw new InvalidOperationException($"It must hold that {what}.");
}

internal sealed class Network : nn.Module<Tensor, Tensor>
{
    private readonly RINorm rin = new RINorm(3);
    private readonly nn.Module<Tensor, Tensor> first = nn.Linear(24, 16);
    private readonly LayerNorm layerNorm = new LayerNorm(16);
    private readonly RMSNorm rms = new RMSNorm(16);
    private readonly LayerNormNoBias noBias = new LayerNormNoBias(16);
    private readonly nn.Module<Tensor, Tensor> second = nn.Linear(16, 4);

    public Network() : base(nameof(Network)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var hidden = first.call(rin.call(x).transpose(1, 2));
        hidden = noBias.call(rms.call(layerNorm.call(hidden)).relu());
        var future = second.call(hidden).transpose(1, 2);
        return rin.inverse(future.unsqueeze(-1)).squeeze(-1).MoveToOuterDisposeScope();
    }
}
