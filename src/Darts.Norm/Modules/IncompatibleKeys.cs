namespace Darts.Norm;

/// <summary>The keys that did not fit, as <c>load_state_dict</c> answers and its hooks get them. A hook may change the lists.</summary>
public sealed class IncompatibleKeys
{
    internal IncompatibleKeys(List<string> missing_keys, List<string> unexpected_keys) =>
        (this.missing_keys, this.unexpected_keys) = (missing_keys, unexpected_keys);

    /// <summary>What the module has and the dictionary lacks.</summary>
    public IList<string> missing_keys { get; }

    /// <summary>What the dictionary has and the module lacks.</summary>
    public IList<string> unexpected_keys { get; }

    /// <summary>Takes it apart, as Python does with its tuple.</summary>
    /// <param name="missing_keys">What the module has and the dictionary lacks.</param>
    /// <param name="unexpected_keys">What the dictionary has and the module lacks.</param>
    public void Deconstruct(out IList<string> missing_keys, out IList<string> unexpected_keys) =>
        (missing_keys, unexpected_keys) = (this.missing_keys, this.unexpected_keys);

    /// <summary>PyTorch's text.</summary>
    /// <returns><c>&lt;All keys matched successfully&gt;</c>, or both lists.</returns>
    public override string ToString() =>
        missing_keys.Count == 0 && unexpected_keys.Count == 0
            ? "<All keys matched successfully>"
            : $"_IncompatibleKeys(missing_keys={PythonText.List(missing_keys)}, unexpected_keys={PythonText.List(unexpected_keys)})";
}
