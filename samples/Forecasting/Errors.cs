using static TorchSharp.torch;

namespace Forecasting;

/// <summary>The mean squared and mean absolute error over windows, time steps and columns, of standardised values.</summary>
internal readonly record struct Errors(double Mse, double Mae)
{
    private const int ValuesAtOnce = 1 << 22; // 16 MiB of window

    /// <summary>The errors of a network on every window.</summary>
    public static Errors Of(Forecaster network, Windows windows, CancellationToken stop)
    {
        using var noGrad = no_grad();
        network.eval();
        double squared = 0, absolute = 0, count = 0;
        foreach (var (start, size) in windows.Batches(ValuesAtOnce))
        {
            stop.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var (past, future) = windows.Range(start, size);
            var difference = (network.call(past) - future).to(float64);
            squared += difference.square().sum().item<double>();
            absolute += difference.abs().sum().item<double>();
            count += difference.numel();
        }
        return new(squared / count, absolute / count);
    }

    /// <summary>The errors of a forecast that repeats rows of the past: row(origin, step) says which.</summary>
    public static Errors OfRepeating(Protocol protocol, Func<int, int, int> row)
    {
        double squared = 0, absolute = 0;
        for (var origin = protocol.Test.First; origin < protocol.Test.First + protocol.Test.Count; origin++)
        {
            for (var step = 0; step < protocol.Horizon; step++)
            {
                for (var column = 0; column < protocol.Columns; column++)
                {
                    var difference = protocol[row(origin, step), column] - protocol[origin + step, column];
                    squared += difference * difference;
                    absolute += Math.Abs(difference);
                }
            }
        }
        var count = (double)protocol.Test.Count * protocol.Horizon * protocol.Columns;
        return new(squared / count, absolute / count);
    }

    /// <summary>The last value goes on.</summary>
    public static Errors OfLastValue(Protocol protocol) => OfRepeating(protocol, (origin, _) => origin - 1);

    /// <summary>The last season repeats.</summary>
    public static Errors OfSeasonalNaive(Protocol protocol, int season) =>
        OfRepeating(protocol, (origin, step) => origin - season + (step % season));
}
