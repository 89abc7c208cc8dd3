using System.Globalization;
using System.Text;
using CsvHelper;
using CsvHelper.Configuration;

namespace Forecasting;

/// <summary>Reads a series from a CSV file: a header, an optional time column, numeric columns; comma, semicolon, tab or bar between them.</summary>
internal sealed class CsvSeries : IDisposable
{
    private const int LongestCell = 10_000;
    private static readonly char[] Separators = [',', ';', '\t', '|'];
    private static readonly string[] TimeNames = ["", "date", "datetime", "day", "ds", "hour", "index", "month", "period", "row", "time", "timestamp", "week", "year"];

    private readonly string _source;
    private readonly CsvParser _parser;
    private string[] _header = [];
    private CultureInfo _culture = CultureInfo.InvariantCulture; // of the times
    private static readonly CultureInfo DayFirst = WithDaysFirst();

    private CsvSeries(TextReader text, string source)
    {
        _source = source;
        _parser = new(text, new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            DetectDelimiter = true,
            GetDelimiter = found => MostFrequentSeparator(found.Text),
            TrimOptions = TrimOptions.Trim,
            MaxFieldSize = LongestCell,
            BadDataFound = _ => throw AtLine(": a quote stands inside a cell. Put quotes around whole cells, and double those inside."),
        });
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">Where it lies.</param>
    /// <param name="time">The time column's name, "none", or null: the first column if its name or its first cell says so.</param>
    /// <param name="only">The columns to take; null takes all but the time.</param>
    /// <param name="stop">Looked at after each row.</param>
    public static Series Read(string path, string? time = null, string[]? only = null, CancellationToken stop = default)
    {
        if (Directory.Exists(path))
            throw new InputException($"{path} is a directory. Give the CSV file itself.");
        try
        {
            using var file = new StreamReader(path, Encoding.UTF8);
            return Read(file, path, Path.GetFileNameWithoutExtension(path), time, only, stop);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path} does not exist. Check the path; a relative one starts at {Directory.GetCurrentDirectory()}.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path} cannot be read: {e.Message} Check the path and your rights to it.");
        }
    }

    /// <summary>Reads text that errors call by its source.</summary>
    public static Series Read(TextReader text, string source, string name, string? time = null, string[]? only = null, CancellationToken stop = default)
    {
        using var file = new CsvSeries(text, source);
        return file.ReadAll(name, time, only, stop);
    }

    public void Dispose() => _parser.Dispose();

    private Series ReadAll(string name, string? time, string[]? only, CancellationToken stop)
    {
        if (!NextRow())
            throw new InputException($"{_source} is empty. Its first line must name the columns, the others hold their values.");
        _header = _parser.Record!;
        CheckHeader();
        if (!NextRow())
            throw new InputException($"{_source} has a header but no rows. Below it goes a row of numbers for each time step.");

        var timeColumn = FindTime(time);
        int[] columns = only is null
            ? [.. Enumerable.Range(0, _header.Length).Where(column => column != timeColumn)]
            : [.. only.Distinct().Select(column => Find(column, "--columns"))];
        if (columns.Length == 0)
            throw new InputException($"{_source} has no column besides the time. Give it columns of numbers, or say --time none.");
        var values = new List<double>();
        if (timeColumn >= 0 && IsDayFirst(_parser[timeColumn]))
            _culture = DayFirst;
        var cells = timeColumn >= 0 && TryParseTime(_parser[timeColumn], _culture, out _) ? new List<string>() : null;
        var times = new List<DateTime>();
        do
        {
            stop.ThrowIfCancellationRequested();
            if (cells is not null)
                AddTime(timeColumn, cells, times);
            foreach (var column in columns)
                values.Add(Number(column));
        }
        while (NextRow());

        var series = new Series(name, [.. columns.Select(column => _header[column])], [.. values], cells is null ? null : [.. times]);
        if (cells is not null && _header[timeColumn].Length > 0)
            series.TimeName = _header[timeColumn];
        return series;
    }

    private bool NextRow()
    {
        try
        {
            if (!_parser.Read())
                return false;
        }
        catch (MaxFieldSizeException)
        {
            throw AtLine($": a cell is longer than {LongestCell} characters. If it begins with a quote, close that.");
        }
        if (_header.Length > 0 && _parser.Count != _header.Length)
            throw AtLine($": the row has {_parser.Count} cell(s), the header {_header.Length}. Give each row one cell for each column.");
        return true;
    }

    private void CheckHeader()
    {
        for (var i = 0; i < _header.Length; i++)
        {
            if (i > 0 && _header[i].Length == 0)
                throw AtLine($": column {i + 1} has no name. Name it, or take the separator away that makes it.");
            if (Array.IndexOf(_header, _header[i]) < i)
                throw AtLine($": two columns are called {InputException.Quote(_header[i])}. Give each its own name.");
        }
        if (_header.All(cell => TryParseNumber(cell, out _)))
            throw AtLine(": the header has numbers only. The first line must name the columns.");
    }

    private int FindTime(string? time)
    {
        if (time is not null)
            return time == "none" ? -1 : Find(time, "--time");
        var isTime = TimeNames.Contains(_header[0].ToLowerInvariant()) || IsDayFirst(_parser[0]) || TryParseTime(_parser[0], _culture, out _);
        return isTime && _header.Length > 1 ? 0 : -1;
    }

    private int Find(string column, string option)
    {
        var at = Array.IndexOf(_header, column);
        return at >= 0 ? at : throw new InputException($"{option}: {_source} has no column {InputException.Quote(column)}. It has {string.Join(", ", _header)}.");
    }

    private void AddTime(int column, List<string> cells, List<DateTime> times)
    {
        cells.Add(_parser[column]);
        var isTime = TryParseTime(_parser[column], _culture, out var time);
        if (!isTime && _culture != DayFirst && cells.All(cell => TryParseTime(cell, DayFirst, out _)))
        {
            // 13/01/2000: the months of the rows above were days
            _culture = DayFirst;
            times.Clear();
            times.AddRange(cells.Select(cell => TryParseTime(cell, DayFirst, out var moment) ? moment : default));
            (isTime, time) = (true, times[^1]);
        }
        else if (isTime)
        {
            times.Add(time);
        }
        if (!isTime)
            throw AtCell(column, "is not a time like those above. Write it as they are.");
        if (time < times[0])
            throw AtCell(column, "is before the first row's time. Sort the rows, oldest first.");
    }

    private double Number(int column)
    {
        var cell = _parser[column];
        if (TryParseNumber(cell, out var value) && double.IsFinite(value))
            return value;
        if (cell.Length == 0)
            throw AtCell(column, "is empty. Fill the gap, or choose other columns with --columns.");
        var withPoint = cell.Replace(',', '.');
        if (TryParseNumber(withPoint, out value) && double.IsFinite(value))
            throw AtCell(column, $"has a comma. Write a decimal point, {InputException.Quote(withPoint)}, and nothing between thousands.");
        throw AtCell(column, TryParseTime(cell, _culture, out _)
            ? $"is a time, not a number. Say --time {_header[column]} if it is the time column."
            : "is not a finite number. Correct it, or choose other columns with --columns" + (column == 0 ? $"; if it is the time column, say --time {_header[0]}." : "."));
    }

    private InputException AtCell(int column, string problem) =>
        AtLine($", column {InputException.Quote(_header[column])}: {InputException.Quote(_parser[column])} {problem}");

    private InputException AtLine(string problem)
    {
        var record = _parser.RawRecord.TrimStart();
        var isOpen = record.Count(c => c == '"') % 2 == 1 && (record.StartsWith('"') || record.Contains(_parser.Delimiter + '"', StringComparison.Ordinal));
        var breaks = (isOpen ? record : record.TrimEnd()).ReplaceLineEndings("\n").Count(c => c == '\n');
        return new($"{_source}, line {_parser.RawRow - breaks}{(isOpen ? ": a quote is not closed. Close it, or double it if it belongs to the cell." : problem)}");
    }

    // By the header alone: below it, a comma may stand in each number.
    private static string MostFrequentSeparator(string text)
    {
        var counts = new int[Separators.Length];
        var isQuoted = false;
        foreach (var c in text.TrimStart().TakeWhile(c => isQuoted || c is not ('\r' or '\n')))
        {
            isQuoted ^= c == '"';
            if (!isQuoted && Array.IndexOf(Separators, c) is >= 0 and var i)
                counts[i]++;
        }
        return Separators[Array.IndexOf(counts, counts.Max())].ToString();
    }

    private static bool TryParseNumber(string cell, out double value) =>
        double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out value);

    private static CultureInfo WithDaysFirst()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.DateTimeFormat.ShortDatePattern = "dd/MM/yyyy";
        return culture;
    }

    // Where dots stand between them, days come first; where slashes do, a number above 12 must tell.
    private static bool IsDayFirst(string cell) =>
        cell.TakeWhile(c => c is not ' ' and not 'T').Count(c => c == '.') == 2 && TryParseTime(cell, DayFirst, out _);

    private static bool TryParseTime(string cell, CultureInfo culture, out DateTime time)
    {
        var isTime = DateTimeOffset.TryParse(cell, culture, DateTimeStyles.AssumeUniversal, out var moment);
        time = moment.DateTime;
        return isTime && !TryParseNumber(cell.Replace(',', '.'), out _); // "1,5" is no fifth of January
    }
}
