using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Darts.Norm;

/// <summary>What the wrappers of networks with different inputs share.</summary>
internal sealed class Reversal<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult>
{
    private readonly RINorm _rin;
    private readonly long[] _columns;
    private readonly bool _areFirst;
    private readonly LikelihoodParameter[] _likelihood;
    private readonly int? _decoderInput;

    public Reversal(object network, RINorm rin, long[]? columns, LikelihoodParameter[]? likelihood, int? decoderInput, params Type[] others)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(rin);
        _rin = rin;
        _columns = columns is null ? [.. Enumerable.Range(0, (int)rin.input_dim)] : [.. columns];
        _areFirst = _columns.SequenceEqual(Enumerable.Range(0, _columns.Length).Select(column => (long)column));
        if (_columns.Length != rin.input_dim || _columns.Any(column => column < 0) || _columns.Distinct().Count() != _columns.Length)
            throw new ArgumentException(
                $"columns names each target once, as many as the RINorm has components ({rin.input_dim}), counted from 0, but is {Require.Size(_columns)}.", nameof(columns));
        _likelihood = [.. likelihood ?? []];
        _decoderInput = decoderInput;
        if (decoderInput is { } index && (index < 1 || index > others.Length || others[index - 1] != typeof(Tensor)))
            throw new ArgumentException(
                $"decoder_input is the index of a tensor among the network's inputs, from 1 (the past is 0) to {others.Length}, but is {index}.", nameof(decoderInput));
        if (typeof(TResult) != typeof(Tensor) && !(typeof(ITuple).IsAssignableFrom(typeof(TResult)) && typeof(TResult).GetField("Item1")?.FieldType == typeof(Tensor)))
            throw new NotSupportedException(
                $"Reversible.wrap takes a network that answers a Tensor or a value tuple that starts with one, (Tensor, ...), but this one answers {typeof(TResult).Name}. Put a module around it that does.");
    }

    /// <summary>The network's result in the units of the past.</summary>
    public TResult Around(Tensor past, Func<Tensor, Func<object?, int, object?>, TResult> network)
    {
        RequireColumns(past, nameof(past));
        using var targets = Targets(past);
        var (normalized, statistics) = _rin.normalize(targets);
        using (statistics)
        {
            List<Tensor> own = [];
            try
            {
                own.Add(Replaced(past, normalized));
                var result = network(own[0], (input, index) => index == _decoderInput && input is Tensor decoder ? Transformed(decoder, statistics, own) : input);
                return Inverted(result, statistics, own, past.dim());
            }
            finally
            {
                foreach (var tensor in own)
                    tensor.Dispose();
            }
        }
    }

    private Tensor Transformed(Tensor decoder, RINormStatistics statistics, List<Tensor> own)
    {
        RequireColumns(decoder, "decoder_input");
        using var targets = Targets(decoder);
        own.Add(Replaced(decoder, _rin.transform(targets, statistics)));
        return own[^1];
    }

    private TResult Inverted(TResult result, RINormStatistics statistics, List<Tensor> own, long dimensions)
    {
        if (result is Tensor output)
        {
            own.Add(output);
            return (TResult)(object)Inverse(output, statistics, dimensions);
        }
        var tuple = (ITuple)result!;
        if (tuple[0] is not Tensor first)
            return result;
        for (var i = 1; i < tuple.Length; i++)
            own.RemoveAll(tensor => ReferenceEquals(tensor, tuple[i])); // handed through: the caller's now
        var inverted = Inverse(first, statistics, dimensions);
        if (!Enumerable.Range(1, tuple.Length - 1).Any(i => ReferenceEquals(first, tuple[i])))
            own.Add(first);
        object boxed = result!;
        typeof(TResult).GetField("Item1")!.SetValue(boxed, inverted);
        return (TResult)boxed;
    }

    private Tensor Inverse(Tensor output, RINormStatistics statistics, long dimensions)
    {
        if (output.dim() != dimensions)
            return _rin.inverse(output, statistics, _likelihood);
        using var scope = NewDisposeScope();
        return _rin.inverse(output.unsqueeze(-1), statistics, _likelihood).squeeze(-1).MoveToOuterDisposeScope();
    }

    private Tensor Targets(Tensor input)
    {
        if (_areFirst)
            return input.narrow(-1, 0, _columns.Length);
        using var columns = tensor(_columns, device: input.device);
        return input.index_select(-1, columns);
    }

    /// <summary>The input with other targets; these are disposed if they are not the answer themselves.</summary>
    private Tensor Replaced(Tensor input, Tensor targets)
    {
        if (_areFirst && input.size(-1) == _columns.Length)
            return targets;
        using var scope = NewDisposeScope();
        var replaced = _areFirst
            ? cat([targets, input.narrow(-1, _columns.Length, input.size(-1) - _columns.Length).to(targets.dtype)], -1)
            : input.to(targets.dtype).index_copy(-1, tensor(_columns, device: input.device), targets);
        targets.Dispose();
        return replaced.MoveToOuterDisposeScope();
    }

    private void RequireColumns(Tensor input, string argument)
    {
        ArgumentNullException.ThrowIfNull(input, argument);
        if (input.IsInvalid)
            throw new ObjectDisposedException(argument, $"The wrapped network received a disposed {argument}.");
        if (input.dim() < 3 || input.size(-1) <= _columns.Max())
            throw new ArgumentException(
                $"The wrapped network takes {argument} as (batch, time, ..., columns) with column {_columns.Max()} among them, the last target, but received {Require.Describe(input)}.", argument);
    }
}
