namespace Darts.Norm;

/// <summary>What a module of one's own overrides in Python to save more than parameters and buffers.</summary>
/// <remarks>
/// <para>
/// State: a tensor under <c>_extra_state</c>, written by <c>pytorch().state_dict()</c> and read by <c>pytorch().load_state_dict</c>.
/// TorchSharp's own <c>state_dict</c>, <c>save</c> and <c>load</c> don't see it.
/// </para>
/// <example>
/// <code>
/// public Tensor get_extra_state() => tensor(steps);
/// public void set_extra_state(Tensor state) => steps = state.item&lt;long&gt;();
/// </code>
/// </example>
/// </remarks>
public interface IExtraState
{
    /// <summary>The state to save.</summary>
    /// <returns>A new tensor, which goes into the dictionary.</returns>
    public Tensor get_extra_state();

    /// <summary>Takes a saved state. Called again with what <see cref="get_extra_state"/> gave before where the loading fails later.</summary>
    /// <param name="state">The dictionary's tensor, not to be kept.</param>
    public void set_extra_state(Tensor state);
}
