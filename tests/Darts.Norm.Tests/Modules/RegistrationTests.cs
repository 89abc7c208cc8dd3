using TorchSharp.Modules;

namespace Darts.Norm.Tests.Modules;

/// <summary>Registration and look-up on networks of other kinds than the recorded one.</summary>
public sealed class RegistrationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void SetSubmodule_HeldByAField_ChangesWhatForwardUses()
    {
        var net = new Holder();
        net.set_submodule("norm", new LayerNormNoBias(4));
        Layers.SameBits(net.call(arange(4f)), new LayerNormNoBias(4).call(arange(4f))).Should().BeTrue();
        net.pytorch().Invoking(n => n.set_submodule("exact", new LayerNormNoBias(4))).Should().Throw<ArgumentTypeException>().WithMessage("cannot assign 'LayerNormNoBias' as child module 'exact'*RMSNorm*");
        net.pytorch().get_submodule("exact").Should().BeOfType<RMSNorm>("nothing is changed by an error");
        net.pytorch().set_submodule("exact", new RMSNorm(2));
        net.Exact.g.shape.Should().Equal(2);
    }

    [Fact]
    public void SetSubmodule_InContainers_ReplacesAndAdds()
    {
        var list = nn.ModuleList<nn.Module>(new RMSNorm(2), new RMSNorm(2));
        var dictionary = nn.ModuleDict<nn.Module>(("a", new RMSNorm(2)));
        var net = nn.Sequential(("first", new RMSNorm(2)));
        var outer = new Containers(list, dictionary, net).pytorch();
        outer.set_submodule("list.1", new RINorm(2));
        outer.set_submodule("list.2", new LayerNorm(2));
        outer.set_submodule("dictionary.a", new RINorm(2));
        outer.set_submodule("dictionary.b", new LayerNorm(2));
        outer.set_submodule("net.second", new LayerNormNoBias(2));
        (list[1].GetType(), list[2].GetType(), list.Count).Should().Be((typeof(RINorm), typeof(LayerNorm), 3));
        dictionary.Keys.Should().Equal("a", "b");
        net.Count.Should().Be(2);
        outer.state_dict().Keys.Should().Equal(
            "list.0.g", "list.1.affine_weight", "list.1.affine_bias", "list.2.weight", "list.2.bias", "dictionary.a.affine_weight", "dictionary.a.affine_bias", "dictionary.b.weight", "dictionary.b.bias", "net.first.g");
        outer.Invoking(o => o.set_submodule("list.9", new RMSNorm(2))).Should().Throw<KeyNotFoundException>().WithMessage("ModuleList has 3 modules*");
        outer.Invoking(o => o.set_submodule("net.third", nn.LSTM(2, 2))).Should().Throw<ArgumentTypeException>();
        outer.Invoking(o => o.set_submodule("list.0", null!)).Should().Throw<ArgumentException>().WithMessage("`module` is not an nn.Module, found <class 'NoneType'>");
        outer.Invoking(o => o.set_submodule("net.first.g", new RMSNorm(2))).Should().Throw<MissingMemberException>().WithMessage("`g` is not an nn.Module");
        foreach (var (name, child) in outer.named_children())
            outer.set_submodule(name, child);
    }

    [Fact]
    public void AddModuleAndSetSubmodule_OfWhatIsAround_AreRefusedAndChangeNothing()
    {
        var list = nn.ModuleList<nn.Module>();
        var net = nn.Sequential(("a", nn.Sequential(("b", new RMSNorm(4)))));
        var around = new Containers(list, nn.ModuleDict<nn.Module>(), net).pytorch();
        Action[] uses =
        [
            () => net.set_submodule("zz", net), () => net.set_submodule("a.b", net), () => net.pytorch().add_module("zz", net), () => around.set_submodule("list.0", around.module),
            () => around.set_submodule("dictionary.x", around.module), () => around.get_submodule("net.a.b").set_submodule("zz", around.module),
        ];
        uses.Should().AllSatisfy(use => use.Should().Throw<ArgumentException>().WithMessage("A module must not contain itself, but the *Put another there."));
        around.named_modules().Select(entry => entry.name).Should().Equal("", "list", "dictionary", "net", "net.a", "net.a.b");
        net.set_submodule("again", net.get_submodule("a"));
    }

    [Fact]
    public void Members_OfAModuleThatContainsItself_ThrowInsteadOfEndingTheProcess()
    {
        var net = new Endless().pytorch();
        Action[] uses =
        [
            () => net.text(), () => net.state_dict(), () => net.load_state_dict(new StateDict(), strict: false), () => net.apply(_ => { }), () => _ = net.named_modules(remove_duplicate: false).Last(),
        ];
        uses.Should().AllSatisfy(use => use.Should().Throw<InsufficientExecutionStackException>().WithMessage("A network must end somewhere, but the Endless*"));
        net.named_modules().Should().ContainSingle("each is listed once");
    }

    private sealed class Endless : nn.Module<Tensor, Tensor>
    {
        public Endless() : base(nameof(Endless)) => _internal_submodules.Add("self", this);

        public override Tensor forward(Tensor x) => x;
    }

    [Fact]
    public void Containers_BeforeTheyAreAttached_AreListedAsInPyTorch()
    {
        nn.ModuleList<RMSNorm>(new RMSNorm(2), new RMSNorm(2)).pytorch().state_dict().Keys.Should().Equal("0.g", "1.g");
        nn.ModuleDict<RMSNorm>(("a", new RMSNorm(2))).pytorch().state_dict().Keys.Should().Equal("a.g");
        nn.ParameterDict(("p", nn.Parameter(ones(1)))).pytorch().state_dict().Keys.Should().Equal("p");
        var late = nn.ModuleDict<nn.Module>(("a", new RMSNorm(2)));
        late.pytorch().set_submodule("a", new RINorm(2));
        new Containers(nn.ModuleList<nn.Module>(), late, nn.Sequential()).pytorch().state_dict().Keys.Should().Equal("dictionary.a.affine_weight", "dictionary.a.affine_bias");
    }

    [Fact]
    public void RegisterParameter_InParameterListsAndDictionaries_ReplacesAndAdds()
    {
        var list = nn.ParameterList(nn.Parameter(zeros(1)));
        list.pytorch().register_parameter("0", nn.Parameter(ones(1)));
        list.pytorch().register_parameter("1", nn.Parameter(ones(2)));
        list.Select(parameter => parameter.numel()).Should().Equal(1, 2);
        list[0].Doubles().Should().Equal(1);
        list.pytorch().state_dict().Keys.Should().Equal("0", "1");
        var dictionary = nn.ParameterDict(("a", nn.Parameter(zeros(1))));
        dictionary.pytorch().register_parameter("a", nn.Parameter(ones(1)));
        dictionary.pytorch().register_parameter("b", nn.Parameter(ones(2)));
        dictionary["a"].Doubles().Should().Equal(1);
        dictionary.Keys.Should().Equal("a", "b");
        dictionary.pytorch().state_dict().Keys.Should().Equal("a", "b");
        foreach (var container in new nn.Module[] { list, dictionary })
            container.pytorch().to("meta").parameters().All(parameter => parameter.device_type == DeviceType.META).Should().BeTrue();
        foreach (var name in new[] { "9", "-1", "foo" })
            list.pytorch().Invoking(l => l.register_parameter(name, nn.Parameter(ones(1)))).Should().Throw<KeyNotFoundException>();
    }

    [Fact]
    public void SetSubmodule_InContainersOfOneType_RefusesAnother()
    {
        var list = nn.ModuleList(new RMSNorm(2));
        list.pytorch().set_submodule("0", new RMSNorm(3));
        list[0].g.numel().Should().Be(3);
        list.pytorch().Invoking(l => l.set_submodule("0", new RINorm(2))).Should().Throw<ArgumentTypeException>().WithMessage("cannot assign 'RINorm' as child module '0': ModuleList holds a RMSNorm there.*");
        foreach (var name in new[] { "-1", "first" })
            list.pytorch().Invoking(l => l.set_submodule(name, new RMSNorm(2))).Should().Throw<KeyNotFoundException>().WithMessage($"ModuleList has 1 modules and takes one under \"0\" to \"1\", but got \"{name}\".*");
        nn.ModuleDict(("a", new RMSNorm(2))).pytorch().Invoking(d => d.set_submodule("b", new RINorm(2))).Should().Throw<ArgumentTypeException>();
    }

    [Fact]
    public void SetSubmodule_InASequenceOfOnesOwnTypes_ChangesWhatForwardUses()
    {
        var sequence = new Typed(("a", new RMSNorm(2)));
        sequence.pytorch().set_submodule("a", new LayerNormNoBias(2));
        sequence.pytorch().set_submodule("b", new RINorm(2));
        sequence.pytorch().state_dict().Keys.Should().Equal("b.affine_weight", "b.affine_bias");
        Layers.SameBits(sequence.call(arange(2f)), new LayerNormNoBias(2).call(arange(2f))).Should().BeTrue();
    }

    [Fact]
    public void RegisterModule_NullInThePlaceOfOne_LeavesTheName()
    {
        var holder = new Holder().pytorch();
        holder.register_module("norm", null);
        holder.named_children().Select(entry => entry.name).Should().Equal("exact");
        holder.module.Invoking(h => h.forward(ones(4))).Should().Throw<NullReferenceException>("the field is null, as self.norm is None in Python");
        holder.register_module("norm", new RINorm(4));
        holder.state_dict().Keys.Should().Contain("norm.affine_weight");
        holder.text().Should().NotContain("None");
    }

    [Fact]
    public void RegisterParameter_ThatWasComputed_IsRefused()
    {
        var computed = nn.Parameter(ones(1), requires_grad: false);
        computed.mul_(ones(1).requires_grad_());
        new RMSNorm(2).pytorch().Invoking(n => n.register_parameter("computed", computed)).Should().Throw<ArgumentException>().WithMessage("Cannot assign non-leaf Tensor to parameter 'computed'.*");
    }

    [Fact]
    public void Register_BadValuesAndNames_AreRefusedWithPyTorchsTexts()
    {
        var norm = new RMSNorm(2).pytorch();
        var leaf = ones(1).requires_grad_();
        norm.Invoking(n => n.register_parameter(null!, null)).Should().Throw<ArgumentTypeException>().WithMessage("parameter name should be a string. Got NoneType");
        norm.Invoking(n => n.register_buffer("a.b", leaf)).Should().Throw<KeyNotFoundException>().WithMessage("buffer name can't contain \".\"");
        norm.Invoking(n => n.register_buffer("", leaf)).Should().Throw<KeyNotFoundException>().WithMessage("buffer name can't be empty string \"\"");
        norm.Invoking(n => n.register_buffer("forward", leaf)).Should().Throw<KeyNotFoundException>().WithMessage("attribute 'forward' already exists");
        norm.Invoking(n => n.add_module(null!, null)).Should().Throw<ArgumentTypeException>().WithMessage("module name should be a string*");
        norm.register_buffer("name", ones(1));
        norm.Invoking(n => n.add_module("name", new RMSNorm(2))).Should().Throw<KeyNotFoundException>();
        new Holder().pytorch().Invoking(h => h.register_buffer("norm", leaf)).Should().Throw<KeyNotFoundException>("a field is an attribute");
        var disposed = ones(1);
        disposed.Dispose();
        norm.Invoking(n => n.register_buffer("gone", disposed)).Should().Throw<ObjectDisposedException>();
        var goneToo = nn.Parameter(ones(1));
        goneToo.Dispose();
        norm.Invoking(n => n.register_parameter("gone", goneToo)).Should().Throw<ObjectDisposedException>().WithMessage("*to register as 'gone' is disposed*");
        new LayerNorm(2, elementwise_affine: false).pytorch().Invoking(n => n.register_parameter("weight", nn.Parameter(ones(2)))).Should().NotThrow("PyTorch registers it without a value");
    }

    /// <summary>TorchSharp's dictionaries have two indexers, and a class may hide a property by one of another type.</summary>
    [Fact]
    public void Names_ThatTwoPropertiesHave_AreTakenAsAnyOther()
    {
        var dictionary = nn.ModuleDict<nn.Module>().pytorch();
        dictionary.Invoking(d => d.get_parameter("Item")).Should().Throw<MissingMemberException>().WithMessage("`Item` is not an nn.Parameter");
        dictionary.Invoking(d => d.register_buffer("Item", zeros(1))).Should().Throw<KeyNotFoundException>().WithMessage("attribute 'Item' already exists");
        var net = new Narrowed();
        net.pytorch().register_parameter("scale", nn.Parameter(ones(2)));
        net.pytorch().get_parameter("scale").shape.Should().Equal(2);
    }

    [Fact]
    public void Registered_InAScope_OutlivesIt()
    {
        var norm = new RMSNorm(2);
        using (NewDisposeScope())
        {
            norm.pytorch().register_buffer("kept", ones(1));
            norm.pytorch().register_parameter("extra", nn.Parameter(ones(1)));
        }
        norm.pytorch().state_dict().Values.All(value => !value.IsInvalid).Should().BeTrue();
    }

    [Fact]
    public void View_OfADisposedLayerOrNetwork_SaysSo()
    {
        var norm = new RMSNorm(2);
        norm.Dispose();
        norm.pytorch().Invoking(n => n.state_dict()).Should().Throw<ObjectDisposedException>();
        var linear = nn.Linear(2, 2);
        linear.Dispose();
        linear.pytorch().Invoking(n => n.parameters().ToList()).Should().Throw<ObjectDisposedException>().WithMessage("*'weight' of Linear is disposed*");
        FluentActions.Invoking(() => ((RMSNorm)null!).pytorch()).Should().Throw<ArgumentNullException>();
    }

    [Fact]
    public void LookUp_ThroughTheView_OfOtherNetworks()
    {
        var net = nn.Sequential(("a", nn.Sequential(("b", new LayerNorm(2)))));
        net.get_submodule("a.b").Should().BeOfType<LayerNorm>();
        net.pytorch().get_parameter("a.b.bias").shape.Should().Equal(2);
        net.pytorch().Invoking(n => n.get_parameter("a.b.forward")).Should().Throw<MissingMemberException>().WithMessage("`forward` is not an nn.Parameter");
        net.pytorch().Invoking(n => n.get_submodule("a..b")).Should().Throw<MissingMemberException>().WithMessage("Sequential has no attribute ``");
        net.pytorch().Invoking(n => n.get_buffer("a.nope")).Should().Throw<MissingMemberException>().WithMessage("Sequential has no attribute `nope`");
        net.pytorch().children().Should().HaveCount(1);
        net.pytorch().children().Single().pytorch().children().Should().HaveCount(1);
        net.pytorch().named_parameters(recurse: false).Should().BeEmpty();
        var batch = nn.BatchNorm1d(2);
        batch.pytorch().add_module("sub", nn.BatchNorm1d(2));
        batch.pytorch().buffers(recurse: false).Should().HaveCount(3);
        batch.pytorch().buffers().Should().HaveCount(6);
    }

    private sealed class Holder : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> norm = new RMSNorm(4);
        private readonly RMSNorm exact = new(4);

        public Holder()
            : base(nameof(Holder)) => RegisterComponents();

        public RMSNorm Exact => exact;

        public override Tensor forward(Tensor x) => norm.call(x);
    }

    [Fact]
    public void NamedBuffers_OfALayerWithChildren_ListsEachOnce()
    {
        var norm = new LayerNorm(2);
        var shared = nn.BatchNorm1d(2);
        norm.pytorch().register_buffer("own", ones(1));
        norm.pytorch().add_module("a", shared);
        norm.pytorch().add_module("b", shared);
        norm.pytorch().add_module("deep", nn.Sequential(nn.BatchNorm1d(2, track_running_stats: false), shared));
        norm.pytorch().register_buffer("again", norm.get_buffer("own"));
        norm.pytorch().register_buffer("passing", ones(1), persistent: false);
        norm.pytorch().register_buffer("gone", ones(1));
        norm.get_buffer("gone").Dispose();
        norm.named_buffers().Select(entry => entry.name).Should().Equal("own", "passing", "a.running_mean", "a.running_var", "a.num_batches_tracked");
        norm.named_buffers(recurse: false, include_nonpersistent: false).Select(entry => entry.name).Should().Equal("own");
        var other = new RMSNorm(2);
        other.pytorch().add_module("deep", nn.Sequential(nn.BatchNorm1d(2)));
        other.named_buffers().Select(entry => entry.name).Should().Equal("deep.0.running_mean", "deep.0.running_var", "deep.0.num_batches_tracked");
    }

    private sealed class Typed(params (string, nn.Module)[] modules) : Sequential<Tensor, Tensor>(modules)
    {
        public override Tensor forward(Tensor x) => ((nn.Module<Tensor, Tensor>)this[0]).call(x);
    }

    private class Scaled() : nn.Module(nameof(Scaled))
    {
        public Tensor? scale { get; }
    }

    private sealed class Narrowed : Scaled
    {
        public new Parameter? scale => get_parameter(nameof(scale));
    }

    private sealed class Containers : nn.Module
    {
        private readonly ModuleList<nn.Module> list;
        private readonly ModuleDict<nn.Module> dictionary;
        private readonly Sequential net;

        public Containers(ModuleList<nn.Module> list, ModuleDict<nn.Module> dictionary, Sequential net)
            : base(nameof(Containers))
        {
            (this.list, this.dictionary, this.net) = (list, dictionary, net);
            RegisterComponents();
        }

        public override string ToString() => $"{list.Count} {dictionary.Count} {net.Count}";
    }
}
