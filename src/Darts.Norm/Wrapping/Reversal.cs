using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Darts.Norm.Kernels;

namespace Darts.Norm;

/// <summary>What the wrappers of networks with different inputs share.</summary>
internal sealed class Reversal<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TResult>
{
    private readonly string _taker;
    private readonly long[] _columns;
    private readonly bool _areFirst;
    private readonly LikelihoodParameter[] _likelihood;
    private readonly int? _decoderInput;

    public Reversal(object network, RINorm rin, long[]? columns, LikelihoodParameter[]? likelihood, int? decoder_input, params Type[] others)
    {
        Require.NotNull(network, "a network to put the RINorm around", caller: "Reversible.wrap");
        Require.NotNull(rin, "a RINorm to put around the network", "Make one: new RINorm(input_dim: ...), for the number of targets.", "Reversible.wrap");
        _columns = columns is null ? [.. Enumerable.Range(0, (int)rin.input_dim)] : [.. columns];
        _areFirst = _columns.SequenceEqual(Enumerable.Range(0, _columns.Length).Select(column => (long)column));
        if (_columns.Length != rin.input_dim || _columns.Any(column => column < 0) || _columns.Distinct().Count() != _columns.Length)
            throw new ArgumentException(
                $"columns names each target once, as many as the RINorm has components ({rin.input_dim}), counted from 0, but is {Require.Size(_columns)}. Name {rin.input_dim}, or make a RINorm for as many as there are targets.", nameof(columns));
        _taker = $"The RINorm({rin.input_dim}) of a wrapped network";
        _likelihood = [.. likelihood ?? []];
        Likelihood.RequireDefined(_likelihood, "Reversible.wrap", nameof(likelihood));
        _decoderInput = decoder_input;
        if (decoder_input is { } index && (index < 1 || index > others.Length || others[index - 1] != typeof(Tensor)))
            throw new ArgumentException(
                $"decoder_input is the index of a tensor among the network's inputs, from 1 (the past is 0) to {others.Length}, but is {index}. Name the input whose columns are the targets, or leave it out for none.", nameof(decoder_input));
        if (typeof(TResult) != typeof(Tensor) && !(typeof(ITuple).IsAssignableFrom(typeof(TResult)) && typeof(TResult).GetField("Item1")?.FieldType == typeof(Tensor)))
            throw new NotSupportedException(
                $"Reversible.wrap takes a network that answers a Tensor or a value tuple that starts with one, (Tensor, ...), but this one answers {typeof(TResult).Name}. Put a module around it that does.");
    }

    /// <summary>The network's result in the units of the past.</summary>
    /// <param name="rin">The wrapper's, which <c>set_submodule</c> may have replaced.</param>
    /// <param name="network">Likewise.</param>
    /// <param name="past">The network's first input.</param>
    /// <param name="others">Its other inputs.</param>
    /// <param name="call">Calls the network with what takes the place of its inputs.</param>
    public TResult Around<TNetwork>(RINorm? rin, TNetwork? network, Tensor past, object?[] others, Func<TNetwork, Tensor, object?[], TResult> call)
        where TNetwork : nn.Module
    {
        RequireParts(rin, network);
        RequireColumns(past, rin, nameof(past));
        using var scope = NewDisposeScope(); // what is made here goes with it, whatever throws
        var (normalized, statistics) = rin.normalize(Targets(past));
        using (statistics)
        {
            var input = Replaced(past, normalized);
            if (_decoderInput is { } index && others[index - 1] is Tensor decoder)
            {
                RequireColumns(decoder, rin, "decoder_input");
                others[index - 1] = Replaced(decoder, rin.transform(Targets(decoder), statistics));
            }
            var own = new HashSet<object>(scope.DisposablesView, ReferenceEqualityComparer.Instance);
            TResult result;
            try
            {
                result = call(network, input, others);
            }
            catch
            {
                scope.MoveToOuter(scope.DisposablesView.Where(made => !own.Contains(made))); // a state that the network keeps, say: as without the wrapper
                throw;
            }
            object?[] answers = result is ITuple tuple ? [.. Enumerable.Range(0, tuple.Length).Select(i => tuple[i])] : [result ?? throw Answered(network, "null")];
            if (answers[0] is Tensor output)
            {
                if (output.IsInvalid)
                    throw Answered(network, "a disposed one");
                RequireForecast(output, network, past);
                result = With(result, Inverse(rin, output, statistics, past.dim()));
            }
            // What else the network made, and what it hands through, is the caller's, as without the wrapper. So is an output that it did not make now, or detached to keep it.
            var left = scope.DisposablesView.Where(made => !own.Contains(made) && !ReferenceEquals(made, answers[0]));
            scope.MoveToOuter(left.Concat(answers.Skip(1).SelectMany(Tensors)));
            return result;
        }
    }

    private static IEnumerable<Tensor> Tensors(object? answer) => answer switch
    {
        Tensor tensor => [tensor],
        IEnumerable<Tensor> tensors => tensors,
        ITuple tuple => Enumerable.Range(0, tuple.Length).SelectMany(i => Tensors(tuple[i])),
        _ => [],
    };

    private static TResult With(TResult result, Tensor first)
    {
        if (result is Tensor)
            return (TResult)(object)first;
        object boxed = result!;
        typeof(TResult).GetField("Item1")!.SetValue(boxed, first);
        return (TResult)boxed;
    }

    private Tensor Inverse(RINorm rin, Tensor output, RINormStatistics statistics, long dimensions)
    {
        if (output.dim() != dimensions)
            return rin.inverse(output, statistics, _likelihood);
        using var scope = NewDisposeScope();
        return rin.inverse(output.unsqueeze(-1), statistics, _likelihood).squeeze(-1).MoveToOuterDisposeScope();
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
        try
        {
            var replaced = _areFirst
                ? cat([targets, input.narrow(-1, _columns.Length, input.size(-1) - _columns.Length)], -1) // which promotes
                : input.to(targets.dtype).index_copy(-1, tensor(_columns, device: input.device), targets);
            targets.Dispose();
            return replaced.MoveToOuterDisposeScope();
        }
        catch (ExternalException error) when (TensorMemory.IsShortage(error))
        {
            throw TensorMemory.DoesNotFit(input.shape, targets.dtype, error);
        }
    }

    private void RequireParts([NotNull] RINorm? rin, [NotNull] nn.Module? network)
    {
        if (rin is null || network is null)
            throw new InvalidOperationException($"A wrapped network must have a rin and a network, but its {(rin is null ? "rin" : "network")} was replaced by null. Wrap the network anew.");
        if (rin.input_dim != _columns.Length)
            throw new InvalidOperationException(
                $"The rin of a wrapped network must have as many components as there are targets ({_columns.Length}), but the one that replaced it has {rin.input_dim}. Put a RINorm({_columns.Length}) there, or wrap the network anew.");
    }

    private void RequireColumns(Tensor input, RINorm rin, string argument)
    {
        Require.Input(input, _taker, argument);
        Require.Parameter(rin.affine_weight, [rin.input_dim], input, _taker, nameof(rin.affine_weight), argument);
        if (input.dim() < 3 || input.size(-1) <= _columns.Max())
            throw new ArgumentException(
                $"{_taker} takes {argument} as (batch, time, ..., columns) with column {_columns.Max()} among them, the last target, and 3 dimensions or more, but received {Require.Describe(input)}. "
                + (input.dim() < 3
                    ? $"Add the missing axis: {argument}.unsqueeze(0) makes a batch of one, {argument}.unsqueeze(-1) one column."
                    : "Give every column, or wrap the network with a RINorm of as many components as there are targets."),
                argument);
    }

    private void RequireForecast(Tensor output, nn.Module network, Tensor past)
    {
        var behind = output.dim() - past.dim(); // nr_params
        if (behind is not (0 or 1) || output.size(0) != past.size(0) || output.size((int)(-1 - behind)) != _columns.Length)
            throw Unfit(
                $"(batch, time, ..., targets), or with nr_params behind, for batch {past.size(0)} and {_columns.Length} targets",
                "Return the forecast of the targets alone, with the axes of the past, or wrap the network with a RINorm of as many components as it forecasts.");
        if (_likelihood.Length > 0 && _likelihood.Length != (behind == 0 ? 1 : output.size(-1)))
            throw Unfit($"as many nr_params on the last axis as its likelihood has, {_likelihood.Length}", "Return one for each, or wrap the network with a likelihood that says what each is.");
        if (Require.AreApart(output, past))
            throw Unfit($"on the device of the past, {past.device}", $"Move the network there: network.to(\"{past.device}\").");
        if (Require.Unsuitable(output, _taker, "y") is { } why)
            throw Unfit("what can be put back into the past's units", why);

        ArgumentException Unfit(string must, string advice) => new(Answer(network, must, $"{Require.Describe(output)}, on {output.device}", advice));
    }

    private static InvalidOperationException Answered(nn.Module network, string what) =>
        new(Answer(network, "a tensor that lives", what, "Return its forecast, out of any DisposeScope of its own: return y.MoveToOuterDisposeScope()."));

    private static string Answer(nn.Module network, string must, string received, string advice) =>
        $"A wrapped network must answer {must}, but {PythonText.ClassName(network)} answered {received}. {advice}";
}
