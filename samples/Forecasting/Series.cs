namespace Forecasting;

/// <summary>Columns of numbers, row by row in time.</summary>
/// <param name="name">What the results call it.</param>
/// <param name="columns">The columns' names.</param>
/// <param name="values">Row after row.</param>
/// <param name="times">When each row was, where the data say it.</param>
internal sealed class Series(string name, string[] columns, double[] values, DateTime[]? times = null)
{
    public string Name => name;
    public IReadOnlyList<string> Columns => columns;
    public IReadOnlyList<DateTime>? Times => times;
    public int Rows => values.Length / columns.Length;
    public double this[int row, int column] => values[(row * columns.Length) + column];

    /// <summary>What counts the rows.</summary>
    public string TimeName { get; set; } = "row";

    /// <summary>The columns' units, where they are known.</summary>
    public IReadOnlyList<string>? Units { get; set; }

    /// <summary>The number of rows after which days, weeks or years repeat: a day of anything finer, a week of days, a year of anything coarser.</summary>
    /// <returns>Null where the rows have no times, or times too irregular to tell.</returns>
    public int? FindSeason()
    {
        if (times is null || times.Length < 3)
            return null;
        var steps = times.Zip(times.Skip(1), (earlier, later) => (later - earlier).TotalDays).Order().ToArray();
        var meanStep = (times[^1] - times[0]).TotalDays / (times.Length - 1);
        return steps[steps.Length / 2] switch
        {
            <= 0 => null,
            var step and < 0.75 => (int)Math.Round(1 / step),
            < 1.5 => Math.Clamp((int)Math.Round(7 / meanStep), 5, 7), // 5: business days
            > 6.5 and < 7.5 => 52,
            > 27 and < 32 => 12,
            > 88 and < 93 => 4,
            _ => null,
        };
    }
}
