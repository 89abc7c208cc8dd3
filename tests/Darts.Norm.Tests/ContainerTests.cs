using TorchSharp.Modules;

namespace Darts.Norm.Tests;

/// <summary>The layers inside Sequential, ModuleList, ModuleDict and a user's own modules: keys, moves, save, load.</summary>
public sealed class ContainerTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => Layers.Names;

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void StateDict_OfAParent_HasEachKeyUnderItsPath(string name)
    {
        var keys = Layers.All[name].Keys.ToList();
        new Net(Layers.All[name]).state_dict().Keys.Should().Equal(Net.Paths.SelectMany(path => keys.Select(key => $"{path}.{key}")));
        nn.Sequential(("norm", Layers.All[name].New())).state_dict().Keys.Should().Equal(keys.Select(key => $"norm.{key}"));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void NamedParametersAndModules_OfAParent_ListEachOnce(string name)
    {
        var net = new Net(Layers.All[name]);
        net.run(Layers.All[name].Input());
        net.named_parameters().Select(entry => entry.name).Should().Equal(net.state_dict().Keys);
        net.named_buffers().Should().BeEmpty("RINorm's statistics are none");
        net.modules().OfType<NormModule>().Should().HaveCount(Net.Paths.Length).And.OnlyHaveUniqueItems();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Cast_OfAParent_ReachesTheLayersInPlace(string name)
    {
        var net = new Net(Layers.All[name]);
        var parameters = net.parameters().ToList();
        var before = net.run(Layers.All[name].Input());
        net.to(ScalarType.Float64);
        net.parameters().Should().Equal(parameters, ReferenceEquals);
        net.parameters().All(parameter => parameter.dtype == ScalarType.Float64).Should().BeTrue();
        net.run(Layers.All[name].Input(ScalarType.Float64)).dtype.Should().Be(ScalarType.Float64);
        foreach (var rin in net.modules().OfType<RINorm>())
            rin.mean!.dtype.Should().Be(ScalarType.Float64);
        net.to(CPU, ScalarType.Float32);
        Layers.SameBits(net.run(Layers.All[name].Input()), before).Should().BeTrue("Float32 fits into Float64");
        net.to(META);
        net.parameters().All(parameter => parameter.device_type == DeviceType.META).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void CastOfAParent_AfterForward_TakesTheStatisticsAlong(string name)
    {
        var net = nn.Sequential(("norm", Layers.All[name].New()));
        net.forward(Layers.All[name].Input());
        net.half();
        net.forward(Layers.All[name].Input(ScalarType.Float16)).dtype.Should().Be(ScalarType.Float16);
        if (net[0] is not RINorm rin)
            return;
        net.@double();
        rin.mean!.dtype.Should().Be(ScalarType.Float64);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void SaveAndLoad_OfAParent_RestoresTheBits(string name)
    {
        var (saved, loaded) = (new Net(Layers.All[name]), new Net(Layers.All[name]));
        foreach (var parameter in loaded.parameters())
            nn.init.constant_(parameter, 9);
        var stream = new MemoryStream();
        saved.run(Layers.All[name].Input());
        saved.save(stream);
        loaded.load(new MemoryStream(stream.ToArray()));
        var x = Layers.All[name].Input();
        Layers.SameBits(loaded.run(x), saved.run(x)).Should().BeTrue();

        foreach (var parameter in loaded.parameters())
            nn.init.constant_(parameter, 9);
        loaded.load_state_dict(saved.state_dict());
        Layers.SameBits(loaded.run(x), saved.run(x)).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Training_OfAParent_TrainsTheLayers(string name)
    {
        var net = new Net(Layers.All[name]);
        net.eval();
        net.modules().OfType<NormModule>().All(layer => !layer.training).Should().BeTrue();
        net.train();
        net.modules().OfType<NormModule>().All(layer => layer.training).Should().BeTrue();
        var optimizer = optim.Adam(net.parameters().DefaultIfEmpty(nn.Parameter(ones(1))), lr: 0.1);
        var before = net.parameters().Select(parameter => parameter.detach().clone()).ToList();
        net.run(Layers.All[name].Input().requires_grad_()).square().sum().backward();
        optimizer.step();
        foreach (var (parameter, old) in net.parameters().Zip(before))
            Layers.SameBits(parameter, old).Should().Be(parameter.grad!.Doubles().All(value => value == 0));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Dispose_OfAParent_DisposesTheLayers(string name)
    {
        var net = new Net(Layers.All[name]);
        var layers = net.modules().OfType<NormModule>().ToList();
        var parameters = net.parameters().ToList();
        net.Dispose();
        parameters.All(parameter => parameter.IsInvalid).Should().BeTrue();
        layers.Should().AllSatisfy(layer => layer.Invoking(l => l.forward(Layers.All[name].Input())).Should().Throw<ObjectDisposedException>());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void ModuleDict_OfLayers_HasTheirKeysSavesAndLoads(string name)
    {
        var (saved, loaded) = (new Holder(Layers.All[name].New()), new Holder(Layers.All[name].Make(null, null)));
        saved.state_dict().Keys.Should().Equal(Layers.All[name].Keys.Select(key => $"dict.a.{key}"));
        var stream = new MemoryStream();
        saved.save(stream);
        loaded.load(new MemoryStream(stream.ToArray()));
        var x = Layers.All[name].Input();
        Layers.SameBits(loaded.dict["a"].forward(x), saved.dict["a"].forward(x)).Should().BeTrue();
    }

    // TorchSharp 0.107.0: ModuleDict.to throws "An item with the same key has already been added. Key: Item", whatever it holds.
    [Theory]
    [MemberData(nameof(Names))]
    public void ModuleDict_OfLayers_IsCastByItsValues(string name)
    {
        var holder = new Holder(Layers.All[name].New());
        foreach (var layer in holder.dict.values())
            layer.to(ScalarType.Float64);
        holder.state_dict().Values.All(value => value.dtype == ScalarType.Float64).Should().BeTrue();
        holder.dict["a"].forward(Layers.All[name].Input(ScalarType.Float64)).dtype.Should().Be(ScalarType.Float64);
    }

    /// <summary>The layer in a field, two levels deep, in a list and in a sequence.</summary>
    private sealed class Net : nn.Module
    {
        public static readonly string[] Paths = ["block.inner.norm", "list.0", "list.1", "sequence.0"];

        private readonly Outer block;
        private readonly ModuleList<NormModule> list;
        private readonly Sequential sequence;

        public Net(LayerCase layer)
            : base(nameof(Net))
        {
            block = new(layer);
            list = nn.ModuleList(layer.New(), layer.New());
            sequence = nn.Sequential(layer.New());
            RegisterComponents();
        }

        public Tensor run(Tensor x)
        {
            using var scope = NewDisposeScope();
            var y = block.forward(x);
            foreach (var layer in list)
                y = layer.call(y);
            return sequence.call(y).MoveToOuterDisposeScope();
        }
    }

    private sealed class Holder : nn.Module
    {
        public readonly ModuleDict<NormModule> dict;

        public Holder(NormModule layer)
            : base(nameof(Holder))
        {
            dict = nn.ModuleDict(("a", layer));
            RegisterComponents();
        }
    }

    private sealed class Outer : nn.Module<Tensor, Tensor>
    {
        private readonly Inner inner;

        public Outer(LayerCase layer)
            : base(nameof(Outer))
        {
            inner = new(layer);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => inner.call(input);
    }

    private sealed class Inner : nn.Module<Tensor, Tensor>
    {
        private readonly NormModule norm;

        public Inner(LayerCase layer)
            : base(nameof(Inner))
        {
            norm = layer.New();
            norm.forward(layer.Input()).Dispose(); // RINorm has statistics before it is attached
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => norm.call(input);
    }
}
