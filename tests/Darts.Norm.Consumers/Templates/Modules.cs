using System;
using System.Collections.Generic;
using System.Linq;
using Darts.Norm;
using TorchSharp;
using static TorchSharp.torch;

using var scope = NewDisposeScope();
var net = nn.Sequential(new RMSNorm(4), nn.Linear(4, 2), new Darts.Norm.LayerNorm(2));
var seen = new List<string>();
var view = net.pytorch();
using (view.register_forward_pre_hook((module, args) => seen.Add("pre")))
using (view.register_forward_pre_hook((module, args) => null, prepend: true))
using (view.register_forward_hook((module, args, output) => (Tensor)output! * 2))
using (net.register_full_backward_hook((module, gradInput, gradOutput) => seen.Add($"backward {gradInput.Length}")))
using (net.register_full_backward_hook((module, gradInput, gradOutput) => new Tensor?[] { gradInput[0]! * 3 }))
{
    var x = randn(3, 4, requires_grad: true);
    net.call(x).sum().backward();
}
Require(seen.SequenceEqual(new[] { "pre", "backward 1" }), "hooks run, but these did: " + string.Join(", ", seen));
net.requires_grad_(false).set_submodule("0", new RINorm(4));
Require(net.get_submodule("0") is RINorm, "a module is replaced");
var state = view.state_dict(prefix: "net.");
Require(state.Keys.First() == "net.0.affine_weight", "the state has a prefix");
var (missing, unexpected) = view.load_state_dict(new StateDict { ["2.bias"] = ones(2) }, strict: false);
Require(missing.Count == 5 && unexpected.Count == 0, "keys are named");
foreach (var (name, module) in view.named_modules())
    module.register_state_dict_pre_hook((m, prefix, keepVars) => seen.Add(name)).remove();
Require(view.text() == "Sequential(\n  (0): RINorm()\n  (1): Linear(in_features=4, out_features=2, bias=True)\n  (2): LayerNorm((2,), eps=1e-05, elementwise_affine=True, bias=True)\n)", "the text is PyTorch's, but is " + view.text());
Require(view.@double() == net && view.eval() == net && net.type("torch.FloatTensor") == net, "casts answer the module");
Console.WriteLine("trained, saved and loaded");

static void Require(bool holds, string what)
{
    if (!holds)
        throw new InvalidOperationException($"It must hold that {what}.");
}
