using System.Runtime.InteropServices;
using TorchSharp.Modules;

namespace Darts.Norm.Tests.Modules;

/// <summary>Casts and moves through the view, on each layer and inside a parent.</summary>
public sealed class ConversionTests : IDisposable
{
    private static readonly Dictionary<string, (Func<PyTorchModule<nn.Module>, nn.Module> cast, ScalarType dtype)> Casts = new()
    {
        ["half"] = (m => m.half(), ScalarType.Float16),
        ["bfloat16"] = (m => m.bfloat16(), ScalarType.BFloat16),
        ["float"] = (m => m.@float(), ScalarType.Float32),
        ["double"] = (m => m.@double(), ScalarType.Float64),
        ["cpu"] = (m => m.cpu(), ScalarType.Float32),
        ["to(dtype)"] = (m => m.to(ScalarType.Float64), ScalarType.Float64),
        ["to(device)"] = (m => m.to(CPU), ScalarType.Float32),
        ["to(text, dtype)"] = (m => m.to("cpu", ScalarType.Float16), ScalarType.Float16),
        ["to(all)"] = (m => m.to(CPU, ScalarType.Float64, non_blocking: true, memory_format.channels_last), ScalarType.Float64),
        ["to(tensor)"] = (m => m.to(zeros(1, dtype: ScalarType.BFloat16)), ScalarType.BFloat16),
        ["to(complex)"] = (m => m.to(ScalarType.ComplexFloat64), ScalarType.ComplexFloat64),
        ["type(dtype)"] = (m => m.type(ScalarType.Float64), ScalarType.Float64),
        ["type(text)"] = (m => m.type("torch.HalfTensor"), ScalarType.Float16),
        ["to_empty"] = (m => m.to_empty(CPU), ScalarType.Float32),
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, string> NamesAndCasts => Combinations.Of(Layers.All.Keys, Casts.Keys);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("gpu")]
    [InlineData("")]
    [InlineData("cuda:x")]
    [InlineData("cuda:99999999999")]
    public void To_NoNameOfADevice_SaysSo(string device) =>
        new RMSNorm(4).pytorch().Invoking(m => m.to(device)).Should().Throw<InvalidOperationException>().WithMessage($"Invalid device string: '{device}'. Name one*");

    [Theory]
    [MemberData(nameof(NamesAndCasts))]
    public void Cast_OfALayerAndInsideAParent_TakesParametersGradientsBuffersAndStatisticsAlong(string name, string cast)
    {
        foreach (var inside in new[] { false, true })
        {
            var layer = Layers.All[name].New();
            layer.forward(Layers.All[name].Input().requires_grad_()).sum().backward();
            layer.pytorch().register_buffer("passing", ones(2), persistent: false);
            layer.pytorch().register_buffer("count", tensor(3L));
            var before = layer.pytorch().parameters().ToList();
            nn.Module root = inside ? nn.Sequential(("norm", layer)) : layer;
            var (convert, dtype) = Casts[cast];
            convert(root.pytorch()).Should().BeSameAs(root);
            layer.pytorch().parameters().Should().Equal(before, ReferenceEquals);
            before.All(p => p.dtype == dtype && p.grad!.dtype == dtype && p.is_leaf && p.requires_grad).Should().BeTrue();
            layer.pytorch().get_buffer("passing")!.dtype.Should().Be(dtype);
            layer.pytorch().get_buffer("count")!.dtype.Should().Be(cast.StartsWith("type", StringComparison.Ordinal) ? dtype : ScalarType.Int64);
            layer.pytorch().state_dict().Keys.Should().NotContain("passing");
            if (layer is RINorm rin && dtype != ScalarType.ComplexFloat64)
                rin.mean!.dtype.Should().Be(dtype);
            if (!cast.StartsWith("to", StringComparison.Ordinal))
                layer.call(Layers.All[name].Input(dtype)).dtype.Should().Be(dtype);
        }
    }

    [Fact]
    public void Casts_OfTorchSharpsModules_ReachTheirFieldsAndNativeWeights()
    {
        var net = nn.Sequential(nn.Conv1d(2, 3, 1L), nn.BatchNorm1d(3), nn.ReLU());
        var optimizer = optim.SGD(net.pytorch().parameters(), 0.1);
        net.pytorch().@double();
        var x = randn(2, 2, 4, dtype: ScalarType.Float64);
        net.call(x).square().sum().backward();
        var before = net.pytorch().parameters().First().detach().clone();
        optimizer.step();
        Layers.SameBits(before, net.pytorch().parameters().First()).Should().BeFalse("an optimizer built before goes on training");
        net.pytorch().buffers().Select(b => b.dtype).Should().Equal(ScalarType.Float64, ScalarType.Float64, ScalarType.Int64);
        var lstm = nn.LSTM(2, 3);
        lstm.pytorch().@double();
        lstm.call(randn(4, 1, 2, dtype: ScalarType.Float64)).Item1.dtype.Should().Be(ScalarType.Float64);
        net.to(ScalarType.Float32);
        net.call(randn(2, 2, 4)).dtype.Should().Be(ScalarType.Float32, "TorchSharp's own casts work afterwards");
    }

    [Fact]
    public void MetaAndBack_OfANetwork_NeedsToEmpty()
    {
        var net = nn.Sequential(nn.Linear(2, 3), new LayerNorm(3), nn.BatchNorm1d(3));
        net.pytorch().to("meta");
        net.pytorch().parameters().Concat(net.pytorch().buffers()).All(t => t.device_type == DeviceType.META).Should().BeTrue();
        foreach (var back in new Action[] { () => net.pytorch().cpu(), () => net.pytorch().to("cpu", ScalarType.Float64) })
            back.Should().Throw<InvalidOperationException>().WithMessage("Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to()*");
        net.to_empty(CPU).Should().BeSameAs(net);
        using (no_grad())
        {
            foreach (var tensor in net.pytorch().parameters().Concat(net.pytorch().buffers()))
                tensor.fill_(1);
        }
        net.call(randn(4, 2)).shape.Should().Equal(4, 3);
        var outer = nn.Sequential(nn.Linear(2, 3)).pytorch().to("meta");
        outer.to_empty(CPU, recurse: false);
        outer.pytorch().parameters().First().device_type.Should().Be(DeviceType.META, "it has none of its own");
    }

    [Fact]
    public void MemoryFormat_OfFourDimensionalWeights_BecomesChannelsLast()
    {
        var conv = nn.Conv2d(4, 8, 3L);
        var values = conv.weight!.detach().clone();
        conv.pytorch().to(memory_format: memory_format.channels_last);
        conv.weight!.stride().Should().Equal(36, 1, 12, 4);
        conv.weight.Doubles().Should().Equal(values.Doubles());
        conv.pytorch().to(memory_format: memory_format.preserve_format);
        conv.weight!.stride().Should().Equal(36, 1, 12, 4);
        conv.pytorch().to(dtype: ScalarType.Float64, memory_format: memory_format.contiguous_format);
        conv.weight!.stride().Should().Equal(36, 9, 3, 1);
        conv.weight.Doubles().Should().Equal(values.Doubles());
    }

    [Fact]
    public void MemoryFormat_ThatDoesNotFitOrIsNone_IsRefusedAndChangesNothing()
    {
        var net = nn.Sequential(("a", nn.Conv2d(4, 8, 3L)), ("b", nn.Conv3d(4, 8, 3L))).pytorch();
        net.Invoking(n => n.to(memory_format: memory_format.channels_last)).Should().Throw<InvalidOperationException>().WithMessage("required rank 4 tensor to use channels_last format, but a parameter or buffer has size *8, 4, 3, 3, 3], dtype Float32.*");
        net.Invoking(n => n.to(memory_format: (memory_format)77)).Should().Throw<ArgumentOutOfRangeException>().WithMessage("memory_format must be preserve_format, contiguous_format or channels_last, but is 77.*").WithParameterName("memory_format");
        net.get_parameter("a.weight").stride().Should().Equal(36, 9, 3, 1);
    }

    [Fact]
    public void To_ThatHasNothingToDo_KeepsValuesAndParameters()
    {
        var norm = new LayerNorm(2);
        var (weight, values) = (norm.weight, norm.weight!.detach().alias());
        norm.pytorch().to("cpu");
        norm.weight.Should().BeSameAs(weight);
        values.fill_(3);
        norm.weight!.Doubles().Should().Equal([3, 3], "it is the same memory");
        norm.pytorch().to("cpu:0");
        norm.weight.Should().BeSameAs(weight);
        norm.call(arange(2f)).Doubles()[1].Should().BeApproximately(3, 1e-4);
    }

    [Fact]
    public void To_OfALayerWithIntegersOrComplexNumbers_ConvertsTheLatterAlone()
    {
        var norm = new LayerNorm(2).requires_grad_(false);
        norm.type(ScalarType.Int64);
        norm.pytorch().to(ScalarType.Float64);
        norm.to(ScalarType.Float64);
        norm.weight!.dtype.Should().Be(ScalarType.Int64, "as in PyTorch");
        norm.Invoking(n => n.call(ones(2))).Should().Throw<InvalidOperationException>().WithMessage("*but weight is Int64*");
        norm.type(ScalarType.Float32);
        norm.call(arange(2f)).Doubles()[1].Should().BeApproximately(1, 1e-4);
        var complex = new LayerNorm(2);
        complex.pytorch().to(ScalarType.ComplexFloat64);
        complex.to(ScalarType.Float32);
        complex.weight!.dtype.Should().Be(ScalarType.Float32);
    }

    [Fact]
    public void Type_WrongNameOrAnIntegerForParameters_IsRefusedAndChangesNothing()
    {
        var norm = new LayerNorm(2);
        foreach (var name in new[] { "torch.StringTensor", "FloatTensor", "numpy.FloatTensor", "torch.cpu.FloatTensor", "torch.cuda.StringTensor", "numpy.cuda.FloatTensor", "torch.cuda.amp.FloatTensor", "" })
            norm.Invoking(n => n.type(name)).Should().Throw<ArgumentException>().WithMessage($"invalid type: '{name}'");
        norm.Invoking(n => n.type(ScalarType.Int64)).Should().Throw<InvalidOperationException>().WithMessage("*must be floating point or complex dtype*");
        norm.weight!.dtype.Should().Be(ScalarType.Float32);
        norm.requires_grad_(false).type(ScalarType.Int64);
        norm.weight.dtype.Should().Be(ScalarType.Int64);
    }

    [Fact]
    public void RequiresGrad_OfWhatCannotHaveOne_IsRefusedAndChangesNothing()
    {
        RMSNorm inInference;
        using (inference_mode())
            inInference = new(2);
        inInference.g.requires_grad = false;
        foreach (var wrong in (RMSNorm[])[new RMSNorm(2).requires_grad_(false).type(ScalarType.Int32), inInference])
        {
            var net = nn.Sequential(("a", new RMSNorm(2)), ("b", wrong), ("c", new RMSNorm(2).requires_grad_(false)));
            net.get_submodule("a").requires_grad_(false);
            net.Invoking(n => n.requires_grad_()).Should().Throw<InvalidOperationException>().WithMessage("*'b.g' of Sequential is one that cannot, of size *2], dtype*").Which.Message.Should().NotContain("frame #");
            net.pytorch().parameters().Should().OnlyContain(parameter => !parameter.requires_grad);
        }
    }

    [Theory]
    [InlineData("ipu")]
    [InlineData("mtia")]
    [InlineData("xpu")]
    public void Device_ThatThisLibtorchLacks_GivesItsErrorAndMovesNothing(string device)
    {
        var net = nn.Sequential(new RMSNorm(2));
        FluentActions.Invoking(() => device switch
        {
            "ipu" => net.ipu(),
            "mtia" => net.mtia(0),
            _ => net.xpu(),
        }).Should().Throw<ExternalException>();
        net.pytorch().parameters().Single().device_type.Should().Be(DeviceType.CPU);
        net.call(ones(2)).shape.Should().Equal(2);
    }

    [Fact]
    public void Cuda_WithoutIt_GivesAnErrorAndMovesNothing()
    {
        if (cuda.is_available())
            return;
        var net = nn.Sequential(new RMSNorm(2));
        net.Invoking(n => n.pytorch().cuda()).Should().Throw<Exception>().WithMessage("*CUDA*");
        net.Invoking(n => n.pytorch().type("torch.cuda.FloatTensor")).Should().Throw<Exception>().WithMessage("*CUDA*");
        net.pytorch().parameters().Single().device_type.Should().Be(DeviceType.CPU);
    }

    [Fact]
    public void MembersThatCannotBe_SayWhatToDoInstead()
    {
        using var norm = new RMSNorm(2);
        norm.Invoking(n => n.compile()).Should().Throw<NotSupportedException>().WithMessage("*no torch.compile*fused kernels*");
        norm.Invoking(n => n.share_memory()).Should().Throw<NotSupportedException>().WithMessage("*save the module and load it there*");
        norm.Invoking(n => n.T_destination()).Should().Throw<NotSupportedException>().WithMessage("*Use StateDict*");
        norm.Invoking(n => n.pytorch().compile("inductor")).Should().Throw<NotSupportedException>();
    }

    [Fact]
    public void TrainAndEval_OfListsThatGrewLater_ReachAll()
    {
        var list = nn.ModuleList<nn.Module>(new RMSNorm(2));
        var net = new Listed(list);
        list.Add(nn.Dropout());
        net.pytorch().eval().Should().BeSameAs(net);
        net.pytorch().modules().All(m => !m.training).Should().BeTrue();
        net.pytorch().train();
        net.pytorch().modules().All(m => m.training).Should().BeTrue();
        net.pytorch().modules().Should().HaveCount(5);
    }

    [Fact]
    public void Parameters_OfTorchSharpsLists_AreListedSavedAndReplaced()
    {
        var list = nn.ParameterList(nn.Parameter(ones(1)), nn.Parameter(ones(2)));
        list.pytorch().named_parameters().Select(entry => entry.name).Should().Equal("0", "1");
        list.pytorch().register_parameter("1", nn.Parameter(zeros(3)));
        list[1].shape.Should().Equal(3);
        list.pytorch().@double();
        list[0].dtype.Should().Be(ScalarType.Float64);
    }

    private sealed class Listed : nn.Module
    {
        private readonly ModuleList<nn.Module> layers;
        private readonly Dropout dropout = nn.Dropout();

        public Listed(ModuleList<nn.Module> layers)
            : base(nameof(Listed))
        {
            this.layers = layers;
            RegisterComponents();
        }

        public override string ToString() => $"{layers.Count} {dropout.training}";
    }
}
