using static TorchSharp.torch;

namespace Forecasting;

/// <summary>A network's forecasts over the test part, each beginning where the last one ends, in the columns' own units.</summary>
internal sealed class Forecasts
{
    private readonly Protocol _protocol;
    private readonly float[][] _values;

    public Forecasts(Forecaster network, Protocol protocol, Errors errors)
    {
        (_protocol, Errors) = (protocol, errors);
        using var noGrad = no_grad();
        _values = [.. Origins(protocol).Select(origin =>
        {
            using var scope = NewDisposeScope();
            var (past, _) = protocol.Test.Range(origin - protocol.Test.First, 1);
            return network.call(past).contiguous().data<float>().ToArray();
        })];
    }

    /// <summary>The errors of every forecast of the test part.</summary>
    public Errors Errors { get; }

    /// <summary>The rows that they begin at.</summary>
    public static IEnumerable<int> Origins(Protocol protocol) =>
        Enumerable.Range(0, ((protocol.Test.Count - 1) / protocol.Horizon) + 1).Select(number => protocol.Test.First + (number * protocol.Horizon));

    /// <summary>One column of one of them.</summary>
    public double[] Of(int number, int column) =>
        [.. Enumerable.Range(0, _protocol.Horizon).Select(step => _protocol.ToUnit(_values[number][(step * _protocol.Columns) + column], column))];
}
