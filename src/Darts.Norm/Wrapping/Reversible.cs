using System.Diagnostics.CodeAnalysis;

namespace Darts.Norm;

/// <summary>Puts reversible instance normalisation around a network.</summary>
/// <remarks>
/// <para>
/// The target columns of the past lose their level and scale, the network is called, and its output gets them back: what Darts does around its own networks under
/// <c>use_reversible_instance_norm</c>. Other columns (covariates) and the caller's tensors are left as they are. The network's output is freed when it has been put back,
/// if the network made it in this call: who keeps it, a forward hook say, takes it with <c>DetachFromDisposeScope()</c>. No state is kept: threads may share the wrapped network if they may share the network.
/// </para>
/// <para>
/// Shape: past (batch, time, ..., columns); output (batch, time', ..., targets, nr_params), as Darts' networks end, or without the last axis. A network that answers a tuple has its first element inverted.
/// State: <c>rin.*</c>, as in a Darts checkpoint, and <c>network.*</c>.
/// </para>
/// <example>
/// <code>
/// var forecaster = Reversible.wrap(network, new RINorm(input_dim: 7));
/// using var forecast = forecaster.call(past);                        // in the units of past
/// </code>
/// </example>
/// </remarks>
public static class Reversible
{
    /// <summary>Wraps a network of one input.</summary>
    /// <typeparam name="TResult">A tensor, or a value tuple that starts with one.</typeparam>
    /// <param name="network">Takes the past.</param>
    /// <param name="rin">For as many components as there are targets; its options hold.</param>
    /// <param name="columns">The targets among the past's columns; the first ones by default.</param>
    /// <param name="likelihood">What each of the output's nr_params is; null for locations all of them, as in Darts.</param>
    /// <returns>A module that takes the past and answers in its units.</returns>
    /// <exception cref="ArgumentException">The columns are not as many as rin's components, negative or repeated.</exception>
    /// <exception cref="NotSupportedException">The network's result is neither a tensor nor a value tuple that starts with one.</exception>
    public static ReversibleNetwork<TResult> wrap<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult>(
        nn.Module<Tensor, TResult> network, RINorm rin, long[]? columns = null, LikelihoodParameter[]? likelihood = null) =>
        new(network, rin, columns, likelihood);

    /// <summary>Wraps a network of two inputs.</summary>
    /// <typeparam name="T2">The second input: a tensor, which may be null, or anything else.</typeparam>
    /// <typeparam name="TResult">A tensor, or a value tuple that starts with one.</typeparam>
    /// <param name="network">Takes the past and another input: covariates, a decoder's input.</param>
    /// <param name="rin">For as many components as there are targets; its options hold.</param>
    /// <param name="columns">The targets among the past's columns; the first ones by default.</param>
    /// <param name="likelihood">What each of the output's nr_params is; null for locations all of them, as in Darts.</param>
    /// <param name="decoder_input">The input (1: the second) whose targets, in the same columns, go through <c>transform</c>; null for none.</param>
    /// <returns>A module that takes the same inputs and answers in the past's units.</returns>
    /// <exception cref="ArgumentException">As for one input; or <paramref name="decoder_input"/> is no input of tensors beside the past.</exception>
    /// <exception cref="NotSupportedException">The network's result is neither a tensor nor a value tuple that starts with one.</exception>
    public static ReversibleNetwork<T2, TResult> wrap<T2, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult>(
        nn.Module<Tensor, T2, TResult> network, RINorm rin, long[]? columns = null, LikelihoodParameter[]? likelihood = null, int? decoder_input = null) =>
        new(network, rin, columns, likelihood, decoder_input);

    /// <summary>Wraps a network of three inputs.</summary>
    /// <typeparam name="T2">The second input: a tensor, which may be null, or anything else.</typeparam>
    /// <typeparam name="T3">The third input.</typeparam>
    /// <typeparam name="TResult">A tensor, or a value tuple that starts with one.</typeparam>
    /// <param name="network">Takes the past and two other inputs: future and static covariates, say.</param>
    /// <param name="rin">For as many components as there are targets; its options hold.</param>
    /// <param name="columns">The targets among the past's columns; the first ones by default.</param>
    /// <param name="likelihood">What each of the output's nr_params is; null for locations all of them, as in Darts.</param>
    /// <param name="decoder_input">The input (1: the second) whose targets, in the same columns, go through <c>transform</c>; null for none.</param>
    /// <returns>A module that takes the same inputs and answers in the past's units.</returns>
    /// <exception cref="ArgumentException">As for one input; or <paramref name="decoder_input"/> is no input of tensors beside the past.</exception>
    /// <exception cref="NotSupportedException">The network's result is neither a tensor nor a value tuple that starts with one.</exception>
    public static ReversibleNetwork<T2, T3, TResult> wrap<T2, T3, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult>(
        nn.Module<Tensor, T2, T3, TResult> network, RINorm rin, long[]? columns = null, LikelihoodParameter[]? likelihood = null, int? decoder_input = null) =>
        new(network, rin, columns, likelihood, decoder_input);
}
