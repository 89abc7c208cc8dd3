using System.Diagnostics;
using Darts.Norm;
using static TorchSharp.torch;

namespace Forecasting;

/// <summary>Everything that is done with one series: naive forecasts, and the network with and without RINorm.</summary>
internal sealed class Experiment(Options options, Display display, CancellationToken stop)
{
    // Chosen on validation parts: large enough to converge in 8 epochs, small enough that seeds agree.
    private const double MlpRate = 3e-4, LinearRate = 3e-3;
    private const int Batch = 32;

    private bool IsLinear => options.Model == Options.Linear;
    private string Norm => IsLinear ? "none" : options.Norm;

    /// <summary>Trains and measures.</summary>
    /// <param name="series">The series.</param>
    /// <param name="input">The rows that a forecast sees.</param>
    /// <param name="horizon">The rows that it forecasts.</param>
    /// <param name="season">For the seasonal-naive forecast; null leaves it out.</param>
    /// <returns>The results, and the pictures by name.</returns>
    public (IReadOnlyList<Result> Results, IReadOnlyList<(string Name, byte[] Png)> Pictures) Run(Series series, int input, int horizon, int? season)
    {
        using var protocol = new Protocol(series, options.Split, input, horizon);
        var results = new List<Result> { Naive("last-value", () => Errors.OfLastValue(protocol)) };
        if (season is { } rows && rows <= protocol.ValidEnd)
            results.Add(Naive("seasonal-naive", () => Errors.OfSeasonalNaive(protocol, rows)));
        else
            Display.Say(season is null
                ? $"{series.Name} has no dates to tell a season by: --season N adds the seasonal-naive forecast."
                : $"{series.Name} is shorter than its season of {season} rows: no seasonal-naive forecast.");
        var (without, forecastsWithout) = Train(protocol, withRINorm: false);
        var (with, forecastsWith) = Train(protocol, withRINorm: true);
        results.AddRange([without, with]);
        display.Show(protocol, results);
        return (results, Picture.Draw(protocol, forecastsWithout, forecastsWith));

        Result Naive(string name, Func<Errors> measure)
        {
            stop.ThrowIfCancellationRequested();
            var watch = Stopwatch.StartNew();
            return new(series.Name, name, "none", false, horizon, measure(), watch.Elapsed.TotalSeconds);
        }
    }

    private (Result, Forecasts) Train(Protocol protocol, bool withRINorm)
    {
        var watch = Stopwatch.StartNew();
        manual_seed(options.Seed);
        using var network = new Forecaster(
            IsLinear ? nn.Linear(protocol.Input, protocol.Horizon) : Forecaster.ResidualMlp(protocol.Input, protocol.Horizon, Norms.Type(Norm)),
            withRINorm ? new RINorm(protocol.Columns) : null);
        var training = new Training(options.Epochs, IsLinear ? LinearRate : MlpRate, Batch, options.Seed);
        display.Follow($"{protocol.Series.Name} {(withRINorm ? "with" : "without")} RINorm", options.Epochs, done => training.Run(network, protocol, done, stop));
        var errors = Errors.Of(network, protocol.Test, stop);
        var result = new Result(protocol.Series.Name, options.Model, Norm, withRINorm, protocol.Horizon, errors, watch.Elapsed.TotalSeconds);
        return (result, new Forecasts(network, protocol, errors));
    }
}
