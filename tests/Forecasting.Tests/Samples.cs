namespace Forecasting.Tests;

internal static class Samples
{
    /// <summary>0, 1, 2, ...</summary>
    public static Series Line(int rows) => new("s", ["a"], [.. Enumerable.Range(0, rows).Select(row => (double)row)]);

    /// <summary>Two columns of waves whose level rises.</summary>
    public static Series Waves(int rows) =>
        new("waves", ["a", "b"], [.. Enumerable.Range(0, 2 * rows).Select(i => Math.Sin(i / 2 * (1 + (i % 2)) / 5.0) + (i / 100.0))]);

    public static Protocol Protocol(Series series, int input = 12, int horizon = 4) => new(series, Split.Parse("0.7,0.1,0.2"), input, horizon);
}
