using Darts.Norm.Tests.Modules;

namespace Darts.Norm.Tests;

/// <summary>load_state_dict and load: PyTorch's texts, everything checked before anything is written.</summary>
public sealed class StateLoadingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => Layers.Names;

    public static TheoryData<string> NamesWithParameters => Layers.NamesWithParameters;

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void LoadStateDict_RecordedDictionaries_AnswerWithTheRecordedLines()
    {
        var log = new Recording();
        foreach (var (make, source) in ModuleSurface.WrongDictionaries())
        {
            foreach (var strict in new[] { true, false })
            {
                log.Attempt(() =>
                {
                    var (missing, unexpected) = make().load_state_dict(source, strict);
                    return $"_IncompatibleKeys(missing_keys={PythonText.List(missing)}, unexpected_keys={PythonText.List(unexpected)})";
                });
            }
        }
        log.Lines.Should().Equal(ModuleSurface.Lines("load_errors").Take(log.Lines.Count));
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void LoadStateDict_ManyFaults_ListsEachAndWritesNothing(string name)
    {
        var layer = Layers.All[name].New();
        var last = Layers.All[name].Keys.Last();
        var source = Good(layer);
        source[last] = ones(9);
        source["extra"] = ones(1);
        var text = Rejects<InvalidOperationException>(layer, l => l.load_state_dict(source));
        text.Should().Be(
            $"Error(s) in loading state_dict for {layer.GetType().Name}:\n\tUnexpected key(s) in state_dict: \"extra\". "
            + $"\n\tsize mismatch for {last}: copying a param with shape torch.Size([9]) from checkpoint, the shape in current model is torch.Size({Require.Size(layer.get_parameter(last).shape)}).");
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void LoadStateDict_ShapesThatWouldBroadcast_AreRefused(string name)
    {
        foreach (var key in Layers.All[name].Keys)
        {
            var shape = Layers.All[name].State.Single(entry => entry.key == key).shape;
            foreach (var wrong in new long[][] { [], [1, .. shape], [.. shape, 1], [.. shape[..^1], shape[^1] + 1], [0] })
            {
                var layer = Layers.All[name].New();
                var source = Good(layer);
                source[key] = ones(wrong);
                Rejects<InvalidOperationException>(layer, l => l.load_state_dict(source)).Should().Contain($"size mismatch for {key}");
                Rejects<InvalidOperationException>(layer, l => l.load_state_dict(source, strict: false)).Should().Contain($"size mismatch for {key}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void LoadStateDict_NullOrDisposedOrMetaValue_IsRefused(string name)
    {
        var layer = Layers.All[name].New();
        var key = Layers.All[name].Keys.Last();
        var disposed = ones(4);
        disposed.Dispose();
        foreach (var value in new[] { null, disposed, layer.get_parameter(key).detach().to(META), layer.get_parameter(key).detach().to(ScalarType.ComplexFloat32) })
        {
            var source = Good(layer);
            source[key] = value!;
            Rejects<InvalidOperationException>(layer, l => l.load_state_dict(source, strict: false)).Should().Contain(key).And.Contain(
                value is { IsInvalid: false, dtype: ScalarType.ComplexFloat32 } ? "Convert it first: value.real for the real part" : key);
        }
        layer.Invoking(l => l.load_state_dict(null!)).Should().Throw<ArgumentNullException>();
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void LoadStateDict_LayerOnTheMetaDevice_SaysThatItHoldsNoValues(string name)
    {
        var layer = Layers.All[name].Make(META, null);
        layer.Invoking(l => l.load_state_dict(Good(Layers.All[name].New())))
            .Should().Throw<InvalidOperationException>().WithMessage("*meta device holds none*");
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void LoadStateDict_NotStrict_WritesWhatFitsAndNamesTheRest(string name)
    {
        var layer = Layers.All[name].New();
        var first = Layers.All[name].Keys.First();
        var before = Good(layer);
        var (missing, unexpected) = layer.load_state_dict(new() { [first] = full_like(before[first], 7), ["extra"] = ones(1) }, strict: false);
        missing.Should().Equal(Layers.All[name].Keys.Skip(1));
        unexpected.Should().Equal("extra");
        layer.get_parameter(first).Doubles().All(value => value == 7).Should().BeTrue();
        foreach (var key in Layers.All[name].Keys.Skip(1))
            Layers.SameBits(layer.get_parameter(key), before[key]).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void LoadStateDict_SkippedKey_IsLeftAloneWhateverItHolds(string name)
    {
        var layer = Layers.All[name].New();
        var first = Layers.All[name].Keys.First();
        var before = Good(layer);
        var source = Good(layer).ToDictionary(entry => entry.Key, entry => entry.Value.exp());
        source[first] = ones(9);
        source["extra"] = ones(1);
        var (missing, unexpected) = layer.load_state_dict(source, skip: [first, "extra"]);
        missing.Should().BeEmpty();
        unexpected.Should().BeEmpty();
        Layers.SameBits(layer.get_parameter(first), before[first]).Should().BeTrue();
        foreach (var key in Layers.All[name].Keys.Skip(1))
            Layers.SameBits(layer.get_parameter(key), source[key]).Should().BeTrue();
        source.Remove(first);
        layer.load_state_dict(source, skip: [first, "extra"]).missing_keys.Should().BeEmpty();
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void LoadStateDict_OtherDtypes_AreConvertedIntoTheSameParameters(string name)
    {
        foreach (var dtype in Layers.Dtypes.Append(ScalarType.Int64))
        {
            var layer = Layers.All[name].New();
            var parameters = layer.parameters().ToList();
            parameters[0].requires_grad = false;
            layer.load_state_dict(Good(layer).ToDictionary(entry => entry.Key, entry => full_like(entry.Value, 3, dtype: dtype)));
            layer.parameters().Should().Equal(parameters, ReferenceEquals);
            layer.parameters().All(parameter => parameter.dtype == ScalarType.Float32 && parameter.Doubles().All(value => value == 3)).Should().BeTrue();
            layer.parameters().Select(parameter => parameter.requires_grad).Should().Equal(parameters.Select((_, i) => i > 0));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void LoadStateDict_ItsOwn_ChangesNothing(string name)
    {
        var layer = Layers.All[name].New();
        var before = Good(layer);
        var (missing, unexpected) = layer.load_state_dict(layer.state_dict());
        missing.Concat(unexpected).Should().BeEmpty();
        before.All(entry => Layers.SameBits(layer.get_parameter(entry.Key), entry.Value)).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void StateDict_PrefixWithOrWithoutDot_HasOneDot(string name)
    {
        var layer = Layers.All[name].New();
        foreach (var prefix in new[] { "enc", "enc." })
            layer.state_dict(prefix: prefix).Keys.Should().Equal(Layers.All[name].Keys.Select(key => $"enc.{key}"));
        layer.state_dict(prefix: "").Keys.Should().Equal(Layers.All[name].Keys);
        var destination = new Dictionary<string, Tensor> { ["other"] = ones(1) };
        layer.state_dict(destination, "a.b.").Should().BeSameAs(destination);
        destination.Keys.Should().Equal(Layers.All[name].Keys.Select(key => $"a.b.{key}").Prepend("other"));
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Load_AnotherLayersFile_ThrowsAndWritesNothing(string name)
    {
        var bytes = Saved(nn.Linear(3, 2));
        var layer = Layers.All[name].New();
        var loaded = new Dictionary<string, bool>();
        Rejects<InvalidOperationException>(layer, l => l.load(new MemoryStream(bytes), loadedParameters: loaded)).Should().Contain("Error(s) in loading state_dict");
        loaded.Should().BeEmpty();
    }

    [Fact]
    public void Load_NotStrictAndSkipped_LoadsTheRestAndSaysWhich()
    {
        var saved = new LayerNorm(4);
        nn.init.constant_(saved.weight, 3);
        nn.init.constant_(saved.bias, 5);
        var loaded = new Dictionary<string, bool>();
        var withoutBias = new LayerNorm(4, bias: false);
        withoutBias.load(new MemoryStream(Saved(saved)), strict: false, loadedParameters: loaded);
        withoutBias.weight!.Doubles().Should().Equal(3, 3, 3, 3);
        loaded.Should().Equal(new Dictionary<string, bool> { ["weight"] = true, ["bias"] = false });
        var skipping = new LayerNorm(4);
        skipping.load(new MemoryStream(Saved(saved)), skip: ["bias"]);
        skipping.weight!.Doubles().Should().Equal(3, 3, 3, 3);
        skipping.bias!.Doubles().Should().Equal(0, 0, 0, 0);
    }

    [Fact]
    public void Load_FileOfTorchSharpsLayerNormAndBack_HasTheSameBits()
    {
        var theirs = nn.LayerNorm(4);
        nn.init.constant_(theirs.weight, 3);
        var ours = new LayerNorm(4);
        ours.load(new MemoryStream(Saved(theirs)));
        ours.weight!.Doubles().Should().Equal(3, 3, 3, 3);
        nn.init.constant_(ours.bias, 5);
        theirs.load(new MemoryStream(Saved(ours)));
        theirs.bias!.Doubles().Should().Equal(5, 5, 5, 5);
    }

    [Fact]
    public void Save_ParametersInAnyLayout_HasTheirValues()
    {
        var complex = Layers.Values([2, 3, 2]) + (Layers.Values([2, 3, 2]) * new System.Numerics.Complex(0, 3));
        var saved = new LayerNorm([2, 3]) { weight = nn.Parameter(Layers.Values([3, 2]).t()), bias = nn.Parameter(complex.select(2, 0).conj().imag) };
        Action<Stream>[] saves = [stream => saved.save(stream), stream => saved.save(new BinaryWriter(stream))];
        foreach (var save in saves)
        {
            var stream = new MemoryStream();
            save(stream);
            var loaded = new LayerNorm([2, 3]);
            loaded.load(new MemoryStream(stream.ToArray()));
            loaded.weight!.Doubles().Should().Equal(saved.weight.Doubles());
            loaded.bias!.Doubles().Should().Equal(saved.bias.Doubles());
        }
    }

    [Fact]
    public void Save_Skip_LeavesKeysOut()
    {
        var stream = new MemoryStream();
        new LayerNorm(4).save(new BinaryWriter(stream), skip: ["weight", "none"]);
        StateFile.Read(new BinaryReader(new MemoryStream(stream.ToArray()))).Keys.Should().Equal("bias");
    }

    [Fact]
    public void Save_Refused_LeavesTheFile()
    {
        var path = Path.GetTempFileName();
        try
        {
            var layer = new RMSNorm(4);
            layer.save(path);
            var before = File.ReadAllBytes(path);
            layer.to(META);
            layer.Invoking(l => l.save(path)).Should().Throw<InvalidOperationException>().WithMessage("*must have values*'g' is on the meta device*to_empty*");
            layer.Invoking(l => l.save((string)null!)).Should().Throw<ArgumentNullException>();
            layer.Invoking(l => l.save((Stream)null!)).Should().Throw<ArgumentNullException>();
            layer.Invoking(l => l.save((BinaryWriter)null!)).Should().Throw<ArgumentNullException>();
            File.ReadAllBytes(path).Should().Equal(before);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Load_LoadedParameters_TellWhatTheLayerHas()
    {
        var stream = new MemoryStream();
        nn.Module.save_state_dict(new BinaryWriter(stream), new() { ["weight"] = ones(4), ["bias"] = ones(4), ["extra"] = ones(4), ["other"] = ones(4) });
        var told = new Dictionary<string, bool>();
        new LayerNorm(4).load(new MemoryStream(stream.ToArray()), strict: false, skip: ["extra", "bias"], loadedParameters: told);
        told.Should().BeEquivalentTo(new Dictionary<string, bool> { ["weight"] = true, ["bias"] = true, ["extra"] = false, ["other"] = false });
    }

    [Fact]
    public void LoadAndLoadStateDict_OfALayerWithExtraState_TakeWhatItSaved()
    {
        using var saved = new Counting { Steps = 9 };
        using var loaded = new Counting { Steps = 5 };
        loaded.load(new MemoryStream(Saved(saved)));
        loaded.load_state_dict(saved.state_dict());
        loaded.Steps.Should().Be(5, "TorchSharp's own members don't see it");
        loaded.load_state_dict(saved.pytorch().state_dict());
        loaded.Steps.Should().Be(9);
        loaded.Invoking(l => l.pytorch().load_state_dict(saved.state_dict())).Should().Throw<InvalidOperationException>().WithMessage("*Missing key(s) in state_dict: \"_extra_state\"*");
    }

    private sealed class Counting() : LayerNorm(4), IExtraState
    {
        public long Steps { get; set; }

        public Tensor get_extra_state() => tensor(Steps);

        public void set_extra_state(Tensor state) => Steps = state.item<long>();
    }

    private static byte[] Saved(nn.Module module)
    {
        var stream = new MemoryStream();
        module.save(stream);
        return stream.ToArray();
    }

    private static Dictionary<string, Tensor> Good(NormModule layer) =>
        layer.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());

    private static string Rejects<TException>(NormModule layer, Action<NormModule> load)
        where TException : Exception
    {
        var before = Good(layer);
        var message = layer.Invoking(load).Should().Throw<TException>().Which.Message;
        before.All(entry => Layers.SameBits(layer.get_parameter(entry.Key), entry.Value)).Should().BeTrue("nothing is written before everything is checked");
        return message;
    }
}
