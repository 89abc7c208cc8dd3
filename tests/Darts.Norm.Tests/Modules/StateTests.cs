using TorchSharp.Modules;
using static Darts.Norm.Tests.Modules.Networks;

namespace Darts.Norm.Tests.Modules;

/// <summary>State dictionaries of whole networks: all or nothing, hooks, extra state, assign, tied names.</summary>
public sealed class StateTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void LoadStateDict_ManyFaultsInANetwork_ListsEachAndWritesNothing()
    {
        var net = new Net().pytorch();
        var before = Clones(net);
        var source = new StateDict(before.Select(entry => KeyValuePair.Create(entry.Key, entry.Value + 7)));
        source.Remove("rin.affine_bias");
        source.Remove("head.weight");
        source["block.0.g"] = ones(1);
        source["block.1.weight"] = ones(4);
        source["block.7.g"] = ones(4);
        source["head.weight.more"] = ones(4);
        net.Invoking(n => n.load_state_dict(source)).Should().Throw<InvalidOperationException>().WithMessage(
            "Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: \"rin.affine_bias\", \"head.weight\". "
            + "\n\tUnexpected key(s) in state_dict: \"block.7.g\", \"head.weight.more\". "
            + "\n\tsize mismatch for block.0.g: copying a param with shape torch.Size([1]) from checkpoint, the shape in current model is torch.Size([4])."
            + "\n\tsize mismatch for block.1.weight: copying a param with shape torch.Size([4]) from checkpoint, the shape in current model is torch.Size([4, 4]).");
        Same(net, before);
        net.Invoking(n => n.load_state_dict(source, strict: false)).Should().Throw<InvalidOperationException>().WithMessage("*block.0.g*block.1.weight*");
        Same(net, before);
    }

    [Fact]
    public void LoadStateDict_OfTorchSharpsModulesWithDotsInTheirNames_LoadsWhatTheyGive()
    {
        var (saved, loaded) = (Made(), Made());
        var state = saved.state_dict();
        state.Keys.Should().Contain("attention.out_proj.weight").And.Contain("encoder.layers.1.self_attn.in_proj_weight");
        loaded.load_state_dict(state).ToString().Should().Be("<All keys matched successfully>");
        Same(loaded, state);
        state["attention.out_proj.more"] = state["attention.out_proj.weight"];
        state.Remove("attention.out_proj.weight");
        loaded.Invoking(l => l.load_state_dict(state)).Should().Throw<InvalidOperationException>()
            .WithMessage("*Missing key(s) in state_dict: \"attention.out_proj.weight\"*Unexpected key(s) in state_dict: \"attention.out_proj.more\"*");

        static PyTorchModule<ModuleDict<nn.Module>> Made() =>
            nn.ModuleDict<nn.Module>(("attention", nn.MultiheadAttention(4, 2)), ("encoder", nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2))).pytorch();
    }

    [Fact]
    public void GetParameter_OfTorchSharpsModulesWithDotsInTheirNames_IsWhatNamedParametersGive()
    {
        var net = nn.ModuleDict<nn.Module>(("attention", nn.MultiheadAttention(4, 2))).pytorch();
        foreach (var (name, parameter) in net.named_parameters())
            net.get_parameter(name).Should().BeSameAs(parameter);
        net.Invoking(n => n.get_parameter("attention.out_proj.more")).Should().Throw<MissingMemberException>().WithMessage("MultiheadAttention has no attribute `out_proj`");
    }

    [Fact]
    public void LoadStateDict_NotStrict_WritesWhatFits()
    {
        var net = new Net().pytorch();
        var (missing, unexpected) = net.load_state_dict(new StateDict { ["head.bias"] = full(4, 3f), ["other.g"] = ones(1) }, strict: false);
        missing.Should().Equal("rin.affine_weight", "rin.affine_bias", "block.0.g", "block.1.weight", "head.weight");
        unexpected.Should().Equal("other.g");
        net.module.Head.bias!.Doubles().Should().Equal(3, 3, 3, 3);
    }

    [Fact]
    public void LoadStateDict_NullDisposedOrNoDictionary_IsRefused()
    {
        var net = new RMSNorm(2).pytorch();
        var disposed = ones(2);
        disposed.Dispose();
        net.Invoking(n => n.load_state_dict(new StateDict { ["g"] = null! })).Should().Throw<InvalidOperationException>().WithMessage("*While copying the parameter named \"g\"*NoneType*");
        net.Invoking(n => n.load_state_dict(new StateDict { ["g"] = disposed })).Should().Throw<InvalidOperationException>().WithMessage("*g: the tensor is disposed*");
        net.Invoking(n => n.load_state_dict(null!)).Should().Throw<ArgumentTypeException>().WithMessage("Expected state_dict to be dict-like*");
        net.load_state_dict(new Dictionary<string, Tensor> { ["g"] = full(2, 2f) }).ToString().Should().Be("<All keys matched successfully>");
    }

    [Fact]
    public void LoadStateDict_ThatFailsWhileItWrites_RestoresWhatItWrote()
    {
        var norm = new RMSNorm(2).pytorch();
        norm.register_buffer("repeated", ones(1).expand(4));
        norm.register_buffer("later", ones(1));
        norm.Invoking(n => n.load_state_dict(new StateDict { ["g"] = zeros(2), ["repeated"] = arange(4f), ["later"] = zeros(1) })).Should().Throw<Exception>();
        (norm.module.g.Doubles().Sum(), norm.get_buffer("later")!.item<float>()).Should().Be((2d, 1f));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LoadStateDict_WhatLibtorchRefuses_IsListedInPyTorchsTextAndWritesNothing(bool withHook)
    {
        using var units = jit.compile("""
            def quantized(x):
                return torch.quantize_per_tensor(x, 0.1, 0, 12)

            def csr(x):
                return x.to_sparse_csr()

            """);
        var quantized = (Tensor)units.invoke("quantized", ones(4));
        var csr = (Tensor)units.invoke("csr", ones(4, 4));
        LayerNorm inInference;
        using (inference_mode())
            inInference = new(4);
        var net = nn.Sequential(("a", new RMSNorm(4)), ("b", new LayerNorm(4)), ("c", inInference)).pytorch();
        if (withHook)
            net.register_load_state_dict_pre_hook((_, _, _, _, _, _, _, _) => { });
        var before = Clones(net);
        var source = new StateDict(before.Select(entry => KeyValuePair.Create(entry.Key, entry.Value + 7)));
        string Failed(string key, string why) => $"\n\tWhile copying the parameter named \"{key}\", whose dimensions in the model are torch.Size([4]) and whose dimensions in the checkpoint are torch.Size([4]), an exception occurred : ('{why}";
        Refused(Failed("c.weight", "Inplace update to inference tensor outside InferenceMode is not allowed."), Failed("c.bias", "Inplace update"));

        source["b.bias"] = ones(4).to_sparse();
        source["b.weight"] = quantized;
        Refused(Failed("b.bias", "copy_() between dense and sparse Tensors is not implemented! Convert it first"), Failed("b.weight", "Copying from quantized Tensor to non-quantized Tensor is not allowed, please use dequantize"));
        RefusedWith(true, [Failed("b.bias", "copy_() between dense and sparse"), Failed("b.weight", "Only Tensors of floating point")]);

        net = nn.Sequential(("a", new RMSNorm(4)), ("b", new LayerNorm(4) { weight = nn.Parameter(ones(1).expand(4)) })).pytorch();
        before = Clones(net);
        source = new StateDict(before.Select(entry => KeyValuePair.Create(entry.Key, entry.Value + 7)));
        Refused(Failed("b.weight", "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone()"));

        net = nn.Sequential(("a", new RMSNorm(4)), ("b", nn.Linear(4, 4))).pytorch();
        before = Clones(net);
        source = new StateDict(before.Select(entry => KeyValuePair.Create(entry.Key, entry.Value + 7))) { ["b.weight"] = csr };
        Refused(Failed("b.weight", "").Replace("[4]", "[4, 4]"));
        RefusedWith(true, [Failed("b.weight", "Attempted to call `variable.set_data(tensor)`").Replace("[4]", "[4, 4]")]);

        void Refused(params string[] says) => RefusedWith(false, says);

        void RefusedWith(bool assign, string[] says)
        {
            var error = net.Invoking(n => n.load_state_dict(source, assign: assign)).Should().Throw<InvalidOperationException>().Which;
            error.Message.Should().StartWith("Error(s) in loading state_dict for Sequential:").And.ContainAll(says).And.NotContain("frame #");
            error.Message.Should().NotContain("TorchScript");
            error.Data.Count.Should().Be(0, "all is as it was");
            Same(net, before);
        }
    }

    [Fact]
    public void ExtraState_NullOrDisposed_IsRefusedAndLeavesTheDictionary()
    {
        var gone = ones(1);
        gone.Dispose();
        foreach (var state in (Tensor[])[null!, gone])
        {
            var net = nn.Sequential(("a", new Norm(state))).pytorch();
            var destination = new StateDict { ["mine"] = ones(1) };
            Action[] uses = [() => net.state_dict(destination), () => net.load_state_dict(new StateDict { ["a.g"] = ones(4), ["a._extra_state"] = ones(1) }), () => ((Norm)net.get_submodule("a")).pytorch().get_extra_state()];
            uses.Should().AllSatisfy(use => use.Should().Throw<InvalidOperationException>().WithMessage("get_extra_state must answer a tensor, but that of Norm answered null or a disposed one.*"));
            destination.Keys.Should().Equal("mine");
        }
    }

    private sealed class Norm : nn.Module<Tensor, Tensor>, IExtraState
    {
        private readonly Parameter g = nn.Parameter(ones(4));
        private readonly Func<Tensor> _state;

        public Norm(Tensor state) : base(nameof(Norm))
        {
            _state = () => state;
            RegisterComponents();
        }

        public Tensor get_extra_state() => _state();

        public void set_extra_state(Tensor state)
        {
        }

        public override Tensor forward(Tensor x) => x * g;
    }

    [Fact]
    public void LoadStateDict_WithHooks_RunsThemInTheCallersGradMode()
    {
        var norm = new RMSNorm(2).pytorch();
        List<bool> seen = [];
        norm.register_load_state_dict_pre_hook((_, _, _, _, _, _, _, _) => seen.Add(is_grad_enabled()));
        norm.load_state_dict(norm.state_dict());
        using (no_grad())
            norm.load_state_dict(norm.state_dict());
        seen.Should().Equal(true, false);
    }

    [Fact]
    public void LoadStateDict_HookThatChangesWhatIsNotLoadedAndThrows_RestoresThat()
    {
        var net = nn.Sequential(new RMSNorm(2), new RMSNorm(2));
        net.register_load_state_dict_pre_hook((module, _, _, _, _, _, _, _) =>
        {
            using var noGrad = no_grad();
            module.pytorch().get_parameter("1.g").fill_(99);
        });
        net.register_load_state_dict_post_hook((_, _) => throw new NotFiniteNumberException());
        net.pytorch().Invoking(n => n.load_state_dict(new StateDict { ["0.g"] = zeros(2) }, strict: false)).Should().Throw<NotFiniteNumberException>();
        net.pytorch().parameters().SelectMany(parameter => parameter.Doubles()).Should().Equal(1, 1, 1, 1);
    }

    [Fact]
    public void Assign_OntoTheMetaDeviceThatFailsLater_LeavesItThere()
    {
        var net = nn.Sequential(new RMSNorm(2, device: META), new RMSNorm(2, device: META));
        var before = net.pytorch().parameters().ToList();
        net.register_load_state_dict_post_hook((_, _) => throw new NotFiniteNumberException());
        net.pytorch().Invoking(n => n.load_state_dict(new StateDict { ["0.g"] = ones(2), ["1.g"] = ones(2) }, assign: true)).Should().Throw<NotFiniteNumberException>();
        net.pytorch().parameters().Should().Equal(before, ReferenceEquals);
        before.Should().OnlyContain(parameter => parameter.device_type == DeviceType.META);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LoadStateDict_Hooks_AreGivenTheMetadataOfTheirModuleAndWhetherToAssign(bool assign)
    {
        var net = nn.Sequential(nn.BatchNorm1d(2), new RMSNorm(2));
        var seen = new List<string>();
        foreach (var (name, module) in net.pytorch().named_modules())
            module.register_load_state_dict_pre_hook((_, _, _, metadata, _, _, _, _) => seen.Add($"{name}: {metadata["version"]} {(metadata.TryGetValue("assign_to_params_buffers", out var assigned) ? assigned : "")}"));
        net.pytorch().load_state_dict(net.pytorch().state_dict(), assign: assign);
        var expected = assign ? "True" : "";
        seen.Should().Equal($": 1 {expected}", $"0: 2 {expected}", $"1: 1 {expected}");
    }

    [Fact]
    public void LoadStateDict_OneElementForAScalar_IsTakenAsInPyTorch()
    {
        var module = new WithExtra(2).pytorch();
        module.register_buffer("steps", tensor(5L));
        var state = module.state_dict();
        state["steps"] = full(1, 9L);
        module.load_state_dict(state);
        module.get_buffer("steps")!.item<long>().Should().Be(9);
        state["steps"] = ones(0);
        module.Invoking(m => m.load_state_dict(state)).Should().Throw<InvalidOperationException>().WithMessage("*size mismatch for steps: *torch.Size([0])*");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LoadStateDict_AHookOrExtraStateThatThrows_RestoresEverything(bool assign)
    {
        foreach (var fault in new Action<Sequential, WithExtra>[]
        {
            (net, _) => net.register_load_state_dict_post_hook((_, _) => throw new NotFiniteNumberException()),
            (net, _) => net.get_submodule("1").register_load_state_dict_post_hook((_, _) => throw new NotFiniteNumberException()),
            (net, _) => net.get_submodule("1").register_load_state_dict_pre_hook((_, _, _, _, _, _, _, _) => throw new NotFiniteNumberException()),
            (_, extra) => extra.OnSet = module =>
            {
                if (module.eps > 0.1)
                    throw new NotFiniteNumberException();
            },
            (net, extra) => net.register_load_state_dict_post_hook((_, _) =>
            {
                using var noGrad = no_grad();
                extra.pytorch().get_parameter("g").fill_(99);
                throw new NotFiniteNumberException();
            }),
        })
        {
            var extra = new WithExtra(2, eps: 0.01);
            var net = nn.Sequential(extra, new LayerNorm(2));
            var view = net.pytorch();
            var before = Clones(view);
            var source = new StateDict(before.Select(entry => KeyValuePair.Create(entry.Key, (entry.Value + 7).to(ScalarType.Float64))));
            fault(net, extra);
            view.Invoking(v => v.load_state_dict(source, assign: assign)).Should().Throw<NotFiniteNumberException>();
            Same(view, before);
            extra.eps.Should().Be(0.01);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LoadStateDict_ExtraStateThatDoesNotGoBackEither_KeepsTheFirstErrorAndRestoresTheRest(bool withoutData)
    {
        Exception first = withoutData ? new WithoutData() : new NotFiniteNumberException();
        var (second, extra) = (new TimeoutException(), new WithExtra(2, eps: 0.01));
        var net = nn.Sequential(extra, new LayerNorm(2));
        var view = net.pytorch();
        var before = Clones(view);
        var source = new StateDict(before.Select(entry => KeyValuePair.Create(entry.Key, entry.Value + 7)));
        extra.OnSet = module => throw (module.eps > 0.1 ? first : second);
        view.Invoking(v => v.load_state_dict(source)).Should().Throw<Exception>().Which.Should().BeSameAs(first);
        Same(view, before);
        if (!withoutData)
            ((AggregateException)first.Data["not taken back"]!).InnerExceptions.Should().Equal(second);
    }

    [Fact]
    public void LoadStateDict_ExtraStateThatIsNullOrDisposed_IsRefused()
    {
        var module = new WithExtra(2).pytorch();
        var disposed = ones(1);
        disposed.Dispose();
        foreach (var state in new[] { null, disposed })
        {
            module.Invoking(m => m.load_state_dict(new StateDict { ["g"] = zeros(2), ["_extra_state"] = state! })).Should().Throw<InvalidOperationException>().WithMessage("*no value for _extra_state: the tensor is null or disposed.");
            module.get_parameter("g").Doubles().Should().Equal(1, 1);
        }
        module.set_extra_state(full(1, 0.5, ScalarType.Float64));
        module.get_extra_state().item<double>().Should().Be(0.5);
    }

    [Fact]
    public void LoadStateDict_OfALayerWithoutExtraState_IsNotMissingThatOfAChild()
    {
        var norm = new LayerNorm(2);
        norm.pytorch().add_module("child", new WithExtra(2));
        var source = norm.pytorch().state_dict().Where(entry => entry.Key != "child._extra_state").ToDictionary(entry => entry.Key, entry => entry.Value);
        norm.load_state_dict(source).missing_keys.Should().BeEmpty("TorchSharp's own state_dict does not write it");
        norm.pytorch().load_state_dict(source, strict: false).missing_keys.Should().Equal("child._extra_state");
    }

    [Fact]
    public void LoadStateDict_KeysThatAChildsHookAddsElsewhere_AreNotTheChilds()
    {
        var net = nn.Sequential(new RMSNorm(2), new RMSNorm(2));
        net.get_submodule("0").register_load_state_dict_pre_hook((_, state, _, _, _, _, _, _) => state["elsewhere"] = ones(1));
        net.pytorch().load_state_dict(net.pytorch().state_dict()).unexpected_keys.Should().BeEmpty();
    }

    [Fact]
    public void LoadStateDict_FromMetaToMeta_HasNothingToCopy()
    {
        var meta = new RMSNorm(2, device: META);
        meta.load_state_dict(new() { ["g"] = meta.g.detach() }).missing_keys.Should().BeEmpty();
        meta.g.device_type.Should().Be(DeviceType.META);
    }

    [Fact]
    public void Assign_OfIntegers_NeedsAParameterWithoutGradient()
    {
        var norm = new RMSNorm(2).pytorch();
        var source = new StateDict { ["g"] = arange(3L, 5L) };
        norm.Invoking(n => n.load_state_dict(source, assign: true)).Should().Throw<InvalidOperationException>().WithMessage("*parameter named \"g\"*Only Tensors of floating point and complex dtype can require gradients*");
        norm.load_state_dict(new StateDict { ["g"] = ones(2, ScalarType.ComplexFloat64) }, assign: true);
        norm.module.g.dtype.Should().Be(ScalarType.ComplexFloat64);
        norm.requires_grad_(false);
        norm.load_state_dict(source, assign: true);
        norm.module.g.dtype.Should().Be(ScalarType.Int64);
    }

    [Fact]
    public void Assign_ThatFailsLater_GivesTheGradientBack()
    {
        var net = nn.Sequential(new RMSNorm(2), new RMSNorm(2));
        net.call(randn(3, 2)).square().sum().backward();
        var parameter = net.pytorch().get_parameter("0.g");
        var gradient = parameter.grad!.clone();
        using (net.get_submodule("1").register_load_state_dict_post_hook((_, _) => throw new NotFiniteNumberException()))
            net.pytorch().Invoking(n => n.load_state_dict(n.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value + 1), assign: true)).Should().Throw<NotFiniteNumberException>();
        Layers.SameBits(parameter.grad!, gradient).Should().BeTrue();
        net.pytorch().load_state_dict(net.pytorch().state_dict());
        parameter.grad.Should().NotBeNull("copied values leave it");
    }

    [Fact]
    public void Assign_ToBuffersOnTheMetaDevice_TakesTheDictionarysToo()
    {
        var source = nn.BatchNorm1d(2).pytorch().state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.clone());
        var meta = nn.BatchNorm1d(2).pytorch().to("meta");
        meta.pytorch().load_state_dict(source, assign: true);
        meta.running_mean!.device_type.Should().Be(DeviceType.CPU);
        meta.pytorch().state_dict().Keys.Should().Equal(source.Keys);
        meta.call(randn(4, 2)).shape.Should().Equal(4, 2);
    }

    [Fact]
    public void Hooks_OfAllModules_FireInPyTorchsOrderAndSeeWhatWasRead()
    {
        var net = new Net();
        var seen = new List<string>();
        foreach (var (name, module) in net.pytorch().named_modules().Where(entry => entry.name is "" or "rin" or "head"))
        {
            module.register_load_state_dict_pre_hook((_, state, prefix, meta, _, _, _, _) => seen.Add($"> {prefix} {state.Count} {meta["version"]}"));
            module.register_load_state_dict_post_hook((m, _) => seen.Add($"< {name} {m.pytorch().parameters().First().Doubles()[0]}"));
        }
        var source = net.pytorch().state_dict();
        foreach (var key in source.Keys.ToList())
            source[key] = full_like(source[key], 7);
        net.pytorch().load_state_dict(source);
        seen.Should().Equal(">  6 1", "> rin. 2 1", "< rin 7", "> head. 2 1", "< head 7", "<  7");
    }

    [Fact]
    public void Hooks_ThatChangeTheDictionaryAndTheLists_AreFollowed()
    {
        var net = nn.Sequential(new RMSNorm(2));
        var norm = net.get_submodule("0");
        var rename = norm.register_load_state_dict_pre_hook((_, state, prefix, _, _, _, _, _) => state[prefix + "g"] = state.pop(prefix + "gain"));
        net.pytorch().load_state_dict(new StateDict { ["0.gain"] = full(2, 3f) });
        norm.parameters().Single().Doubles().Should().Equal(3, 3);
        rename.remove();
        norm.register_load_state_dict_pre_hook((_, _, _, _, _, _, _, errors) => errors.Add("not like this."));
        net.pytorch().Invoking(n => n.load_state_dict(n.state_dict())).Should().Throw<InvalidOperationException>().WithMessage("Error(s) in loading state_dict for Sequential:\n\tnot like this.");
    }

    [Fact]
    public void StateHooks_AddedAndRemovedWhileTheyRun_CountFromTheNextTime()
    {
        var norm = new RMSNorm(2).pytorch();
        var seen = new List<string>();
        RemovableHandle? first = null;
        first = norm.register_state_dict_pre_hook((module, _, _) =>
        {
            seen.Add("first");
            first!.remove();
            module.register_state_dict_pre_hook((_, _, _) => seen.Add("second"));
        });
        norm.state_dict();
        norm.state_dict();
        seen.Should().Equal("first", "second");
        norm.register_state_dict_post_hook((_, state, prefix, _) => state[$"{prefix}note"] = ones(1));
        norm.state_dict(prefix: "a.").Keys.Should().Equal("a.g", "a.note");
        norm.register_state_dict_post_hook((_, _, _, _) => throw new NotFiniteNumberException());
        norm.Invoking(n => n.state_dict()).Should().Throw<NotFiniteNumberException>();
    }

    [Fact]
    public void Metadata_OfANetwork_IsKeptByPathAndGivenBack()
    {
        var net = nn.Sequential(nn.BatchNorm1d(2), new RMSNorm(2)).pytorch();
        var state = net.state_dict(prefix: "net.");
        state.metadata.Select(entry => $"{entry.Key} {entry.Value["version"]}").Should().Equal("net 1", "net.0 2", "net.1 1");
        new StateDict(state).metadata.Keys.Should().Equal("net", "net.0", "net.1");
        net.state_dict(state, "more.").Should().BeSameAs(state);
        state.metadata.Keys.Should().Equal("net", "net.0", "net.1", "more", "more.0", "more.1");
        var plain = new Dictionary<string, Tensor> { ["other"] = ones(1) };
        net.state_dict(plain, "net.").Should().BeSameAs(plain);
        plain.Keys.Should().Equal("other", "net.0.weight", "net.0.bias", "net.0.running_mean", "net.0.running_var", "net.0.num_batches_tracked", "net.1.g");
    }

    [Fact]
    public void StateDict_Surgery_KeepsTheOrderOfPythonsDictionary()
    {
        var state = new StateDict { ["a"] = ones(1), ["b"] = ones(2), ["c"] = ones(3) };
        var b = state.pop("b");
        state["d"] = b;
        ((IDictionary<string, Tensor>)state).Remove("a").Should().BeTrue();
        state["a"] = b;
        state.Keys.Should().Equal("c", "d", "a");
        state.Remove("zzz").Should().BeFalse();
        ICollection<KeyValuePair<string, Tensor>> entries = state;
        entries.Remove(new("d", ones(2))).Should().BeFalse("it is another tensor");
        entries.Remove(new("e", b)).Should().BeFalse();
        entries.Remove(new("d", b)).Should().BeTrue();
        state.Keys.Should().Equal("c", "a");
        state.Invoking(s => s.pop("zzz")).Should().Throw<KeyNotFoundException>().WithMessage("'zzz'");
    }

    [Fact]
    public void StateDict_WithoutKeepVars_SharesTheValuesAndNotTheGraph()
    {
        var norm = new RMSNorm(2);
        var state = norm.pytorch().state_dict();
        using (no_grad())
            norm.g.fill_(5);
        state["g"].Doubles().Should().Equal(5, 5);
        state["g"].requires_grad.Should().BeFalse();
        norm.pytorch().state_dict(keep_vars: true)["g"].Should().BeSameAs(norm.g);
    }

    [Fact]
    public void TiedModulesAndParameters_AreVisitedOnceAndSavedUnderEachName()
    {
        var shared = new RMSNorm(2);
        var net = nn.Sequential(("a", shared), ("b", new LayerNorm(2)), ("c", shared)).pytorch();
        net.named_modules().Select(entry => entry.name).Should().Equal("", "a", "b");
        net.named_modules(remove_duplicate: false).Select(entry => entry.name).Should().Equal("", "a", "b", "c");
        net.named_children().Select(entry => entry.name).Should().Equal("a", "b");
        net.named_parameters().Select(entry => entry.name).Should().Equal("a.g", "b.weight", "b.bias");
        net.named_parameters(remove_duplicate: false, prefix: "net").Select(entry => entry.name).Should().Equal("net.a.g", "net.b.weight", "net.b.bias", "net.c.g");
        net.state_dict().Keys.Should().Equal("a.g", "b.weight", "b.bias", "c.g");
        net.text().Should().Contain("(a): RMSNorm()").And.Contain("(c): RMSNorm()");
        var applied = new List<nn.Module>();
        net.apply(applied.Add);
        applied.Should().HaveCount(3);

        var tied = new LayerNorm(2);
        tied.pytorch().register_parameter("again", tied.weight);
        tied.pytorch().named_parameters().Select(entry => entry.name).Should().Equal("weight", "bias");
        tied.pytorch().state_dict().Keys.Should().Equal("weight", "bias", "again");
        tied.pytorch().@double();
        tied.pytorch().get_parameter("again").Should().BeSameAs(tied.weight);
        tied.pytorch().to("meta").pytorch().to_empty(CPU);
        tied.pytorch().get_parameter("again").Should().BeSameAs(tied.weight, "what is tied stays tied");
        var memo = new HashSet<nn.Module> { shared };
        net.named_modules(memo).Select(entry => entry.name).Should().Equal("", "b");
        memo.Should().HaveCount(3);
    }

    [Fact]
    public void NonPersistentAndNullEntries_AreNotSavedAndUnexpectedWhenLoaded()
    {
        var norm = new RMSNorm(2).pytorch();
        norm.register_buffer("passing", ones(1), persistent: false);
        norm.register_buffer("none", null);
        norm.register_parameter("absent", null);
        norm.register_module("nothing", null);
        norm.state_dict().Keys.Should().Equal("g");
        norm.named_buffers().Select(entry => entry.name).Should().Equal("passing");
        norm.get_buffer("none").Should().BeNull();
        norm.text().Should().Be("RMSNorm(\n  (nothing): None\n)");
        norm.Invoking(n => n.get_parameter("absent")).Should().Throw<MissingMemberException>().WithMessage("`absent` is not an nn.Parameter");
        norm.Invoking(n => n.get_submodule("nothing")).Should().Throw<MissingMemberException>().WithMessage("`nothing` is not an nn.Module");
        norm.Invoking(n => n.load_state_dict(new StateDict { ["g"] = ones(2), ["passing"] = ones(1), ["none"] = ones(1), ["absent"] = ones(1) }))
            .Should().Throw<InvalidOperationException>().WithMessage("*Unexpected key(s) in state_dict: \"passing\", \"none\", \"absent\". ");
        norm.register_buffer("none", full(1, 4f));
        norm.register_parameter("absent", nn.Parameter(ones(1)));
        norm.register_module("nothing", new LayerNormNoBias(2));
        norm.state_dict().Keys.Should().Equal("g", "absent", "none");
        norm.register_buffer("none", null);
        norm.state_dict().Keys.Should().Equal("g", "absent");
    }

    [Fact]
    public void Assign_OntoTheMetaDevice_TakesTheDictionarysTensors()
    {
        var net = new Net();
        var source = net.pytorch().state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.clone().to(ScalarType.Float64));
        var meta = new Net().pytorch().to("meta").requires_grad_(false).pytorch();
        meta.load_state_dict(source, assign: true);
        meta.parameters().All(p => p.device_type == DeviceType.CPU && p.dtype == ScalarType.Float64 && !p.requires_grad).Should().BeTrue();
        net.pytorch().@double();
        var x = randn(2, 5, 4, dtype: ScalarType.Float64);
        Layers.SameBits(meta.module.call(x), net.call(x)).Should().BeTrue("forward uses what was assigned");
        source["head.weight"].fill_(3);
        meta.module.Head.weight!.Doubles().Should().Equal([3, 3, 3, 3], "it is the dictionary's own memory");
        meta.Invoking(m => m.load_state_dict(new StateDict { ["head.weight"] = ones(3) }, strict: false, assign: true)).Should().Throw<InvalidOperationException>().WithMessage("*size mismatch*");
    }

    [Fact]
    public void ExtraState_InANetwork_IsSavedUnderItsPathAndUnseenByTorchSharp()
    {
        var net = nn.Sequential(("a", new WithExtra(2, eps: 0.5)), ("b", new RMSNorm(2)));
        net.pytorch().state_dict().Keys.Should().Equal("a.g", "a._extra_state", "b.g");
        net.state_dict().Keys.Should().Equal("a.g", "b.g");
        var fired = 0;
        net.register_state_dict_pre_hook((_, _, _) => fired++);
        net.register_load_state_dict_pre_hook((_, _, _, _, _, _, _, _) => fired++);
        using var stream = new MemoryStream();
        net.save(new BinaryWriter(stream));
        net.load(new MemoryStream(stream.ToArray()));
        fired.Should().Be(0, "TorchSharp's own save and load fire no hooks");

        using var whole = new MemoryStream();
        nn.Module.save_state_dict(new BinaryWriter(whole), net.pytorch().state_dict());
        whole.Position = 0;
        var other = nn.Sequential(("a", new WithExtra(2)), ("b", new RMSNorm(2)));
        other.pytorch().load_state_dict(StateFile.Read(new BinaryReader(whole)));
        ((WithExtra)other.get_submodule("a")).eps.Should().Be(0.5);
    }

    private sealed class WithoutData : Exception
    {
        public override System.Collections.IDictionary Data => System.Collections.Frozen.FrozenDictionary<string, string>.Empty;
    }

    private static Dictionary<string, Tensor> Clones<T>(PyTorchModule<T> module)
        where T : nn.Module => module.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.clone());

    private static void Same<T>(PyTorchModule<T> module, Dictionary<string, Tensor> before)
        where T : nn.Module
    {
        var now = module.state_dict();
        now.Keys.Should().Equal(before.Keys);
        now.All(entry => Layers.SameBits(entry.Value, before[entry.Key])).Should().BeTrue("nothing is half done");
    }
}
