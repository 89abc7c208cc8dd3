using System.Globalization;

namespace Forecasting;

/// <summary>The training, validation and test parts of a series, one after the other, as row counts or as fractions.</summary>
internal sealed class Split
{
    private const string Usage = "Give three fractions that sum to 1 (0.7,0.1,0.2), or three row counts (8640,2880,2880).";
    private static readonly string[] Names = ["training", "validation", "test"];
    private readonly double[] _parts;
    private readonly bool _areFractions;

    private Split(double[] parts, bool areFractions)
    {
        _parts = parts;
        _areFractions = areFractions;
    }

    /// <summary>Reads <c>0.7,0.1,0.2</c> or <c>8640,2880,2880</c>.</summary>
    public static Split Parse(string text)
    {
        var parts = new List<double>();
        foreach (var part in text.Split(','))
        {
            if (!double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) || !double.IsFinite(value))
                throw new InputException($"--split {InputException.Quote(text)}: {InputException.Quote(part)} is not a number. {Usage}");
            if (value <= 0)
                throw new InputException($"--split {InputException.Quote(text)}: each part must be above 0. {Usage}");
            parts.Add(value);
        }
        if (parts.Count != 3)
            throw new InputException($"--split {InputException.Quote(text)} has {parts.Count} part(s), not 3. {Usage}");
        var areFractions = parts.All(part => part < 1);
        if (areFractions && Math.Abs(parts.Sum() - 1) > 1e-6)
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"--split {InputException.Quote(text)} sums to {parts.Sum():0.######}, not 1. {Usage}"));
        if (!areFractions && parts.Any(part => part != Math.Floor(part) || part > int.MaxValue))
            throw new InputException($"--split {InputException.Quote(text)} has neither fractions alone nor whole numbers alone. {Usage}");
        return new([.. parts], areFractions);
    }

    /// <summary>The rows of each part; the literature's rounding: training and test down, validation gets the rest.</summary>
    public (int Train, int Valid, int Test) Rows(Series series, int input, int horizon)
    {
        int[] rows = [(int)_parts[0], (int)_parts[1], (int)_parts[2]];
        if (_areFractions)
        {
            var (train, test) = ((int)(series.Rows * _parts[0]), (int)(series.Rows * _parts[2]));
            rows = [train, series.Rows - train - test, test];
        }
        if (rows.Sum(part => (long)part) > series.Rows)
            throw new InputException($"--split {string.Join(",", rows)} takes {rows.Sum(part => (long)part)} row(s), but {series.Name} has {series.Rows}. Give smaller parts, or fractions such as 0.7,0.1,0.2.");
        for (var i = 0; i < rows.Length; i++)
        {
            var (needed, why) = i == 0 ? ((long)input + horizon, $"--input {input} and --horizon {horizon}") : (horizon, $"--horizon {horizon}");
            if (rows[i] < needed)
                throw new InputException($"{series.Name}: the {Names[i]} part gets {rows[i]} of {series.Rows} row(s), but {why} need(s) {needed}. Give less, another --split or more rows.");
        }
        return (rows[0], rows[1], rows[2]);
    }
}
