using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Forecasting;

/// <summary>The options, their help and their errors.</summary>
internal static class CommandLine
{
    private static readonly Option<string?> Csv = Text("--csv", "FILE",
        "Forecast this file instead of the two embedded series: a header, an optional time column, numeric columns.");
    private static readonly Option<string?> Time = Text("--time", "NAME",
        "The time column, or none. Default: the first column, if it is called so (time, date, day, ...) or holds dates.");
    private static readonly Option<string?> Columns = Text("--columns", "A,B,...", "The columns to forecast. Default: all but the time.");
    private static readonly Option<Split> Parts = Parsed("--split", "A,B,C",
        "The training, validation and test parts, as fractions or as row counts from the first row on. Default: 0.7,0.1,0.2.", Split.Parse);
    private static readonly Option<int?> Input = Whole("--input", "The rows that a forecast sees. Default: 96; 336 for the electricity demand.");
    private static readonly Option<int?> Horizon = Whole("--horizon", "The rows that it forecasts. Default: 24; 48 for the electricity demand.");
    private static readonly Option<int?> Season = Whole("--season",
        "The rows after which the seasonal-naive forecast repeats. Default: by the time column's step, a day of anything finer, a week of days, a year of anything coarser.");
    private static readonly Option<string> Model = OneOf("--model", [Options.ResidualMlp, Options.Linear],
        "The map over time: residual blocks, or one linear layer.", name => name.ToLowerInvariant());
    private static readonly Option<string> Norm = OneOf("--norm", Norms.Names, "The norm inside each residual block.", Norms.Find);
    private static readonly Option<int?> Epochs = Whole("--epochs", "How often training sees every window. Default: 8.");
    private static readonly Option<int?> Seed = Whole("--seed", "One seed gives one result. Default: 0.", least: 0);
    private static readonly Option<string?> Out = Text("--out", "DIR", "Where results.csv and the pictures go. Default: forecasts.");

    /// <summary>Reads the arguments and runs what they ask for.</summary>
    /// <returns>The exit code: that of <paramref name="run"/>, or 0 after help.</returns>
    public static int Run(string[] args, Func<Options, int> run)
    {
        var root = new RootCommand("Trains forecasting networks with and without RINorm, and shows their errors on the test part beside naive forecasts.")
        {
            Csv, Time, Columns, Parts, Input, Horizon, Season, Model, Norm, Epochs, Seed, Out,
        };
        root.SetAction(parsed => run(new(
            parsed.GetValue(Csv), parsed.GetValue(Time), parsed.GetValue(Columns)?.Split(',', StringSplitOptions.TrimEntries), parsed.GetValue(Parts) ?? Split.Parse("0.7,0.1,0.2"),
            parsed.GetValue(Input), parsed.GetValue(Horizon), parsed.GetValue(Season), parsed.GetValue(Model) ?? Options.ResidualMlp,
            parsed.GetValue(Norm) ?? Norms.Names.First(), parsed.GetValue(Epochs) ?? 8, parsed.GetValue(Seed) ?? 0, parsed.GetValue(Out) ?? "forecasts")));

        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0)
            throw new InputException($"{parsed.Errors[0].Message} See --help.");
        return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
    }

    private static Option<string?> Text(string name, string value, string description) =>
        Parsed<string?>(name, value, description, text => text.Trim().Length > 0 ? text : throw new InputException($"{name} is empty. Give {value}."));

    private static Option<int?> Whole(string name, string description, int least = 1) => Parsed<int?>(name, "N", description, text =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) && value >= least
            ? value
            : throw new InputException($"{name} takes a whole number from {least} to {int.MaxValue}, but received {InputException.Quote(text)}."));

    private static Option<string> OneOf(string name, IEnumerable<string> choices, string description, Func<string, string?> find) =>
        Parsed(name, string.Join('|', choices), $"{description} Default: {choices.First()}.", text =>
            find(text) is { } found && choices.Contains(found)
                ? found
                : throw new InputException($"{name} has no {InputException.Quote(text)}. Choose {string.Join(", ", choices.SkipLast(1))} or {choices.Last()}."));

    private static Option<T> Parsed<T>(string name, string value, string description, Func<string, T> parse) =>
        new(name) { HelpName = value, Description = description, CustomParser = result => Parse(result, parse) };

    private static T? Parse<T>(ArgumentResult result, Func<string, T> parse)
    {
        try
        {
            return parse(result.Tokens[^1].Value);
        }
        catch (InputException e)
        {
            result.AddError(e.Message);
            return default;
        }
    }
}
