namespace Darts.Norm.Tests.Modules;

/// <summary>Forward hooks beyond the recorded ones: other modules, options, hooks that change hooks, hooks that throw.</summary>
public sealed class ForwardHookTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly List<string> _seen = [];

    public static TheoryData<string> Names => Layers.Names;

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Hooks_OnEachLayer_FireOnCallAndNotOnForward(string name)
    {
        var layer = Layers.All[name].New();
        using (layer.pytorch().register_forward_pre_hook((_, args) => _seen.Add($"pre {args.Length}")))
        using (layer.pytorch().register_forward_hook((module, args, output) => _seen.Add($"post {ReferenceEquals(module, layer)}")))
        {
            layer.call(Layers.All[name].Input());
            layer.forward(Layers.All[name].Input());
        }
        layer.call(Layers.All[name].Input());
        _seen.Should().Equal("pre 1", "post True");
    }

    [Fact]
    public void Hooks_WithKwargs_GetNoneAndMayReplace()
    {
        var norm = new RMSNorm(2).pytorch();
        norm.register_forward_pre_hook((_, args, kwargs) =>
        {
            _seen.Add($"pre {args.Length} {kwargs.Count}");
            return ([(Tensor)args[0]! * 0], kwargs);
        });
        norm.register_forward_hook((_, args, kwargs, output) => (Tensor)output! + kwargs.Count + 1, with_kwargs: true);
        norm.module.call(ones(2)).Doubles().Should().Equal(1, 1);
        _seen.Should().Equal("pre 1 0");
    }

    [Fact]
    public void Options_ThatCannotBe_AreRefused()
    {
        var norm = new RMSNorm(2).pytorch();
        norm.Invoking(n => n.register_forward_hook((_, _, _) => { }, always_call: true)).Should().Throw<NotSupportedException>().WithMessage("*always_call cannot be had*try and finally*");
        norm.Invoking(n => n.register_forward_hook((_, _, _) => { }, with_kwargs: true)).Should().Throw<ArgumentTypeException>().WithMessage("*(module, args, kwargs, output)*");
        norm.Invoking(n => n.register_forward_pre_hook((_, _) => { }, with_kwargs: true)).Should().Throw<ArgumentTypeException>().WithMessage("*(module, args, kwargs)*");
        norm.Invoking(n => n.register_forward_pre_hook((_, args, kwargs) => null, with_kwargs: false)).Should().Throw<ArgumentTypeException>();
        norm.Invoking(n => n.register_forward_pre_hook((ForwardPreHook)null!)).Should().Throw<ArgumentNullException>();
        norm.register_forward_pre_hook((_, args, _) => (args, new Dictionary<string, object?> { ["scale"] = 2 }));
        norm.Invoking(n => n.module.call(ones(2))).Should().Throw<NotSupportedException>().WithMessage("*['scale']*");
        new Callless().Invoking(module => module.pytorch().register_forward_hook((_, _, _) => { })).Should().Throw<NotSupportedException>().WithMessage("*Callless has none*");
    }

    [Fact]
    public void Hooks_OnAllModulesOfANetworkWithLists_RunForThoseThatAreCalled()
    {
        var list = nn.ModuleList<nn.Module<Tensor, Tensor>>(new RMSNorm(2), new LayerNormNoBias(2));
        nn.Module[] containers = [list, nn.ModuleDict<nn.Module>(), nn.ParameterList(), nn.ParameterDict()];
        var handles = containers.SelectMany(container => container.pytorch().modules()).SelectMany(module => (RemovableHandle[])
        [
            module.pytorch().register_forward_pre_hook((m, _) => _seen.Add($"before {m.GetType().Name}")),
            module.pytorch().register_forward_hook((m, _, _) => _seen.Add($"after {m.GetType().Name}")),
            module.register_full_backward_hook((m, _, _) => _seen.Add($"back through {m.GetType().Name}")),
        ]).ToList();
        list[1].call(list[0].call(randn(1, 2, requires_grad: true))).sum().backward();
        _seen.Should().Equal(
            "before RMSNorm", "after RMSNorm", "before LayerNormNoBias", "after LayerNormNoBias", "back through LayerNormNoBias", "back through RMSNorm");
        handles.ForEach(handle => handle.remove());
    }

    [Fact]
    public void Hooks_OnModulesOfSeveralArguments_SeeAndReplaceEach()
    {
        var bilinear = nn.Bilinear(2, 2, 1);
        bilinear.pytorch().register_forward_pre_hook((_, args) => new object?[] { args[1], args[0] });
        var (a, b) = (randn(1, 2), randn(1, 2));
        Layers.SameBits(bilinear.call(a, b), bilinear.forward(b, a)).Should().BeTrue();

        var lstm = nn.LSTM(2, 3);
        lstm.pytorch().register_forward_hook((_, args, output) => _seen.Add($"{args.Length} {args[1] is null} {output!.GetType().Name}"));
        lstm.call(randn(4, 1, 2), null);
        _seen.Should().Equal("2 True ValueTuple`3");
    }

    [Fact]
    public void Hook_WrongReplacement_SaysWhatIsExpected()
    {
        var norm = new RMSNorm(2);
        using (norm.pytorch().register_forward_pre_hook((_, _) => "text"))
            norm.Invoking(n => n.call(ones(2))).Should().Throw<ArgumentTypeException>().WithMessage("*RMSNorm returned a String for a Tensor*");
        using (norm.pytorch().register_forward_pre_hook((_, _) => new object?[] { ones(2), ones(2) }))
            norm.Invoking(n => n.call(ones(2))).Should().Throw<ArgumentTypeException>().WithMessage("*takes 1 arguments*returned 2*");
        norm.call(ones(2)).Doubles().Should().HaveCount(2);
        var scaled = new Scaled();
        using (scaled.pytorch().register_forward_pre_hook((_, args) => new object?[] { args[0], null }))
            scaled.Invoking(s => s.call(ones(2), 3)).Should().Throw<ArgumentTypeException>().WithMessage("*Scaled returned a null for a Double*");
        scaled.call(ones(2), 3).Doubles().Should().Equal(3, 3);
    }

    [Fact]
    public void Hooks_WithKwargs_MayLeaveAllAlone()
    {
        var norm = new LayerNormNoBias(2);
        norm.pytorch().register_forward_pre_hook((_, _, _) => null);
        norm.pytorch().register_forward_pre_hook((_, args, _) => (args, null!));
        Layers.SameBits(norm.call(arange(2f)), norm.forward(arange(2f))).Should().BeTrue();
    }

    [Fact]
    public void Remove_AfterTheModuleIsGone_DoesNothing()
    {
        var (handle, module) = Registered();
        Alone.Collect();
        module.IsAlive.Should().BeFalse("the handle does not keep it");
        handle.remove();

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static (RemovableHandle, WeakReference) Registered()
        {
            using var norm = new RMSNorm(2);
            return (norm.pytorch().register_forward_hook((_, _, _) => { }), new(norm));
        }
    }

    [Fact]
    public void Hook_ThatAddsAndRemovesHooks_IsFollowedFromTheNextCallOn()
    {
        var norm = new RMSNorm(2).pytorch();
        RemovableHandle? second = null;
        norm.register_forward_hook((_, _, _) =>
        {
            _seen.Add("first");
            if (_seen.Count == 1)
                norm.register_forward_hook((_, _, _) => _seen.Add("third"));
            second!.remove();
        });
        second = norm.register_forward_hook((_, _, _) => _seen.Add("second"));
        norm.module.call(ones(2));
        norm.module.call(ones(2));
        _seen.Should().Equal("first", "second", "first", "third");
    }

    [Fact]
    public void Hook_FirstRegisteredByOneOfTorchSharps_DoesNotBreakTheCall()
    {
        var norm = new RMSNorm(2);
        norm.register_forward_pre_hook((module, x) =>
        {
            if (_seen.Count == 0)
                module.pytorch().register_forward_pre_hook((_, _) => _seen.Add("new"));
            _seen.Add("TorchSharp's");
            return x;
        });
        norm.call(ones(2));
        norm.call(ones(2));
        _seen.Should().Equal("TorchSharp's", "TorchSharp's", "new");
    }

    [Fact]
    public void Hook_ThatThrows_LeavesTheModuleUsable()
    {
        var norm = new RMSNorm(2);
        norm.register_full_backward_hook((_, _, _) => _seen.Add("backward"));
        var x = ones(2).requires_grad_();
        using (norm.pytorch().register_forward_hook((_, _, _) => throw new NotFiniteNumberException()))
            norm.Invoking(n => n.call(x)).Should().Throw<NotFiniteNumberException>();
        using (norm.pytorch().register_forward_pre_hook((_, _) => throw new NotFiniteNumberException()))
            norm.Invoking(n => n.call(x)).Should().Throw<NotFiniteNumberException>();
        norm.call(x).sum().backward();
        _seen.Should().Equal("backward");
    }

    [Fact]
    public void Hook_RegisteredTwice_FiresTwiceAndIsRemovedOnce()
    {
        var norm = new RMSNorm(2).pytorch();
        Action<nn.Module, object?[]> hook = (_, _) => _seen.Add("hook");
        var handle = norm.register_forward_pre_hook(hook);
        norm.register_forward_pre_hook(hook);
        norm.module.call(ones(2));
        handle.remove();
        norm.module.call(ones(2));
        _seen.Should().HaveCount(3);
    }

    [Fact]
    public void Hooks_InsideAParent_FireInTheOrderOfTheCall()
    {
        var net = new Networks.Net();
        foreach (var (name, module) in net.pytorch().named_modules())
        {
            module.pytorch().register_forward_pre_hook((_, _) => _seen.Add($"> {name}"));
            module.pytorch().register_forward_hook((_, _, _) => _seen.Add($"< {name}"));
        }
        net.call(randn(2, 5, 4));
        _seen.Should().Equal("> ", "> rin", "< rin", "> block", "> block.0", "< block.0", "> block.1", "< block.1", "< block", "> head", "< head", "< ");
    }

    private sealed class Scaled() : nn.Module<Tensor, double, Tensor>(nameof(Scaled))
    {
        public override Tensor forward(Tensor x, double by) => x * by;
    }

    private sealed class Callless() : nn.Module(nameof(Callless));
}
