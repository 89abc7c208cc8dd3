using System.Runtime.InteropServices;
using Forecasting;
using static TorchSharp.torch;

using var stop = new CancellationTokenSource();
var exitCode = 0;
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, 130));
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, 143));
try
{
    return CommandLine.Run(args, Run);
}
catch (InputException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("Stopped; nothing was written.");
    return exitCode;
}

void Stop(PosixSignalContext signal, int code)
{
    signal.Cancel = true;
    exitCode = code;
    stop.Cancel();
}

int Run(Options options)
{
    // Sums are split between threads, and their rounding with them: one thread gives one result on any number of cores.
    set_num_threads(1);
    var output = new Output(options.Out);
    var display = new Display();
    var experiment = new Experiment(options, display, stop.Token);
    var results = new List<Result>();
    var pictures = new List<(string Name, byte[] Png)>();
    foreach (var (series, input, horizon, season) in Choose(options))
    {
        var done = experiment.Run(series, options.Input ?? input, options.Horizon ?? horizon, options.Season ?? season ?? series.FindSeason());
        results.AddRange(done.Results);
        pictures.AddRange(done.Pictures);
    }
    stop.Token.ThrowIfCancellationRequested();
    foreach (var (name, png) in pictures)
        Display.Say(output.Write(name, png));
    Display.Say(output.Write("results.csv", Result.Csv(results)));
    return 0;
}

IEnumerable<(Series Series, int Input, int Horizon, int? Season)> Choose(Options options) => options.Csv is { } path
    ? [(CsvSeries.Read(path, options.Time, options.Columns, stop.Token), 96, 24, null)]
    : EmbeddedSeries.All.Select(embedded => (embedded.Read(), embedded.Input, embedded.Horizon, embedded.Season));
