using System.Text.Json;

namespace DartsCheckpoints;

/// <summary>What a Darts model was made with, by the names of its constructor's arguments.</summary>
public sealed class HyperParameters
{
    private readonly IReadOnlyDictionary<string, JsonElement> _values;

    /// <param name="values">Numbers, texts, true, false and null.</param>
    public HyperParameters(IReadOnlyDictionary<string, JsonElement> values) => _values = values;

    /// <summary>A whole number.</summary>
    public long Whole(string name) => Of<long>(name, "a whole number", value => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null);

    /// <summary>A whole number, or the alternative where Darts had None or 0, which mean the same to it.</summary>
    public long Whole(string name, long otherwise) => Of<long>(name, "a whole number or null", value =>
        value.ValueKind == JsonValueKind.Null ? otherwise : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? (number == 0 ? otherwise : number) : null);

    /// <summary>A number.</summary>
    public double Number(string name) => Of<double>(name, "a number", value => value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null);

    /// <summary>True or false.</summary>
    public bool Flag(string name) => Of<bool>(name, "true or false", value => value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null);

    /// <summary>A text.</summary>
    public string Text(string name) =>
        Required(name) is { ValueKind: JsonValueKind.String } value ? value.GetString()! : throw Wrong(name, "a text");

    /// <summary>The value, if there is one.</summary>
    public JsonElement? Find(string name) => _values.TryGetValue(name, out var value) ? value : null;

    private T Of<T>(string name, string what, Func<JsonElement, T?> read)
        where T : struct => read(Required(name)) ?? throw Wrong(name, what);

    private JsonElement Required(string name) => Find(name)
        ?? throw new InputException($"The checkpoint's hyper_parameters lack {name}. They have {string.Join(", ", _values.Keys)}. Export the model again with export.py.");

    private InputException Wrong(string name, string what) =>
        new($"The checkpoint's {name} must be {what}, but is {InputException.Quote(_values[name].GetRawText())}. This sample knows what Darts itself offers: for anything else change the architecture's file.");
}
