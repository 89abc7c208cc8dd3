using System.Diagnostics.CodeAnalysis;

namespace Darts.Norm;

/// <summary>A network of one input with reversible instance normalisation around it: see <see cref="Reversible"/>.</summary>
/// <typeparam name="TResult">The network's result.</typeparam>
public sealed class ReversibleNetwork<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult> : nn.Module<Tensor, TResult>
{
    private readonly Reversal<TResult> _reversal;

    internal ReversibleNetwork(nn.Module<Tensor, TResult> network, RINorm rin, long[]? columns, LikelihoodParameter[]? likelihood)
        : base("ReversibleNetwork")
    {
        RegisterComponents(); // of no fields yet: a module that takes this one in would register them under the compiler's names
        _reversal = new(network, rin, columns, likelihood, null);
        this.network = network;
        this.rin = rin;
        register_module(nameof(rin), rin);
        register_module(nameof(network), network);
    }

    /// <summary>The normalisation.</summary>
    public RINorm rin { get; }

    /// <summary>What is wrapped.</summary>
    public nn.Module<Tensor, TResult> network { get; }

    /// <summary>Calls the network on the normalised past, and puts level and scale back on what it answers.</summary>
    /// <param name="past">(batch, time, ..., columns).</param>
    /// <returns>The network's result, in the units of the past.</returns>
    /// <exception cref="ArgumentException">The past lacks a target, or the output's sizes are not those of a forecast of the targets.</exception>
    public override TResult forward(Tensor past) => _reversal.Around(rin, network, past, [], static (network, x, _) => network.call(x));
}

/// <summary>A network of two inputs with reversible instance normalisation around it: see <see cref="Reversible"/>.</summary>
/// <typeparam name="T2">The network's second input.</typeparam>
/// <typeparam name="TResult">The network's result.</typeparam>
public sealed class ReversibleNetwork<T2, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult> : nn.Module<Tensor, T2, TResult>
{
    private readonly Reversal<TResult> _reversal;

    internal ReversibleNetwork(nn.Module<Tensor, T2, TResult> network, RINorm rin, long[]? columns, LikelihoodParameter[]? likelihood, int? decoder_input)
        : base("ReversibleNetwork")
    {
        RegisterComponents(); // of no fields yet: a module that takes this one in would register them under the compiler's names
        _reversal = new(network, rin, columns, likelihood, decoder_input, typeof(T2));
        this.network = network;
        this.rin = rin;
        register_module(nameof(rin), rin);
        register_module(nameof(network), network);
    }

    /// <summary>The normalisation.</summary>
    public RINorm rin { get; }

    /// <summary>What is wrapped.</summary>
    public nn.Module<Tensor, T2, TResult> network { get; }

    /// <summary>Calls the network on the normalised past, and puts level and scale back on what it answers.</summary>
    /// <param name="past">(batch, time, ..., columns).</param>
    /// <param name="input2">The network's second input.</param>
    /// <returns>The network's result, in the units of the past.</returns>
    /// <exception cref="ArgumentException">The past lacks a target, or the output's sizes are not those of a forecast of the targets.</exception>
    public override TResult forward(Tensor past, T2 input2) =>
        _reversal.Around(rin, network, past, [input2], static (network, x, others) => network.call(x, (T2)others[0]!));
}

/// <summary>A network of three inputs with reversible instance normalisation around it: see <see cref="Reversible"/>.</summary>
/// <typeparam name="T2">The network's second input.</typeparam>
/// <typeparam name="T3">The network's third input.</typeparam>
/// <typeparam name="TResult">The network's result.</typeparam>
public sealed class ReversibleNetwork<T2, T3, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult> : nn.Module<Tensor, T2, T3, TResult>
{
    private readonly Reversal<TResult> _reversal;

    internal ReversibleNetwork(nn.Module<Tensor, T2, T3, TResult> network, RINorm rin, long[]? columns, LikelihoodParameter[]? likelihood, int? decoder_input)
        : base("ReversibleNetwork")
    {
        RegisterComponents(); // of no fields yet: a module that takes this one in would register them under the compiler's names
        _reversal = new(network, rin, columns, likelihood, decoder_input, typeof(T2), typeof(T3));
        this.network = network;
        this.rin = rin;
        register_module(nameof(rin), rin);
        register_module(nameof(network), network);
    }

    /// <summary>The normalisation.</summary>
    public RINorm rin { get; }

    /// <summary>What is wrapped.</summary>
    public nn.Module<Tensor, T2, T3, TResult> network { get; }

    /// <summary>Calls the network on the normalised past, and puts level and scale back on what it answers.</summary>
    /// <param name="past">(batch, time, ..., columns).</param>
    /// <param name="input2">The network's second input.</param>
    /// <param name="input3">The network's third input.</param>
    /// <returns>The network's result, in the units of the past.</returns>
    /// <exception cref="ArgumentException">The past lacks a target, or the output's sizes are not those of a forecast of the targets.</exception>
    public override TResult forward(Tensor past, T2 input2, T3 input3) =>
        _reversal.Around(rin, network, past, [input2, input3], static (network, x, others) => network.call(x, (T2)others[0]!, (T3)others[1]!));
}
