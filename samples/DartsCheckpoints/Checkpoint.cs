using System.Text.Json;
using Darts.Norm;
using TorchSharp;
using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>A model that was trained in Darts, as <c>export.py</c> writes it: NAME.json and NAME.dat.</summary>
/// <remarks>
/// <code>
/// using var checkpoint = Checkpoint.Read("my_model.json");
/// using var network = checkpoint.Network();
/// using var forecast = network.call(new Inputs(past));       // (batch, T, targets, parameters)
/// </code>
/// </remarks>
public sealed class Checkpoint : IDisposable
{
    private readonly Dictionary<string, Tensor> _tensors;

    private Checkpoint(string name, string model, string text, HyperParameters hyper, string[] targets, string[] parameters, Dictionary<string, Tensor> tensors)
    {
        (Name, Model, Text, HyperParameters, _tensors) = (name, model, text, hyper, tensors);
        Inputs = new(
            Required("in/past_target"), Find("in/past_covariates"), Find("in/historic_future_covariates"), Find("in/future_covariates"), Find("in/static_covariates"));
        Output = Find("out/prediction") ?? Find("out/0") ?? Required("out");
        State = tensors.Where(pair => pair.Key.StartsWith("state/", StringComparison.Ordinal)).ToDictionary(pair => pair.Key["state/".Length..], pair => pair.Value);
        Sizes = new(
            Inputs.past_target.size(1), Output.size(1), Inputs.past_target.size(2), Inputs.past_covariates?.size(2) ?? 0, Inputs.future_covariates?.size(2) ?? 0,
            Inputs.static_covariates is { } statics ? statics.size(1) * statics.size(2) : 0, Output.size(3));
        Targets = targets.Length == Sizes.Targets ? targets : [.. Enumerable.Range(1, (int)Sizes.Targets).Select(number => $"target {number}")];
        Parameters = parameters.Length == Sizes.Parameters ? parameters : [.. Enumerable.Range(1, (int)Sizes.Parameters).Select(number => Sizes.Parameters == 1 ? "forecast" : $"parameter {number}")];
    }

    /// <summary>The file's name.</summary>
    public string Name { get; }

    /// <summary>The model's class in Darts.</summary>
    public string Model { get; }

    /// <summary>The module's text in PyTorch.</summary>
    public string Text { get; }

    /// <summary>What the model was made with.</summary>
    public HyperParameters HyperParameters { get; }

    /// <summary>The sizes of its inputs and output.</summary>
    public Sizes Sizes { get; }

    /// <summary>The names of the series that it forecasts.</summary>
    public IReadOnlyList<string> Targets { get; }

    /// <summary>The names of the likelihood's parameters, such as quantiles.</summary>
    public IReadOnlyList<string> Parameters { get; }

    /// <summary>The weights, by PyTorch's keys.</summary>
    public IReadOnlyDictionary<string, Tensor> State { get; }

    /// <summary>What Darts gave the network when the model was exported.</summary>
    public Inputs Inputs { get; }

    /// <summary>What the network answered in Darts, (batch, T, targets, parameters).</summary>
    public Tensor Output { get; }

    /// <summary>Reads both files.</summary>
    /// <param name="path">NAME.json, NAME.dat, or without an ending.</param>
    public static Checkpoint Read(string path)
    {
        var stem = Path.GetExtension(path) is ".json" or ".dat" ? Path.ChangeExtension(path, null) : path;
        using var scope = NewDisposeScope();
        try
        {
            var info = JsonSerializer.Deserialize<Info>(File.ReadAllText(stem + ".json"), Info.Options)!;
            var tensors = StateFile.Read(stem + ".dat");
            var checkpoint = new Checkpoint(
                Path.GetFileName(stem), info.Model, info.Repr, new(info.HyperParameters), info.Targets ?? [], info.Parameters ?? [], tensors);
            foreach (var tensor in tensors.Values)
                tensor.DetachFromDisposeScope();
            return checkpoint;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or ArgumentException or InvalidDataException)
        {
            throw new InputException($"{stem}.json and {stem}.dat cannot be read: {e.Message} Give the name of two files that export.py wrote.");
        }
    }

    /// <summary>The network, with the weights of the checkpoint, in evaluation mode.</summary>
    public DartsNetwork Network()
    {
        var network = DartsNetwork.New(Model, Sizes, HyperParameters, NewRINorm());
        try
        {
            if (State.Values.FirstOrDefault(value => is_floating_point(value.dtype)) is { } first)
                network.to(first.dtype);
            network.pytorch().load_state_dict(State); // every key, every size, or an error that lists what does not fit
        }
        catch (InvalidOperationException e)
        {
            network.Dispose();
            throw new InputException($"The weights of {Name} do not fit the network of {Model}. {e.Message}");
        }
        network.eval();
        return network;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _tensors.Values)
            tensor.Dispose();
    }

    /// <summary>A tensor by its key in NAME.dat, <c>rin.mean</c> say, which Darts' RINorm held after the forecast; null where there is none.</summary>
    public Tensor? Find(string key) => _tensors.GetValueOrDefault(key);

    // use_reversible_instance_norm is true, false, or a dictionary of RINorm's arguments.
    private RINorm? NewRINorm()
    {
        var wanted = HyperParameters.Find("use_reversible_instance_norm");
        var given = wanted is { ValueKind: JsonValueKind.Object } options ? options.EnumerateObject().Select(option => option.Name) : [];
        var unknown = given.Except(["eps", "affine"]).Concat(_tensors.Keys.Where(key => key.StartsWith("rin.", StringComparison.Ordinal)).Except(["rin.mean", "rin.stdev"])).ToList();
        if (unknown.Count > 0)
            throw new InputException(
                $"{Name} must have the RINorm of Darts 0.48: eps and affine in use_reversible_instance_norm, the tensors rin.mean and rin.stdev. But it has {string.Join(", ", unknown)} as well, "
                + "which would not count. Export a model without, or teach Checkpoint.NewRINorm what it means.");
        if (wanted is null ? Find("rin.mean") is null : wanted is not { ValueKind: JsonValueKind.True or JsonValueKind.Object })
            return null;
        var eps = wanted is { ValueKind: JsonValueKind.Object } arguments && arguments.TryGetProperty("eps", out var value) ? value.GetDouble() : 1e-5;
        return new(Sizes.Targets, eps, affine: State.ContainsKey("rin.affine_weight"));
    }

    private Tensor Required(string key) => Find(key)
        ?? throw new InvalidDataException($"There is no {key} among {string.Join(", ", _tensors.Keys.Where(key => !key.StartsWith("state/", StringComparison.Ordinal)))}.");

    private sealed record Info(string Model, string Repr, Dictionary<string, JsonElement> HyperParameters, string[]? Targets, string[]? Parameters)
    {
        public static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = false };
    }
}
