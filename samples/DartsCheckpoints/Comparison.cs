using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>One series' forecasts beside Darts'.</summary>
/// <param name="Target">The series.</param>
/// <param name="Largest">The largest of Darts' values.</param>
/// <param name="Difference">The largest difference, in the series' units.</param>
internal sealed record Comparison(string Target, double Largest, double Difference)
{
    /// <summary>The relative difference that the same network may show on another runtime, where sums are in another order.</summary>
    public const double MostRelative = 1e-5;

    public double Relative => Difference == 0 ? 0 : Difference / Largest;

    public bool IsAlike => Relative <= MostRelative;

    /// <summary>Compares each target, over windows, time steps and parameters.</summary>
    public static IReadOnlyList<Comparison> Of(Checkpoint checkpoint, Tensor forecast)
    {
        using var scope = NewDisposeScope();
        var darts = checkpoint.Output.to(float64);
        var difference = (forecast.to(float64) - darts).abs();
        return [.. checkpoint.Targets.Select((target, column) => new Comparison(target, Largest(darts.abs(), column), Largest(difference, column)))];

        static double Largest(Tensor values, int column) => values.select(2, column).max().item<double>();
    }
}
