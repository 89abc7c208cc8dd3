using System.Text.Json;

namespace Darts.Norm.Tests.Reference;

/// <summary>One recorded case: the layer, its input, and every tensor that PyTorch answered with.</summary>
public sealed class ReferenceCase
{
    private static readonly Dictionary<string, Tensor> Tensors = ReadTensors();
    private readonly JsonElement _json;

    private ReferenceCase(JsonElement json) => _json = json;

    public static IReadOnlyDictionary<string, ReferenceCase> All { get; } = ReadCases();

    public string Name => _json.GetProperty("case").GetString()!;

    public string Text => _json.GetProperty("repr").GetString()!;

    public bool IsRINorm => Layer == nameof(RINorm);

    public bool HasSecondOrder => _json.GetProperty("second_order").GetBoolean();

    public bool HasNonFiniteInput => _json.GetProperty("input").GetString() is "nan" or "inf";

    public string Layer => _json.GetProperty("layer").GetString()!;

    public double Eps => Argument("eps", e => e.GetDouble(), Layer == nameof(RMSNorm) ? 1e-8 : 1e-5);

    public long[] Size => _json.GetProperty("args")[0] is { ValueKind: JsonValueKind.Array } sizes
        ? [.. sizes.EnumerateArray().Select(size => size.GetInt64())]
        : [_json.GetProperty("args")[0].GetInt64()];

    public ScalarType Dtype => Enum.Parse<ScalarType>(_json.GetProperty("dtype").GetString()!, ignoreCase: true);

    public IEnumerable<(string key, long[] shape)> State => _json.GetProperty("state_dict").EnumerateObject()
        .Select(entry => (entry.Name, entry.Value.EnumerateArray().Select(size => size.GetInt64()).ToArray()));

    public IEnumerable<string> Keys => State.Select(entry => entry.key);

    /// <summary>The recorded tensor of this role (record.py lists them); null where the case has none.</summary>
    public Tensor? this[string role] => Tensors.GetValueOrDefault($"{Name}/{role}");

    /// <summary>The layer as the recorder made it, in the case's dtype.</summary>
    public NormModule NewLayer() => Layer switch
    {
        nameof(RMSNorm) => new RMSNorm(Size[0], Eps, dtype: Dtype),
        nameof(LayerNorm) => new LayerNorm(
            Size, Eps, Argument("elementwise_affine", e => e.GetBoolean(), true), Argument("bias", e => e.GetBoolean(), true), dtype: Dtype),
        nameof(LayerNormNoBias) => new LayerNormNoBias(Size, Eps, dtype: Dtype),
        nameof(RINorm) => new RINorm(Size[0], Eps, Argument("affine", e => e.GetBoolean(), true), dtype: Dtype),
        _ => throw new InvalidDataException($"{Name}: a layer that is not known, {Layer}."),
    };

    /// <summary>The layer with the recorded parameters.</summary>
    public NormModule NewLayerWithParameters()
    {
        var layer = NewLayer();
        layer.load_state_dict(Keys.ToDictionary(key => key, key => this[$"param.{key}"]!));
        return layer;
    }

    public override string ToString() => Name;

    private T Argument<T>(string name, Func<JsonElement, T> read, T otherwise) =>
        _json.GetProperty("kwargs").TryGetProperty(name, out var value) ? read(value) : otherwise;

    private static Dictionary<string, ReferenceCase> ReadCases()
    {
        using var stream = Resource("cases.json");
        return JsonDocument.Parse(stream).RootElement.GetProperty("cases").EnumerateArray()
            .Select(json => new ReferenceCase(json)).ToDictionary(c => c.Name);
    }

    private static Dictionary<string, Tensor> ReadTensors()
    {
        using var reader = new BinaryReader(Resource("tensors.dat"));
        var tensors = new Dictionary<string, Tensor>();
        for (var left = reader.Read7BitEncodedInt64(); left > 0; left--)
        {
            var name = reader.ReadString();
            Tensor? tensor = null;
            TensorExtensionMethods.Load(ref tensor, reader);
            tensors.Add(name, tensor!.DetachFromDisposeScope());
        }
        return tensors;
    }

    private static Stream Resource(string name) => typeof(ReferenceCase).Assembly.GetManifestResourceStream(name)!;
}
