namespace Forecasting;

/// <summary>Columns of numbers, row by row in time.</summary>
/// <param name="name">What the results call it.</param>
/// <param name="columns">The columns' names.</param>
/// <param name="values">Row after row.</param>
/// <param name="timeName">What counts the rows.</param>
/// <param name="times">When each row was, where the data say it.</param>
internal sealed class Series(string name, string[] columns, double[] values, string timeName = "row", DateTime[]? times = null)
{
    public string Name => name;
    public IReadOnlyList<string> Columns => columns;
    public string TimeName => timeName;
    public IReadOnlyList<DateTime>? Times => times;
    public int Rows => values.Length / columns.Length;
    public double this[int row, int column] => values[(row * columns.Length) + column];

    /// <summary>The number of rows after which days, weeks or years repeat: a day of anything finer, a week of days, a year of anything coarser.</summary>
    /// <returns>Null where the rows have no times, or times too irregular to tell.</returns>
    public int? FindSeason()
    {
        if (times is null || times.Length < 3)
            return null;
        var steps = times.Zip(times.Skip(1), (earlier, later) => (later - earlier).TotalDays).Order().ToArray();
        var step = steps[steps.Length / 2];
        if (step <= 0)
            return null;
        if (step < 0.75)
            return (int)Math.Round(1 / step);
        var mean = (times[^1] - times[0]).TotalDays / (times.Length - 1);
        return step switch
        {
            < 1.5 => Math.Clamp((int)Math.Round(7 / mean), 5, 7), // 5: business days
            > 6.5 and < 7.5 => 52,
            > 27 and < 32 => 12,
            > 88 and < 93 => 4,
            _ => null,
        };
    }
}
