using System.Globalization;
using Spectre.Console;

namespace Forecasting;

/// <summary>What the user sees: progress bars and a table, or plain lines where the output is no terminal.</summary>
internal sealed class Display
{
    private readonly IAnsiConsole _console = AnsiConsole.Create(new() { Ansi = Console.IsOutputRedirected ? AnsiSupport.No : AnsiSupport.Detect });

    /// <summary>Shows how far a training is.</summary>
    /// <param name="title">What is trained.</param>
    /// <param name="epochs">How many epochs it takes.</param>
    /// <param name="train">The training; it tells the part done and, after an epoch, the validation error.</param>
    public void Follow(string title, int epochs, Action<Action<double, double?>> train)
    {
        if (!_console.Profile.Capabilities.Ansi)
        {
            train((done, error) =>
            {
                if (error is { } value)
                    Say(string.Create(CultureInfo.InvariantCulture, $"{title}: epoch {Math.Round(done * epochs)} of {epochs}, validation MSE {value:0.0000}"));
            });
            return;
        }
        _console.Progress().Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn()).Start(progress =>
        {
            var task = progress.AddTask(Markup.Escape(title), maxValue: 1);
            train((done, error) =>
            {
                task.Value = done;
                if (error is { } value)
                    task.Description = Markup.Escape(string.Create(CultureInfo.InvariantCulture, $"{title}, validation MSE {value:0.0000}"));
            });
        });
    }

    /// <summary>Shows the errors on the test part of one series.</summary>
    public void Show(Protocol protocol, IReadOnlyList<Result> results)
    {
        var table = new Table().Title(Markup.Escape($"{protocol.Series.Name}: {protocol.Horizon} row(s) ahead, {protocol.Test.Count} test window(s), standardised"));
        table.AddColumns("model", "norm", "RINorm");
        foreach (var number in new[] { "MSE", "MAE", "seconds" })
            table.AddColumn(number, column => column.RightAligned());
        foreach (var result in results)
        {
            table.AddRow(new[]
            {
                result.Model, result.Norm, result.RINorm ? "with" : "without",
                Number(result.Errors.Mse, "0.000"), Number(result.Errors.Mae, "0.000"), Number(result.Seconds, "0.0"),
            }.Select(Markup.Escape).ToArray());
        }
        _console.Write(table);
    }

    /// <summary>Shows a line, whole: the console would break it, and a path in it, at its width.</summary>
    public static void Say(string line) => Console.WriteLine(line);

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
