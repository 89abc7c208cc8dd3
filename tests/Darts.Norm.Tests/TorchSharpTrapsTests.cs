using TorchSharp.Modules;

namespace Darts.Norm.Tests;

/// <summary>What surprises in TorchSharp's own modules, shown gone or turned into a clear error on the four layers.</summary>
[Collection(nameof(Alone))]
public sealed class TorchSharpTrapsTests
{
    public static TheoryData<string> Names => Layers.Names;

    public static TheoryData<string> NamesWithParameters => Layers.NamesWithParameters;

    // 1: after .to() the field is disposed, and a read-only field keeps the old parameter.
    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Trap01_ParametersAfterTo_AreAliveAndTheOnesThatForwardUses(string name)
    {
        using var layer = Layers.All[name].New();
        layer.to(ScalarType.Float64);
        foreach (var key in Layers.All[name].Keys)
        {
            var parameter = (Parameter)layer.GetType().GetProperty(key)!.GetValue(layer)!;
            parameter.Should().BeSameAs(layer.get_parameter(key));
            (parameter.IsInvalid, parameter.dtype).Should().Be((false, ScalarType.Float64));
        }
        using var x = Layers.All[name].Input(ScalarType.Float64).requires_grad_();
        using (var y = layer.forward(x).sum())
            y.backward();
        layer.parameters().All(parameter => parameter.grad is not null).Should().BeTrue();
    }

    // 2: a get-only property named like its key cannot be set by .to(); an auto-property gets the key "<weight>k__BackingField".
    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Trap02_ParameterProperties_AreNamedAsTheirKeysAndCanBeAssigned(string name)
    {
        using var layer = Layers.All[name].New();
        using var x = Layers.All[name].Input();
        foreach (var (key, shape) in Layers.All[name].State)
        {
            var assigned = nn.Parameter(full(shape, 2f));
            layer.GetType().GetProperty(key)!.SetValue(layer, assigned);
            layer.get_parameter(key).Should().BeSameAs(assigned);
            layer.state_dict()[key].Should().BeSameAs(assigned);
        }
        layer.half().state_dict().Keys.Should().Equal(Layers.All[name].Keys);
        layer.to(META).state_dict().Keys.Should().Equal(Layers.All[name].Keys);
    }

    // 3: a module built inside a DisposeScope loses its parameters when the scope ends.
    [Theory]
    [MemberData(nameof(Names))]
    public void Trap03_BuiltCastLoadedAndAssignedInAScope_OutlivesIt(string name)
    {
        NormModule layer;
        using (NewDisposeScope())
        {
            layer = Layers.All[name].New();
            layer.to(ScalarType.Float64).to(CPU, ScalarType.Float32);
            layer.load_state_dict(layer.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone()));
            foreach (var (key, shape) in Layers.All[name].State)
                layer.GetType().GetProperty(key)!.SetValue(layer, nn.Parameter(full(shape, 2f)));
            layer.forward(Layers.All[name].Input());
        }
        using var x = Layers.All[name].Input().requires_grad_();
        using var y = layer.forward(x);
        y.Doubles().All(double.IsFinite).Should().BeTrue();
        layer.parameters().All(parameter => parameter.Doubles().All(value => value == 2)).Should().BeTrue();
        using (NewDisposeScope())
            layer.to(META);
        layer.parameters().All(parameter => !parameter.IsInvalid).Should().BeTrue();
        layer.Dispose();
    }

    // 4: tensor fields that are not null at RegisterComponents() become buffers; attaching to a parent registers again.
    [Theory]
    [MemberData(nameof(Names))]
    public void Trap04_AttachedAfterForward_BringsNoBuffers(string name)
    {
        using var layer = Layers.All[name].New();
        using var x = Layers.All[name].Input();
        layer.forward(x).Dispose();
        _ = (layer as RINorm)?.mean;
        using var parent = nn.Sequential(("norm", layer));
        parent.state_dict().Keys.Should().Equal(Layers.All[name].Keys.Select(key => $"norm.{key}"));
        parent.named_buffers().Should().BeEmpty();
        layer.named_buffers().Should().BeEmpty();
    }

    // 5: a tensor kept from forward dies with the caller's scope, and .to() does not move it.
    [Fact]
    public void Trap05_StatisticsKeptInAScope_OutliveItAndFollowCasts()
    {
        using var rin = new RINorm(4);
        using (NewDisposeScope())
        {
            rin.forward(Layers.All["RINorm"].Input());
            _ = rin.mean;
        }
        using var z = ones(2, 3, 4, 1);
        using (var inOriginalUnits = rin.inverse(z))
            inOriginalUnits.Doubles().All(double.IsFinite).Should().BeTrue();
        using (NewDisposeScope())
            rin.to(ScalarType.Float64);
        (rin.mean!.dtype, rin.stdev!.dtype).Should().Be((ScalarType.Float64, ScalarType.Float64));
        rin.mean.Doubles().All(double.IsFinite).Should().BeTrue();
    }

    // 6: an op-by-op forward leaves one live tensor per intermediate.
    [Theory]
    [MemberData(nameof(Names))]
    public void Trap06_Forward_LeavesItsOutputAlone(string name)
    {
        using var layer = Layers.All[name].New();
        using var x = Layers.All[name].Input().requires_grad_();
        layer.forward(x).Dispose();
        Alone.TensorsLeft(() => layer.forward(x)).Should().Be(1);
    }

    // 8: load_state_dict broadcasts a [1] into a [4], names no key, and leaves earlier keys written when a later one fails.
    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Trap08_LoadStateDict_ChecksShapesNamesKeysAndWritesAllOrNothing(string name)
    {
        using var scope = NewDisposeScope();
        using var layer = Layers.All[name].Make(null, null);
        var last = Layers.All[name].Keys.Last();
        var before = layer.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());
        var source = before.ToDictionary(entry => entry.Key, entry => entry.Value + 7);
        source[last] = ones(1, 1, 1);
        layer.Invoking(l => l.load_state_dict(source)).Should().Throw<InvalidOperationException>().WithMessage($"*size mismatch for {last}*");
        source.Remove(last);
        layer.Invoking(l => l.load_state_dict(source)).Should().Throw<InvalidOperationException>().WithMessage($"*Missing key(s) in state_dict: \"{last}\"*");
        before.All(entry => Layers.SameBits(layer.get_parameter(entry.Key), entry.Value)).Should().BeTrue();
    }

    // 9: lists leave things out or repeat them; get_parameter gives null for an unknown name; state_dict(prefix: "enc.") gives "enc..g".
    [Theory]
    [MemberData(nameof(Names))]
    public void Trap09_NamesAndLists_AreWhole(string name)
    {
        using var layer = Layers.All[name].New();
        layer.Invoking(l => l.get_parameter("nope")).Should().Throw<MissingMemberException>().WithMessage($"{layer.GetType().Name} has no attribute `nope`");
        layer.Invoking(l => l.get_buffer("nope")).Should().Throw<MissingMemberException>().WithMessage($"{layer.GetType().Name} has no attribute `nope`");
        layer.state_dict(prefix: "enc.").Keys.Should().Equal(Layers.All[name].Keys.Select(key => $"enc.{key}"));
        using var parent = nn.Sequential(("norm", layer));
        parent.modules().Should().Equal(layer);
        parent.named_modules().Select(entry => entry.name).Should().Equal("norm");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Trap09_NonPersistentBuffer_IsListedMovedAndCastAndNotSaved(string name)
    {
        using var layer = Layers.All[name].New();
        layer.register_buffer("passing", ones(2), persistent: false);
        layer.register_buffer("kept", ones(2));
        layer.named_buffers().Select(entry => entry.name).Should().Equal("passing", "kept");
        layer.named_buffers(include_nonpersistent: false).Select(entry => entry.name).Should().Equal("kept");
        layer.to(ScalarType.Float64);
        layer.buffers().All(buffer => buffer.dtype == ScalarType.Float64).Should().BeTrue();
        layer.to(META);
        layer.get_buffer("passing").device_type.Should().Be(DeviceType.META);
        layer.state_dict().Keys.Should().Equal(Layers.All[name].Keys.Append("kept"));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Trap09_Registration_OfATakenNameOrNull_SaysSo(string name)
    {
        using var layer = Layers.All[name].New();
        layer.register_parameter("extra", nn.Parameter(ones(1)));
        layer.Invoking(l => l.register_parameter("extra", nn.Parameter(ones(1)))).Should().Throw<InvalidOperationException>().WithMessage("*extra is already registered*");
        layer.Invoking(l => l.register_parameter("other", null!)).Should().Throw<ArgumentNullException>().WithMessage("A null tensor cannot be registered*");
        layer.register_module("sub", Layers.All[name].New());
        layer.Invoking(l => l.register_module("sub", Layers.All[name].New())).Should().Throw<InvalidOperationException>().WithMessage("*sub is already registered*");
        layer.to(ScalarType.Float64).parameters().All(parameter => parameter.dtype == ScalarType.Float64).Should().BeTrue("a submodule is cast as well");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Trap09_Hooks_FireOnCallAsInPyTorch(string name)
    {
        using var scope = NewDisposeScope();
        using var layer = Layers.All[name].New();
        var fired = new List<string>();
        var before = layer.register_forward_pre_hook((_, x) =>
        {
            fired.Add("pre");
            return x;
        });
        layer.register_forward_hook((_, _, y) =>
        {
            fired.Add("post");
            return y * 2;
        });
        var x = Layers.All[name].Input();
        Layers.SameBits(layer.call(x), layer.forward(x) * 2).Should().BeTrue();
        fired.Should().Equal("pre", "post");
        before.remove();
        layer.call(x);
        fired.Should().Equal("pre", "post", "post");
    }

    // 10: train and eval return nothing; .to() replaces each Parameter, and an optimizer built before trains the old ones.
    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Trap10_OptimizerBuiltBeforeTo_GoesOnTrainingTheLayer(string name)
    {
        using var scope = NewDisposeScope();
        foreach (var make in new Func<IEnumerable<Parameter>, optim.Optimizer>[] { p => optim.SGD(p, 0.1), p => optim.SGD(p, 0.1, momentum: 0.9), p => optim.Adam(p, 0.1) })
        {
            using var layer = Layers.All[name].New();
            var optimizer = make(layer.parameters());
            layer.to(ScalarType.Float64).eval();
            layer.training.Should().BeFalse();
            layer.train();
            optimizer.zero_grad();
            layer.forward(Layers.All[name].Input(ScalarType.Float64) + 1).square().sum().backward();
            var before = layer.parameters().Select(parameter => parameter.detach().clone()).ToList();
            optimizer.step();
            foreach (var (parameter, old) in layer.parameters().Zip(before))
                Layers.SameBits(parameter, old).Should().Be(parameter.grad!.Doubles().All(value => value == 0), "a parameter moves if it has a gradient");
        }
    }

    // 11: forward of a module without parameters still runs after Dispose().
    [Theory]
    [MemberData(nameof(Names))]
    public void Trap11_ForwardAfterDispose_Throws(string name)
    {
        using var x = Layers.All[name].Input();
        var layer = Layers.All[name].New();
        layer.Dispose();
        layer.Invoking(l => l.forward(x)).Should().Throw<ObjectDisposedException>().WithMessage("*must be used before it is disposed*");
        layer.Invoking(l => l.call(x)).Should().Throw<ObjectDisposedException>();
    }

    // 12: TorchSharp.Modules.LayerNorm is sealed, and beside it the name is ambiguous (CS0104): the alias in BothLayerNorms.cs says which.
    [Fact]
    public void Trap12_LayerNormBesideTorchSharps_IsTheAliasedOne()
    {
        using var norm = Somebody.Elses.Application.BothLayerNorms.New();
        norm.Should().BeOfType<LayerNorm>();
        using var withoutParameters = new LayerNormNoBias(4);
        (withoutParameters is LayerNorm).Should().BeTrue();
        typeof(TorchSharp.Modules.LayerNorm).IsSealed.Should().BeTrue();
    }

    // 14: in float16 1e-8 is 0 and 300² is infinite; LayerNorm in bfloat16 throws on a float32 input.
    [Theory]
    [MemberData(nameof(Names))]
    public void Trap14_HalfPrecision_ZeroTinyAndLargeRowsAreRight(string name)
    {
        using var scope = NewDisposeScope();
        foreach (var dtype in new[] { ScalarType.Float16, ScalarType.BFloat16 })
        {
            using var layer = Layers.All[name].Make(null, dtype);
            layer.forward(zeros(Layers.All[name].Shapes[0], dtype)).Doubles().Should().AllSatisfy(value => value.Should().Be(0));
            layer.forward(full(Layers.All[name].Shapes[0], 60000, dtype)).Doubles().Should().AllSatisfy(value => value.Should().Be(layer is RMSNorm ? 1 : 0));
            foreach (var scale in new[] { 300.0, 30000, 6e-8 })
            {
                var x = (Layers.All[name].Input(dtype) * scale).to(dtype);
                using var wide = Layers.All[name].Make(null, ScalarType.Float64);
                Layers.SameBits(layer.forward(x), wide.forward(x.to(ScalarType.Float64)).to(dtype)).Should().BeTrue($"{scale} is no harder than 1");
            }
        }
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void Trap14_LayerNormInHalfPrecision_SaysWhatToDoWithAFloat32Input(ScalarType dtype)
    {
        using var x = ones(2, 4);
        using var norm = new LayerNorm(4, dtype: dtype);
        norm.Invoking(n => n.forward(x)).Should().Throw<ArgumentException>().WithMessage($"*parameters are {dtype} and it received size [2, 4], dtype Float32. Convert one*");
    }
}
