namespace Darts.Norm.Tests;

/// <summary>Each refusal says what must hold, what was received and what to do, and leaves nothing half-done.</summary>
public sealed class ErrorTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => ErrorCases.Names;

    public static TheoryData<string> NamesOfLivingLayers =>
        [.. ErrorCases.All.Values.Where(error => !error.Says.Contains("before it is disposed") && !error.Says.Contains("was disposed")).Select(error => error.Name)];

    public static TheoryData<string> ConstructorNames => ErrorCases.ConstructorNames;

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Use_Refused_SaysWhatHoldsWhatCameAndWhatToDo(string name)
    {
        var error = ErrorCases.All[name];
        var layer = error.Make();
        var x = error.Input();
        var thrown = layer.Invoking(l => error.Use(l, x!)).Should().Throw<Exception>().Which;
        thrown.Should().BeOfType(error.Exception);
        thrown.Message.Should().ContainAll(error.Says);
        thrown.Message.Should().NotContain("frame #", "it is our sentence, not libtorch's");
    }

    [Theory]
    [MemberData(nameof(ConstructorNames))]
    public void Constructor_Refused_SaysWhatHoldsWhatCameAndWhatToDo(string name)
    {
        var (make, exception, says) = ErrorCases.Constructors[name];
        var thrown = make.Should().Throw<Exception>().Which;
        thrown.Should().BeOfType(exception);
        thrown.Message.Should().ContainAll(says);
    }

    [Theory]
    [MemberData(nameof(NamesOfLivingLayers))]
    public void Use_Refused_LeavesTheLayerAsItWas(string name)
    {
        var error = ErrorCases.All[name];
        using var layer = error.Make();
        var before = Everything(layer);
        layer.Invoking(l => error.Use(l, error.Input()!)).Should().Throw<Exception>();
        var after = Everything(layer);
        after.Keys.Should().Equal(before.Keys);
        foreach (var (key, value) in before.Where(entry => entry.Value.device_type == DeviceType.CPU))
            Layers.SameBits(after[key], value).Should().BeTrue(key);
    }

    [Theory]
    [MemberData(nameof(Layers.NamesWithParameters), MemberType = typeof(Layers))]
    public void ForwardAndSave_ParameterOfAnotherLayout_SaySo(string name)
    {
        string[] layouts = ["x.to_sparse()", "x.to_mkldnn()"];
        foreach (var (key, layout) in Layers.All[name].Keys.SelectMany(key => layouts.Select(layout => (key, layout))))
        {
            var layer = Layers.All[name].New();
            layer.pytorch().register_parameter(key, nn.Parameter(Layers.Scripted(layout, layer.get_parameter(key).detach())));
            layer.Invoking(l => l.forward(Layers.All[name].Input())).Should().Throw<InvalidOperationException>().WithMessage($"*a dense {key} of size*layer.{key} = *");
            layer.Invoking(l => l.save(new MemoryStream())).Should().Throw<InvalidOperationException>().WithMessage($"*dense tensors, but '{key}' is of another layout*");
        }
    }

    [Theory]
    [MemberData(nameof(Layers.NamesWithParameters), MemberType = typeof(Layers))]
    public void Save_ParameterDisposed_IsRefusedBeforeAnythingIsWritten(string name)
    {
        var layer = Layers.All[name].New();
        layer.get_parameter(Layers.All[name].Keys.Last()).Dispose();
        using var stream = new MemoryStream();
        layer.Invoking(l => l.save(stream)).Should().Throw<ObjectDisposedException>().WithMessage("*was disposed*assign a new one*");
        stream.Length.Should().Be(0);
    }

    [Theory]
    [MemberData(nameof(Layers.NamesWithParameters), MemberType = typeof(Layers))]
    public void CastAndState_ParameterDisposed_SaySoAndChangeNothing(string name)
    {
        var layer = Layers.All[name].New();
        var keys = Layers.All[name].Keys.ToList();
        var before = keys.Select(layer.get_parameter).ToList();
        before[^1].Dispose();
        Action[] uses = [() => layer.state_dict(), () => layer.half(), () => layer.to(META), () => layer.to(CPU, ScalarType.Float64), () => nn.Sequential(layer).to(ScalarType.Float64)];
        uses.Should().AllSatisfy(use => use.Should().Throw<ObjectDisposedException>().WithMessage($"*computes with its own parameters*was disposed*layer.{keys[^1]} = *"));
        keys.Select(layer.get_parameter).Should().Equal(before, ReferenceEquals);
        before.SkipLast(1).All(parameter => (parameter.dtype, parameter.device_type) == (ScalarType.Float32, DeviceType.CPU)).Should().BeTrue();
    }

    [Fact]
    public void Eps_Refused_KeepsTheOldOne()
    {
        var norm = new LayerNorm(4, 1e-3);
        norm.Invoking(n => n.eps = double.NaN).Should().Throw<ArgumentOutOfRangeException>();
        norm.eps.Should().Be(1e-3);
    }

    [Fact]
    public void Forward_Refused_LeavesTheStatisticsInUse()
    {
        var rin = new RINorm(4);
        rin.forward(Layers.Values([2, 5, 4]));
        var before = rin.transform(ones(2, 3, 4));
        foreach (var wrong in new[] { ones(5, 4), ones(2, 5, 3), ones(2, 5, 4).to(ScalarType.Int64), ones([2, 5, 4], device: META) })
            rin.Invoking(r => r.forward(wrong)).Should().Throw<ArgumentException>();
        Layers.SameBits(rin.transform(ones(2, 3, 4)), before).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Layers.Names), MemberType = typeof(Layers))]
    public void Member_AfterDispose_Throws(string name)
    {
        var layer = Layers.All[name].New();
        layer.forward(Layers.All[name].Input());
        layer.Dispose();
        Action[] uses =
        [
            () => layer.call(Layers.All[name].Input()), () => layer.state_dict(), () => layer.load_state_dict([]), () => layer.save(new MemoryStream()),
            () => layer.load(new MemoryStream()), () => layer.to(ScalarType.Float64), () => layer.to("cpu"), () => layer.cpu(), () => layer.half(), () => layer.to(CPU, ScalarType.Float64),
            () => layer.get_parameter("weight"), () => layer.get_buffer("weight"), () => nn.Sequential(layer).forward(Layers.All[name].Input()),
        ];
        uses.Should().AllSatisfy(use => use.Should().Throw<ObjectDisposedException>().WithMessage("*Dispose was called*make a new one*"));
        Action[] ofTorchSharp = [() => layer.train(), () => layer.eval(), () => layer.zero_grad()];
        ofTorchSharp.Should().AllSatisfy(use => use.Should().Throw<ObjectDisposedException>());
        if (layer is LayerNorm norm)
        {
            norm.Invoking(n => n.reset_parameters()).Should().Throw<ObjectDisposedException>();
            norm.Invoking(n => n.weight = null).Should().Throw<ObjectDisposedException>();
        }
        foreach (var key in Layers.All[name].Keys)
            layer.GetType().GetProperty(key)!.Invoking(property => property.GetValue(layer)).Should().Throw<Exception>().WithInnerException<ObjectDisposedException>();
    }

    private static Dictionary<string, Tensor> Everything(NormModule layer)
    {
        var everything = layer.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter.detach().clone());
        if (layer is RINorm { mean: { } mean, stdev: { } stdev })
        {
            everything.Add("mean", mean.clone());
            everything.Add("stdev", stdev.clone());
        }
        return everything;
    }
}
