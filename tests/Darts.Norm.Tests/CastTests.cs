using TorchSharp.Modules;

namespace Darts.Norm.Tests;

/// <summary>Casts and moves, before and after forward: the same parameters in another dtype or place, and RINorm's statistics with them.</summary>
public sealed class CastTests : IDisposable
{
    private static readonly Dictionary<string, (Func<NormModule, NormModule> cast, ScalarType dtype)> Casts = new()
    {
        ["half()"] = (layer => layer.half(), ScalarType.Float16),
        ["bfloat16()"] = (layer => layer.bfloat16(), ScalarType.BFloat16),
        ["float()"] = (layer => layer.@float(), ScalarType.Float32),
        ["double()"] = (layer => layer.@double(), ScalarType.Float64),
        ["cpu()"] = (layer => layer.cpu(), ScalarType.Float32),
        ["to(dtype)"] = (layer => layer.to(ScalarType.Float64), ScalarType.Float64),
        ["to(dtype, non_blocking)"] = (layer => layer.to(ScalarType.Float16, non_blocking: true), ScalarType.Float16),
        ["to(device)"] = (layer => layer.to(CPU), ScalarType.Float32),
        ["to(text)"] = (layer => layer.to("cpu"), ScalarType.Float32),
        ["to(device type)"] = (layer => layer.to(DeviceType.CPU), ScalarType.Float32),
        ["to(device, dtype)"] = (layer => layer.to(CPU, ScalarType.Float64), ScalarType.Float64),
        ["to(tensor)"] = (layer => layer.to(zeros(1, dtype: ScalarType.BFloat16)), ScalarType.BFloat16),
        ["half() and back"] = (layer => layer.half().@float(), ScalarType.Float32),
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, string> NamesAndCasts => Combinations.Of(Layers.All.Keys, Casts.Keys);

    public static TheoryData<string> Names => Layers.Names;

    public static TheoryData<string> NamesWithParameters => Layers.NamesWithParameters;

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(NamesAndCasts))]
    public void Cast_BeforeForward_GivesTheBitsOfALayerMadeInThatDtype(string name, string cast)
    {
        var layerCase = Layers.All[name];
        var layer = layerCase.New();
        var values = layer.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());
        Casts[cast].cast(layer).Should().BeSameAs(layer);
        var dtype = Casts[cast].dtype;
        layer.parameters().All(parameter => parameter.dtype == dtype && parameter.requires_grad && parameter.is_leaf).Should().BeTrue();
        if (!cast.Contains("back", StringComparison.Ordinal))
            values.All(entry => Layers.SameBits(layer.get_parameter(entry.Key), entry.Value.to(dtype))).Should().BeTrue();

        var fresh = layerCase.Make(null, dtype);
        fresh.load_state_dict(layer.state_dict());
        var (x, x2) = (layerCase.Input(dtype).requires_grad_(), layerCase.Input(dtype).requires_grad_());
        var (y, y2) = (layer.forward(x), fresh.forward(x2));
        Layers.SameBits(y, y2).Should().BeTrue();
        y.backward([ones_like(y)]);
        y2.backward([ones_like(y2)]);
        Layers.SameBits(x.grad!, x2.grad!).Should().BeTrue();
        layer.parameters().Zip(fresh.parameters()).All(pair => Layers.SameBits(pair.First.grad!, pair.Second.grad!)).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(NamesAndCasts))]
    public void Cast_AfterBackward_KeepsTheParametersAndTakesTheGradientsAlong(string name, string cast)
    {
        var layer = Layers.All[name].New();
        layer.forward(Layers.All[name].Input().requires_grad_()).square().sum().backward();
        var parameters = layer.parameters().ToList();
        var gradients = parameters.Select(parameter => parameter.grad!.clone()).ToList();
        Casts[cast].cast(layer);
        layer.parameters().Should().Equal(parameters, ReferenceEquals);
        foreach (var (parameter, gradient) in parameters.Zip(gradients))
        {
            parameter.grad!.dtype.Should().Be(Casts[cast].dtype);
            if (!cast.Contains("back", StringComparison.Ordinal))
                Layers.SameBits(parameter.grad!, gradient.to(Casts[cast].dtype)).Should().BeTrue();
        }
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Cast_FrozenParameter_StaysFrozen(string name)
    {
        var layer = Layers.All[name].New();
        layer.parameters().First().requires_grad = false;
        layer.@double();
        layer.parameters().Select(parameter => parameter.requires_grad).Should().Equal(layer.parameters().Select((_, i) => i > 0));
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Cast_BetweenForwardAndBackward_LeavesTheLayerUsable(string name)
    {
        var layer = Layers.All[name].New();
        var y = layer.forward(Layers.All[name].Input());
        layer.@double();
        layer.forward(Layers.All[name].Input(ScalarType.Float64)).square().sum().backward();
        layer.parameters().All(parameter => parameter.grad!.dtype == ScalarType.Float64).Should().BeTrue();
        y.dtype.Should().Be(ScalarType.Float32);
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Cast_IntegerDtype_IsRefused(string name)
    {
        var layer = Layers.All[name].New();
        layer.Invoking(l => l.to(ScalarType.Int64)).Should().Throw<ArgumentException>().WithMessage("*only accepts floating point*Int64*");
        layer.parameters().All(parameter => parameter.dtype == ScalarType.Float32).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Cast_ComplexDtype_MakesForwardSayWhatToDo(string name)
    {
        var layer = Layers.All[name].New();
        layer.cfloat();
        layer.Invoking(l => l.forward(Layers.All[name].Input())).Should().Throw<InvalidOperationException>().WithMessage("*ComplexFloat32*layer.to(ScalarType.Float32)*");
    }

    [Fact]
    public void Statistics_AfterAComplexCast_StayReal()
    {
        var rin = new RINorm(4);
        rin.forward(Layers.Values([2, 5, 4]));
        rin.cfloat();
        rin.mean!.dtype.Should().Be(ScalarType.Float32);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Move_ToTheMetaDeviceAndBack_IsRefusedWhereValuesAreLost(string name)
    {
        var layer = Layers.All[name].New();
        layer.forward(Layers.All[name].Input().requires_grad_()).sum().backward();
        layer.to("meta").Should().BeSameAs(layer);
        layer.parameters().All(parameter => parameter.device_type == DeviceType.META && parameter.requires_grad && parameter.grad!.device_type == DeviceType.META).Should().BeTrue();
        layer.forward(empty(Layers.All[name].Shapes[0], device: META)).shape.Should().Equal(Layers.All[name].Shapes[0]);
        foreach (var back in new Action[] { () => layer.cpu(), () => layer.to(CPU), () => layer.to(CPU, ScalarType.Float64) })
        {
            if (Layers.All[name].State.Length == 0)
                back.Should().NotThrow();
            else
                back.Should().Throw<InvalidOperationException>().WithMessage("Cannot move * from the meta device to CPU*Make the layer anew*");
        }
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Move_ToTheMetaDevice_MakesAnOlderOptimizerFail(string name)
    {
        var layer = Layers.All[name].New();
        var optimizer = optim.SGD(layer.parameters(), learningRate: 0.5);
        layer.forward(Layers.All[name].Input()).sum().backward();
        layer.to(META);
        optimizer.Invoking(o => o.step()).Should().Throw<Exception>("training parameters that the layer no longer has is in vain");
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void CastsAndMoves_ParametersOfTwoLayers_StayShared(string name)
    {
        var (one, other) = (Layers.All[name].New(), Layers.All[name].New());
        foreach (var key in Layers.All[name].Keys)
            other.GetType().GetProperty(key)!.SetValue(other, one.get_parameter(key));
        var net = nn.Sequential(("one", one), ("other", other));
        foreach (var move in new Action[] { () => net.half(), () => net.to(CPU, ScalarType.Float64), () => net.to(META), () => net.to(ScalarType.Float32) })
        {
            move();
            other.parameters().Should().Equal(one.parameters(), ReferenceEquals);
            net.parameters().All(parameter => !parameter.IsInvalid).Should().BeTrue();
        }
        one.parameters().All(parameter => parameter.device_type == DeviceType.META && parameter.dtype == ScalarType.Float32).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Move_AssignedParameterElsewhere_Follows(string name)
    {
        var layer = Layers.All[name].Make(META, null);
        foreach (var (key, shape) in Layers.All[name].State)
            layer.GetType().GetProperty(key)!.SetValue(layer, nn.Parameter(ones(shape)));
        layer.to("meta");
        layer.parameters().All(parameter => parameter.device_type == DeviceType.META).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Move_AssignedParameters_LeadOffTheMetaDevice(string name)
    {
        var layer = Layers.All[name].Make(META, null);
        foreach (var (key, shape) in Layers.All[name].State)
            layer.GetType().GetProperty(key)!.SetValue(layer, nn.Parameter(ones(shape)));
        layer.cpu().forward(Layers.All[name].Input()).device_type.Should().Be(DeviceType.CPU);
        layer.@double().forward(Layers.All[name].Input(ScalarType.Float64)).dtype.Should().Be(ScalarType.Float64);
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Move_FromTheMetaDeviceToIt_IsNone(string name)
    {
        var layer = Layers.All[name].Make(META, null);
        layer.to(META).Should().BeSameAs(layer);
        layer.to(META, ScalarType.Float64).parameters().Should().OnlyContain(parameter => parameter.device_type == DeviceType.META && parameter.dtype == ScalarType.Float64);
    }

    [Fact]
    public void Statistics_AfterACast_AreShownInItsDtypeAndKeptInDouble()
    {
        foreach (var (cast, dtype) in Casts.Values)
        {
            var rin = (RINorm)Layers.All["RINorm"].New();
            var x = Layers.All["RINorm"].Input();
            rin.forward(x);
            var (mean, stdev) = (rin.mean!, rin.stdev!);
            var exact = Exact(rin);
            cast(rin);
            (rin.mean!.dtype, rin.stdev!.dtype).Should().Be((dtype, dtype));
            rin.mean.Should().BeSameAs(mean, "the layer owns what it showed until the next forward, and takes it along");
            rin.stdev.Should().BeSameAs(stdev);
            Exact(rin).Should().Equal(exact);
            rin.transform(x.to(dtype)).dtype.Should().Be(dtype);
            rin.inverse(Layers.Values([2, 3, 4, 2], dtype)).dtype.Should().Be(dtype);
        }

        // The statistics to double precision: the identity's inverse, asked for in double.
        static double[] Exact(RINorm rin)
        {
            var (weight, bias) = (rin.affine_weight, rin.affine_bias);
            rin.affine_weight = new Parameter(ones(4, dtype: ScalarType.Float64) - (rin.eps * rin.eps));
            rin.affine_bias = new Parameter(zeros(4, dtype: ScalarType.Float64));
            var values = rin.inverse(arange(2).to(ScalarType.Float64).reshape(1, 1, 1, 2).expand(2, 1, 4, 2)).Doubles();
            (rin.affine_weight, rin.affine_bias) = (weight, bias);
            return values;
        }
    }

    [Fact]
    public void Statistics_MovedToTheMetaDevice_FollowAndDoNotComeBack()
    {
        var rin = new RINorm(4, affine: false);
        rin.forward(Layers.All["RINorm"].Input());
        rin.to("meta");
        rin.mean!.device_type.Should().Be(DeviceType.META);
        rin.transform(empty(2, 3, 4, device: META)).shape.Should().Equal(2, 3, 4);
        rin.cpu();
        rin.mean.Should().BeNull("the meta device holds no values");
        rin.Invoking(r => r.transform(zeros(2, 3, 4))).Should().Throw<InvalidOperationException>();
    }
}
