using static Darts.Norm.Tests.Modules.Networks;

namespace Darts.Norm.Tests.Modules;

/// <summary>The scenarios of module_surface.py, line by line, through the view.</summary>
public sealed class RecordedScenarioTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Recording _log = new();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Text_OfTheLayers_IsTheRecordedOne()
    {
        foreach (var m in new NormModule[]
        {
            new RMSNorm(4, eps: 1e-6), new LayerNorm(4), new LayerNorm([2, 4], eps: 1e-3), new LayerNorm(4, bias: false),
            new LayerNorm(4, elementwise_affine: false), new LayerNormNoBias([2, 4]), new RINorm(4),
        })
        {
            _log.Log(m.pytorch().text());
            _log.Log(m.pytorch().extra_repr());
            (m.ToString(), m.extra_repr()).Should().Be((m.pytorch().text(), m.pytorch().extra_repr()));
        }
        Matches("text");
    }

    [Fact]
    public void Attributes_OfTheLayers_AreTheRecordedOnes()
    {
        foreach (var m in new[] { new LayerNorm(4, eps: 1e-3), new LayerNormNoBias([2, 4]) })
            _log.Log(Words(m.normalized_shape, m.eps, m.elementwise_affine, m.weight is null, m.bias is null, m.pytorch().training));
        var rms = new RMSNorm(16);
        _log.Log(Words(rms.scale, rms.eps, rms.g.shape));
        var rin = new RINorm(3);
        _log.Log(Words(rin.input_dim, rin.eps, rin.affine, rin.affine_weight!.shape, rin.affine_bias!.shape));
        _log.Log(Words(RMSNorm.call_super_init, RMSNorm.dump_patches));
        Matches("attributes");
        rms.pytorch().call_super_init.Should().Be(RMSNorm.call_super_init);
        rms.pytorch().dump_patches.Should().Be(RMSNorm.dump_patches);
    }

    [Fact]
    public void Names_OfTheLayersAndANetwork_AreTheRecordedOnes()
    {
        foreach (var m in NewLayers().Append<nn.Module>(new Net()))
        {
            var v = m.pytorch();
            _log.Log(
                $"{m.GetType().Name} parameters {Names(v.named_parameters())} buffers {Names(v.named_buffers())} modules {Names(v.named_modules())} "
                + $"children {Names(v.named_children())} state {Recording.Text(v.state_dict().Keys)} prefixed {Recording.Text(v.state_dict(prefix: "enc.").Keys)}");
        }
        Matches("names");
    }

    [Fact]
    public void BuffersAfterForward_OfRINorm_AreTheRecordedOnes()
    {
        var m = new RINorm(4);
        m.call(randn(2, 5, 4));
        _log.Log(m.pytorch().state_dict().Keys);
        _log.Log(Names(m.pytorch().named_buffers()));
        _log.Log(Words(m.mean!.shape, m.stdev!.shape, m.mean.requires_grad, m.stdev.requires_grad));
        Matches("buffers_after_forward");
    }

    [Fact]
    public void LoadStateDict_WrongDictionaries_AnswersTheRecordedLines()
    {
        foreach (var (make, d) in (IEnumerable<(Func<nn.Module>, Dictionary<string, Tensor>)>)[
            .. ModuleSurface.WrongDictionaries(), (() => new Net(), new() { ["rin.affine_weight"] = ones(5), ["nope"] = ones(1) })])
        {
            _log.Attempt(() => make().pytorch().load_state_dict(d));
            _log.Attempt(() => make().pytorch().load_state_dict(d, strict: false));
        }
        Matches("load_errors");
    }

    // load_keeps_the_rest is left out: PyTorch writes what fits, here nothing is written.
    [Fact]
    public void LoadStateDict_AWrongShape_KeepsAllInsteadOfTheRest()
    {
        var m = new LayerNorm(4);
        _log.Attempt(() => m.pytorch().load_state_dict(new StateDict { ["weight"] = full(4, 2f), ["bias"] = ones(3) }));
        _log.Log(m.weight);
        _log.Log(m.bias);
        var recorded = ModuleSurface.Lines("load_keeps_the_rest");
        _log.Lines.Should().Equal(recorded[0], "[1.0, 1.0, 1.0, 1.0]", recorded[2]);
    }

    [Fact]
    public void LookUp_OfPaths_AnswersTheRecordedLines()
    {
        var n = new Net().pytorch();
        foreach (var t in new[] { "head.weight", "block.0.g", "head.nope", "nope.weight", "rin" })
            _log.Attempt(() => n.get_parameter(t).shape);
        foreach (var t in new[] { "", "block.0", "block.7", "nope", "head.weight" })
            _log.Attempt(() => n.get_submodule(t).GetType().Name);
        n.register_buffer("b", zeros(2));
        _log.Attempt(() => n.get_buffer("b")!.shape);
        _log.Attempt(() => n.get_buffer("head.weight"));
        Matches("look_up");
    }

    [Fact]
    public void SetSubmodule_OfPaths_AnswersTheRecordedLines()
    {
        var n = new Net();
        n.set_submodule("block.0", new LayerNormNoBias(4));
        _log.Log(n.Block[0].GetType().Name);
        _log.Log(n.pytorch().state_dict().Keys);
        _log.Attempt(() => n.set_submodule("block.9", new RMSNorm(4), strict: true));
        _log.Attempt(() => n.set_submodule("", new RMSNorm(4)));
        _log.Attempt(() => n.set_submodule("nope.x", new RMSNorm(4)));
        Matches("set_submodule");
    }

    [Fact]
    public void RequiresGrad_OnLayersAndPart_AnswersTheRecordedLines()
    {
        foreach (var m in NewLayers())
        {
            _log.Log(ReferenceEquals(m.requires_grad_(false), m));
            _log.Log(m.parameters().Select(p => p.requires_grad));
            m.requires_grad_();
            _log.Log(m.parameters().Select(p => p.requires_grad));
        }
        var n = new Net();
        n.Head.requires_grad_(false);
        _log.Log(n.pytorch().named_parameters().Where(entry => entry.parameter.requires_grad).Select(entry => entry.name));
        Matches("requires_grad");
    }

    // The last line is left out: train("x") does not compile.
    [Fact]
    public void TrainAndEval_OfALayer_AnswerTheRecordedLines()
    {
        var m = new RMSNorm(4);
        _log.Log(m.training);
        _log.Log(ReferenceEquals(m.pytorch().eval(), m));
        _log.Log(m.training);
        _log.Log(ReferenceEquals(m.pytorch().train(), m));
        _log.Log(m.pytorch().training);
        _log.Lines.Should().Equal(ModuleSurface.Lines("train_eval")[..^1]);
    }

    [Fact]
    public void Dtypes_OfTheLayers_AnswerTheRecordedLines()
    {
        foreach (var (name, cast) in new (string, Func<PyTorchModule<nn.Module>, nn.Module>)[] { ("half", m => m.half()), ("bfloat16", m => m.bfloat16()), ("double", m => m.@double()), ("float", m => m.@float()) })
        {
            foreach (nn.Module m in NewLayers())
                _log.Log($"{name} {Recording.Text(ReferenceEquals(cast(m.pytorch()), m))} {PythonText.List(m.parameters().Select(p => PythonText.Dtype(p.dtype)))}");
        }
        _log.Log(PythonText.List(new RINorm(4).type(ScalarType.Float64).parameters().Select(p => PythonText.Dtype(p.dtype))));
        _log.Log(new LayerNorm(4).pytorch().to(ScalarType.Float16).weight!.dtype);
        _log.Attempt(() => new LayerNorm(4).pytorch().to(ScalarType.Int32));
        Matches("dtypes");
    }

    [Fact]
    public void MetaAndEmpty_OfALayer_AnswerTheRecordedLines()
    {
        var m = new LayerNorm(4).pytorch().to("meta");
        _log.Log(m.weight!.device_type.ToString().ToLowerInvariant());
        _log.Log(ReferenceEquals(m.to_empty(device: CPU), m));
        _log.Log(Words(m.weight.device_type.ToString().ToLowerInvariant(), m.weight.shape, m.weight.requires_grad));
        m.reset_parameters();
        _log.Log(m.weight);
        _log.Log(m.bias);
        Matches("meta_and_empty");
    }

    [Fact]
    public void ZeroGrad_OfALayer_AnswersTheRecordedLines()
    {
        var m = new LayerNorm(4);
        m.call(randn(3, 4)).sum().backward();
        m.pytorch().zero_grad(set_to_none: false);
        _log.Log(m.weight!.grad);
        m.pytorch().zero_grad();
        _log.Log(m.weight.grad);
        Matches("zero_grad");
    }

    [Fact]
    public void Apply_OfANetwork_HasTheRecordedOrder()
    {
        var seen = new List<string>();
        var n = new Net();
        _log.Log(ReferenceEquals(n.pytorch().apply(m => seen.Add(m.GetType().Name)), n));
        _log.Log(seen);
        Matches("apply_order");
    }

    [Fact]
    public void ForwardHooks_OfALayer_AnswerTheRecordedLines()
    {
        var m = new RMSNorm(4);
        var v = m.pytorch();
        var x = ones(2, 4);
        RemovableHandle[] handles =
        [
            v.register_forward_pre_hook((mod, a) => _log.Log("pre 1")),
            v.register_forward_pre_hook((mod, a) => _log.Log("pre 2"), prepend: true),
            v.register_forward_hook((mod, a, o) => _log.Log("post 1")),
            v.register_forward_hook((mod, a, o) => (Tensor)o! * 2),
            v.register_forward_hook((mod, a, o) => _log.Log($"post 3 {First(o)}")),
            v.register_forward_hook((mod, a, o) => _log.Log("post 0"), prepend: true),
        ];
        _log.Log(First(m.call(x)));
        foreach (var e in handles)
            e.remove();
        _log.Log(First(m.call(x)));
        v.register_forward_pre_hook((mod, a) => new object?[] { (Tensor)a[0]! * 0 });
        _log.Log(First(m.call(x)));
        Matches("forward_hooks");

        static string First(object? output) => PythonText.Float(((Tensor)output!)[0, 0].item<float>());
    }

    [Fact]
    public void BackwardHooks_OfALayer_AnswerTheRecordedLines()
    {
        var (m, x) = New();
        m.register_full_backward_pre_hook((mod, go) => _log.Log($"pre {Recording.Text(go)}"));
        m.register_full_backward_hook((mod, gi, go) => _log.Log($"post in [{Recording.Rounded(gi[0]!)}] out {Recording.Text(go)}"));
        m.call(x).sum().backward();
        _log.Log(Recording.Rounded(x.grad!));

        (m, x) = New();
        m.register_full_backward_hook((mod, gi, go) => [(gi[0]! * 0) + 7]);
        m.call(x).sum().backward();
        _log.Log(x.grad);
        _log.Log(Recording.Rounded(m.g.grad!));

        (m, x) = New();
        m.register_full_backward_pre_hook((mod, go) => [go[0]! * 2]);
        m.call(x).sum().backward();
        _log.Log(Recording.Rounded(m.g.grad!));

        (m, _) = New();
        m.register_full_backward_hook((mod, gi, go) => _log.Log($"no input gradient {(gi is [null] ? "(None,)" : Recording.Text(gi))}"));
        m.call(tensor(new[,] { { 3f, 4f } })).sum().backward();

        (m, x) = New();
        m.register_full_backward_hook((mod, gi, go) => _log.Log("removed")).remove();
        m.call(x).sum().backward();
        Matches("backward_hooks");

        static (RMSNorm, Tensor) New() => (new RMSNorm(2), tensor(new[,] { { 3f, 4f } }, requires_grad: true));
    }

    [Fact]
    public void StateHooks_Nested_AnswerTheRecordedLines()
    {
        var n = nn.Sequential(new LayerNorm(2)).pytorch();
        var m = n.get_submodule("0");
        m.register_state_dict_pre_hook((mod, prefix, keep) => _log.Log($"pre '{prefix}' {Recording.Text(keep)}"));
        m.register_state_dict_post_hook((mod, state, prefix, meta) => _log.Log($"post '{prefix}' {Recording.Text(state.Keys)}"));
        var sd = n.state_dict();
        _log.Log(sd.Keys);
        m.register_load_state_dict_pre_hook((mod, state, prefix, meta, strict, missing, unexpected, errors) =>
            _log.Log($"load pre '{prefix}' {Recording.Text(strict)} {Recording.Text(missing)} {Recording.Text(unexpected)} {Recording.Text(errors)}"));
        m.register_load_state_dict_post_hook((mod, keys) =>
        {
            _log.Log($"load post {Recording.Text(keys.missing_keys)} {Recording.Text(keys.unexpected_keys)}");
            keys.missing_keys.Clear();
        });
        _log.Attempt(() => n.load_state_dict(sd));
        _log.Attempt(() => n.load_state_dict(new StateDict { ["0.weight"] = ones(2) }));
        Matches("state_hooks");
    }

    [Fact]
    public void ExtraState_SavedAndLoaded_AnswersTheRecordedLines()
    {
        var (a, b) = (new WithExtra(2, eps: 0.5), new WithExtra(2));
        _log.Log(a.pytorch().state_dict().Keys);
        _log.Attempt(() => b.pytorch().load_state_dict(a.pytorch().state_dict()));
        _log.Log(b.eps);
        _log.Attempt(() => new RMSNorm(2).get_extra_state());
        _log.Attempt(() => new RMSNorm(2).set_extra_state(zeros(1)));
        _log.Attempt(() => new RMSNorm(2).pytorch().load_state_dict(a.pytorch().state_dict()));
        _log.Attempt(() => new WithExtra(2).pytorch().load_state_dict(new StateDict { ["g"] = ones(2) }));
        Matches("extra_state");
    }

    [Fact]
    public void Registration_OfBadNames_AnswersTheRecordedLines()
    {
        var m = new RMSNorm(2);
        var v = m.pytorch();
        foreach (var f in new Action[]
        {
            () => v.register_parameter("a.b", nn.Parameter(ones(1))), () => v.register_parameter("", nn.Parameter(ones(1))), () => v.register_parameter("eps", nn.Parameter(ones(1))),
            () => v.register_buffer("g", ones(1)), () => v.add_module("a.b", new RMSNorm(2)), () => v.add_module("", new RMSNorm(2)), () => v.add_module("g", new RMSNorm(2)),
        })
        {
            _log.Attempt(f);
        }
        v.register_buffer("kept", ones(1));
        v.register_buffer("passing", ones(1), persistent: false);
        v.add_module("sub", new LayerNorm(2));
        _log.Log(v.state_dict().Keys);
        _log.Log(Names(v.named_buffers()));
        v.@double();
        _log.Log(Words(v.get_buffer("passing")!.dtype, v.get_parameter("sub.weight").dtype));
        Matches("registration_errors");
    }

    [Fact]
    public void Assign_OfAnotherDtype_AnswersTheRecordedLines()
    {
        var d = new StateDict { ["weight"] = ones(2, dtype: ScalarType.Float64), ["bias"] = ones(2, dtype: ScalarType.Float64) };
        var m = new LayerNorm(2);
        m.pytorch().load_state_dict(d);
        _log.Log(m.weight!.dtype);
        m.pytorch().load_state_dict(d, assign: true);
        _log.Log(m.weight.dtype);
        _log.Log(m.weight.requires_grad);
        _log.Log(new LayerNorm(2).pytorch().state_dict()["weight"].requires_grad);
        _log.Log(new LayerNorm(2).pytorch().state_dict(keep_vars: true)["weight"].requires_grad);
        Matches("assign");
    }

    // RINorm of fewer than 3 dimensions is left out: it is an error here. Sizes that no layer can have are refused in words of this library.
    [Fact]
    public void BadForward_OfTheLayers_BeginsWithTheRecordedTexts()
    {
        var recorded = ModuleSurface.Lines("bad_forward");
        var uses = new Func<object>[]
        {
            () => new RMSNorm(4).call(ones(2, 3)), () => new LayerNorm(4).call(ones(2, 3)), () => new LayerNorm([2, 4]).call(ones(3, 4)), () => new LayerNormNoBias(4).call(ones(2, 3)), () => new RINorm(4).call(ones(2, 5, 3)),
            () => new RINorm(4).call(ones(5, 4)), () => new RINorm(4).call(ones(4)), () => new RINorm(4).inverse(ones(2, 5, 4, 1)), () => new RINorm(4).transform(ones(2, 5, 4)),
            () => new RMSNorm(4).call(ones(2, 4, dtype: ScalarType.Int64)), () => new LayerNorm(4).call(ones(2, 4, dtype: ScalarType.Int64)), () => new RMSNorm(0), () => new RMSNorm(-1), () => new LayerNorm(4).call(ones(2, 4, dtype: ScalarType.Float64)),
        };
        uses.Should().HaveSameCount(recorded);
        foreach (var (use, line) in uses.Zip(recorded))
        {
            var message = use.Should().Throw<Exception>(line).Which.Message;
            if (line.StartsWith("torch.Size", StringComparison.Ordinal))
                message.Should().Contain("3 dimensions or more");
            else if (line.Contains("negative", StringComparison.Ordinal))
                message.Should().Contain("must be at least 1");
            else
                message.Should().StartWith(line.Split(": ", 2)[1].TrimEnd('.'));
        }
    }

    private static NormModule[] NewLayers() => [new RMSNorm(4), new LayerNorm(4), new LayerNormNoBias(4), new RINorm(4), new RINorm(4, affine: false)];

    private static string Names<T>(IEnumerable<(string name, T)> entries) => PythonText.List(entries.Select(entry => entry.name));

    private static string Words(params object?[] values) => string.Join(" ", values.Select(Recording.Text));

    private void Matches(string scenario) => _log.Lines.Should().Equal(ModuleSurface.Lines(scenario));
}
