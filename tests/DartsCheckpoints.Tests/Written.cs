using System.Text.Json;

namespace DartsCheckpoints.Tests;

/// <summary>Checkpoints in the form of export.py, written to a directory that ends with the test.</summary>
internal sealed class Written : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory().FullName;

    private static readonly Dictionary<string, string> Defaults = new()
    {
        ["TiDEModel"] = "num_encoder_layers=2 num_decoder_layers=2 decoder_output_dim=3 hidden_size=5 temporal_decoder_hidden=4 temporal_width_past=2 temporal_width_future=3 "
            + "temporal_hidden_size_past=6 temporal_hidden_size_future=null use_layer_norm=true dropout=0.3 use_reversible_instance_norm=true",
        ["TSMixerModel"] = "hidden_size=5 ff_size=7 num_blocks=2 activation=ReLU dropout=0.3 norm_type=LayerNorm normalize_before=false use_reversible_instance_norm=true",
        ["NLinearModel"] = "shared_weights=false const_init=false normalize=true use_reversible_instance_norm=true",
    };

    /// <summary>A model's hyper-parameters.</summary>
    /// <param name="model">The class in Darts.</param>
    /// <param name="changes">Those that are not as usual: name=value, separated by spaces.</param>
    public static Dictionary<string, object?> Parameters(string model, string changes = "")
    {
        var parameters = new Dictionary<string, object?>();
        foreach (var pair in $"{Defaults[model]} {changes}".Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')))
        {
            parameters[pair[0]] = pair[1] switch
            {
                "true" => true,
                "false" => false,
                "null" => null,
                "affineless" => new Dictionary<string, object> { ["affine"] = false, ["eps"] = 1e-5 },
                var value => long.TryParse(value, out var whole) ? whole : double.TryParse(value, out var number) ? number : value,
            };
        }
        return parameters;
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>Writes weights from the network's own beginnings, changed so that none is 0 or 1, and inputs of level 100.</summary>
    /// <returns>The path without an ending.</returns>
    public string Write(string model, Dictionary<string, object?> parameters, Sizes sizes, Action<Dictionary<string, Tensor>>? change = null)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        var hyper = new HyperParameters(parameters.ToDictionary(pair => pair.Key, pair => JsonSerializer.SerializeToElement(pair.Value)));
        var rin = parameters["use_reversible_instance_norm"] is false ? null : new RINorm(sizes.Targets, affine: parameters["use_reversible_instance_norm"] is true);
        using var network = DartsNetwork.New(model, sizes, hyper, rin);
        using var noGrad = no_grad();
        var tensors = new Dictionary<string, Tensor>();
        foreach (var (key, value) in network.state_dict())
            tensors[$"state/{key}"] = is_floating_point(value.dtype) ? value.abs() + (rand_like(value) / 4) + 0.01 : value + 3;
        foreach (var key in tensors.Keys.Where(key => key.EndsWith("weight", StringComparison.Ordinal) && tensors[key].dim() > 1))
            tensors[key] *= randn_like(tensors[key]).sign(); // so that an activation has both sides
        void Input(string name, long components, params long[] steps)
        {
            if (components > 0)
                tensors[$"in/{name}"] = randn([3, .. steps, components]) * 7 + (name == "past_target" ? 100 : 0);
        }

        Input("past_target", sizes.Targets, sizes.PastSteps);
        Input("past_covariates", sizes.PastCovariates, sizes.PastSteps);
        Input("historic_future_covariates", sizes.FutureCovariates, sizes.PastSteps);
        Input("future_covariates", sizes.FutureCovariates, sizes.FutureSteps);
        Input("static_covariates", sizes.StaticCovariates / sizes.Targets, sizes.Targets);
        tensors["out/prediction"] = zeros(3, sizes.FutureSteps, sizes.Targets, sizes.Parameters);
        change?.Invoke(tensors);
        return Save(model, parameters, tensors);
    }

    private string Save(string model, Dictionary<string, object?> parameters, Dictionary<string, Tensor> tensors)
    {
        var stem = Path.Combine(_directory, model);
        using (var writer = new BinaryWriter(File.Create(stem + ".dat")))
        {
            writer.Write7BitEncodedInt64(tensors.Count);
            foreach (var (key, tensor) in tensors)
            {
                writer.Write(key);
                tensor.Save(writer);
            }
        }
        File.WriteAllText(stem + ".json", JsonSerializer.Serialize(new { model, torch = "2.13.0", darts = "0.48.1", hyper_parameters = parameters, n_parameters = 0, repr = "" }));
        return stem;
    }
}
