using System.Text.Json;

namespace DartsCheckpoints.Tests;

public sealed class CheckpointTests : IDisposable
{
    private static readonly Sizes Sizes = new(6, 4, 2, 1, 2, 4, 3);
    private readonly Written _written = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _written.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData(".json")]
    [InlineData(".dat")]
    public void Read_AnyEnding_FindsBothFiles(string ending)
    {
        using var checkpoint = Checkpoint.Read(Write() + ending);
        checkpoint.Name.Should().Be("TiDEModel");
        checkpoint.Sizes.Should().Be(Sizes);
        checkpoint.Targets.Should().Equal("target 1", "target 2");
        checkpoint.Parameters.Should().Equal("parameter 1", "parameter 2", "parameter 3");
    }

    [Fact]
    public void Read_Names_AreTaken()
    {
        var stem = Write();
        string[] targets = ["DAX", "SMI"], parameters = ["q0.10", "q0.50", "q0.90"];
        Rewrite(stem, info => (info["targets"], info["parameters"]) = (targets, parameters));
        using var checkpoint = Checkpoint.Read(stem);
        checkpoint.Targets.Should().Equal(targets);
        checkpoint.Parameters.Should().Equal(parameters);
    }

    [Theory]
    [InlineData("json", "*cannot be read*")]
    [InlineData("json text", "*cannot be read*")]
    [InlineData("dat", "*cannot be read*")]
    [InlineData("dat cut", "*cannot be read*")]
    [InlineData("in/past_target", "*no in/past_target among*out/prediction*")]
    [InlineData("out/prediction", "*no out among in/past_target*")]
    public void Read_Damaged_SaysSoOnOneLineAndLeavesNothing(string damage, string expected)
    {
        var stem = Write(damage.Contains('/', StringComparison.Ordinal) ? tensors => tensors.Remove(damage) : null);
        if (damage is "json" or "dat")
            File.Delete($"{stem}.{damage}");
        if (damage == "json text")
            File.WriteAllText(stem + ".json", "{\"model\": 1");
        if (damage == "dat cut")
            File.WriteAllBytes(stem + ".dat", File.ReadAllBytes(stem + ".dat")[..5000]);
        FluentActions.Invoking(() => Checkpoint.Read(stem)).Should().Throw<InputException>().WithMessage(expected).Which.Message.Should().NotContain("\n");
    }

    [Theory]
    [InlineData("state/rin.gamma", "*do not fit*TiDEModel*Unexpected key(s)*\"rin.gamma\"*")]
    [InlineData("rin.gamma", "*Darts 0.48*rin.mean and rin.stdev. But it has rin.gamma as well*")]
    [InlineData("subtract_last", "*Darts 0.48: eps and affine in use_reversible_instance_norm*But it has subtract_last as well*")]
    [InlineData("state/rin.affine_weight alone", "*Missing key(s)*\"rin.affine_bias\"*")]
    [InlineData("state/rin.affine_bias alone", "*Unexpected key(s)*\"rin.affine_bias\"*")]
    public void Network_OfAnotherRINorm_IsRefused(string fault, string expected)
    {
        var parameters = Written.Parameters("TiDEModel");
        var stem = Write(tensors =>
        {
            if (fault.EndsWith("alone", StringComparison.Ordinal))
                tensors.Remove(fault.Contains("weight", StringComparison.Ordinal) ? "state/rin.affine_bias" : "state/rin.affine_weight");
            else if (fault != "subtract_last")
                tensors[fault] = zeros(2);
        });
        if (fault == "subtract_last")
            Rewrite(stem, info => info["hyper_parameters"] = new Dictionary<string, object?>(parameters) { ["use_reversible_instance_norm"] = new Dictionary<string, object> { [fault] = true } });
        FluentActions.Invoking(() => Network(stem)).Should().Throw<InputException>().WithMessage(expected);

        static void Network(string stem)
        {
            using var checkpoint = Checkpoint.Read(stem);
            checkpoint.Network().Dispose();
        }
    }

    [Theory]
    [InlineData("missing", "*do not fit*TiDEModel*Missing key(s)*\"encoders.0.skip.bias\"*")]
    [InlineData("more", "*Unexpected key(s)*\"nowhere\"*")]
    [InlineData("size", "*size mismatch for encoders.0.skip.bias*torch.Size([1])*torch.Size([5])*")]
    public void Network_WeightsThatDoNotFit_NamesEachFault(string fault, string expected)
    {
        const string Key = "state/encoders.0.skip.bias";
        using var checkpoint = Checkpoint.Read(Write(tensors =>
        {
            if (fault == "missing")
                tensors.Remove(Key);
            else if (fault == "more")
                tensors["state/nowhere"] = zeros(1);
            else
                tensors[Key] = zeros(1);
        }));
        checkpoint.Invoking(c => c.Network()).Should().Throw<InputException>().WithMessage(expected);
    }

    [Theory]
    [InlineData("hidden_size", null, "*lack hidden_size*num_encoder_layers*")]
    [InlineData("hidden_size", "wide", "*hidden_size must be a whole number*wide*")]
    [InlineData("hidden_size", 1.5, "*hidden_size must be a whole number*1.5*")]
    [InlineData("use_layer_norm", 3, "*use_layer_norm must be true or false*")]
    [InlineData("dropout", "0.1", "*dropout must be a number*")]
    public void Network_HyperParameterThatIsMissingOrWrong_IsNamed(string name, object? value, string expected)
    {
        var parameters = Written.Parameters("TiDEModel");
        if (value is null)
            parameters.Remove(name);
        else
            parameters[name] = value;
        var stem = Write();
        Rewrite(stem, info => info["hyper_parameters"] = parameters);
        using var checkpoint = Checkpoint.Read(stem);
        checkpoint.Invoking(c => c.Network()).Should().Throw<InputException>().WithMessage(expected);
    }

    [Fact]
    public void Network_UnknownNorm_ListsTheNames()
    {
        var parameters = Written.Parameters("TSMixerModel");
        using (Checkpoint.Read(_written.Write("TSMixerModel", parameters, Sizes)).Network())
        {
        }
        parameters["norm_type"] = "GroupNorm";
        FluentActions.Invoking(() => _written.Write("TSMixerModel", parameters, Sizes)).Should().Throw<ArgumentException>()
            .WithMessage("*GroupNorm*LayerNorm, LayerNormNoBias, RMSNorm, RINorm, TimeBatchNorm2d*");
    }

    private static void Rewrite(string stem, Action<Dictionary<string, object>> change)
    {
        var info = JsonSerializer.Deserialize<Dictionary<string, object>>(File.ReadAllText(stem + ".json"))!;
        change(info);
        File.WriteAllText(stem + ".json", JsonSerializer.Serialize(info));
    }

    private string Write(Action<Dictionary<string, Tensor>>? change = null) => _written.Write("TiDEModel", Written.Parameters("TiDEModel"), Sizes, change);
}
