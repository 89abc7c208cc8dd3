using System.CommandLine;
using System.Globalization;
using Darts.Norm;
using DartsCheckpoints;
using Spectre.Console;
using static TorchSharp.torch;

var paths = new Argument<string[]>("CHECKPOINT") { Description = "Files that export.py wrote, NAME.json beside NAME.dat. Default: the two of this sample.", Arity = ArgumentArity.ZeroOrMore };
var directory = new Option<string>("--out") { Description = "Where the pictures go.", HelpName = "DIR", DefaultValueFactory = _ => "forecasts" };
var root = new RootCommand("Runs networks that were trained in Darts, and shows their forecasts beside Darts' own.") { paths, directory };
root.SetAction(parsed => Run(parsed.GetValue(paths) ?? [], parsed.GetValue(directory)!));
try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (InputException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}

static int Run(string[] paths, string directory)
{
    var output = new Output(directory);
    var console = AnsiConsole.Create(new() { Ansi = Console.IsOutputRedirected ? AnsiSupport.No : AnsiSupport.Detect });
    if (paths.Length == 0)
        paths = [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Checkpoints"), "*.json").Order(StringComparer.Ordinal)];
    var table = new Table().Title(Markup.Escape("The largest differences from Darts' forecasts"));
    table.AddColumns("network", "target");
    foreach (var number in new[] { "largest value", "difference", "relative" })
        table.AddColumn(number, column => column.RightAligned());
    var areAlike = true;
    foreach (var path in paths)
    {
        using var checkpoint = Checkpoint.Read(path);
        using var network = checkpoint.Network();
        using var noGrad = no_grad();
        using var forecast = network.call(checkpoint.Inputs);
        console.WriteLine($"{checkpoint.Name}: {checkpoint.Model} of Darts, every one of its {checkpoint.State.Count} tensors loaded");
        console.WriteLine(network.pytorch().text());
        console.WriteLine(output.Write($"{checkpoint.Name}.png", Picture.Draw(checkpoint, forecast)));
        foreach (var row in Comparison.Of(checkpoint, forecast))
        {
            areAlike &= row.IsAlike;
            table.AddRow(new[] { checkpoint.Name, row.Target, Number(row.Largest, "G6"), Number(row.Difference, "E1"), Number(row.Relative, "E1") }.Select(Markup.Escape).ToArray());
        }
    }
    console.Write(table);
    if (!areAlike)
        console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"A difference is above {Comparison.MostRelative:E0} of the largest value: the network is not the one that was exported."));
    return areAlike ? 0 : 1;

    static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
