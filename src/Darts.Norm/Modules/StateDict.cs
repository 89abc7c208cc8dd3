using System.Diagnostics.CodeAnalysis;

namespace Darts.Norm;

/// <summary>Tensors by key, in order, with the metadata that PyTorch keeps beside them: what <c>pytorch().state_dict()</c> answers.</summary>
/// <remarks>
/// <para>
/// In PyTorch an OrderedDict with <c>_metadata</c>. Here a <see cref="Dictionary{TKey, TValue}"/>, so that it can be handed to TorchSharp's <c>load_state_dict</c> and
/// <c>nn.Module.save_state_dict</c>, which keeps its order when entries are removed and added.
/// </para>
/// <example>
/// <code>
/// var state = net.pytorch().state_dict();
/// state["head.scale"] = state.pop("head.g");
/// other.pytorch().load_state_dict(state, strict: false);
/// </code>
/// </example>
/// </remarks>
public sealed class StateDict : Dictionary<string, Tensor>, IDictionary<string, Tensor>
{
    /// <summary>Makes an empty one.</summary>
    public StateDict()
    {
    }

    /// <summary>Makes one with these entries, and the metadata if they have some.</summary>
    /// <param name="entries">Tensors by key, in order.</param>
    public StateDict(IEnumerable<KeyValuePair<string, Tensor>> entries)
        : base(Require.NotNull(entries, "entries of another dictionary", "For an empty one leave them out.", nameof(StateDict)))
    {
        if (entries is StateDict { metadata: var metadata })
            this.metadata = metadata;
    }

    /// <summary>The metadata of each module by its path: <c>version</c>, as hooks are given it.</summary>
    public IDictionary<string, IDictionary<string, object>> metadata { get; private init; } = new Dictionary<string, IDictionary<string, object>>();

    /// <summary>Removes an entry; what is added later comes last, as in Python.</summary>
    /// <param name="key">The entry's key.</param>
    /// <returns>Whether there was one.</returns>
    public new bool Remove(string key) => Remove(key, out _);

    /// <summary>Removes an entry; what is added later comes last, as in Python.</summary>
    /// <param name="key">The entry's key.</param>
    /// <param name="value">Its tensor.</param>
    /// <returns>Whether there was one.</returns>
    public new bool Remove(string key, [MaybeNullWhen(false)] out Tensor value)
    {
        if (!base.Remove(Require.NotNull(key, "a key", caller: nameof(StateDict)), out value))
            return false;
        var rest = this.ToList(); // the base would put the next entry where the removed one was
        Clear();
        foreach (var (other, tensor) in rest)
            Add(other, tensor);
        return true;
    }

    /// <summary>Removes an entry and answers its tensor.</summary>
    /// <param name="key">The entry's key.</param>
    /// <returns>Its tensor.</returns>
    /// <exception cref="KeyNotFoundException">There is no such entry.</exception>
    public Tensor pop(string key) => Remove(key, out var value) ? value : throw new KeyNotFoundException($"'{key}'");

    bool IDictionary<string, Tensor>.Remove(string key) => Remove(key);

    bool ICollection<KeyValuePair<string, Tensor>>.Remove(KeyValuePair<string, Tensor> item) =>
        TryGetValue(item.Key, out var value) && ReferenceEquals(value, item.Value) && Remove(item.Key);
}
