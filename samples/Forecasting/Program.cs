using System.Diagnostics;
using Darts.Norm;
using Forecasting;
using static TorchSharp.torch;

set_num_threads(1);
double E(string n, double d) => Environment.GetEnvironmentVariable(n) is { } v ? double.Parse(v) : d;
var model = args.Length > 1 ? args[1] : "mlp";
foreach (var e in EmbeddedSeries.All.Where(e => args.Length == 0 || args[0] == e.Name).Append(args.Length > 0 && args[0].EndsWith("csv") ? new("", args[0], 336, 96, 24, null) : null!).Where(e => e is not null))
{
    var series = e!.Resource == "" ? CsvSeries.Read(args[0]) : e.Read();
    var sw = Stopwatch.StartNew();
    using var p = new Protocol(series, Split.Parse(e.Resource == "" ? "8640,2880,2880" : "0.7,0.1,0.2"), e.Input, e.Horizon);
    Console.WriteLine($"{series.Name} last {Errors.OfLastValue(p)} seasonal {Errors.OfSeasonalNaive(p, e.Season ?? series.FindSeason()!.Value)} {sw.Elapsed}");
    foreach (var rin in new[] { true, false })
    {
        sw.Restart();
        manual_seed((long)E("SEED", 0));
        var map = model == "linear" ? nn.Linear(e.Input, e.Horizon) : Forecaster.ResidualMlp(e.Input, e.Horizon, w => new RMSNorm(w));
        using var net = new Forecaster(map, rin ? new RINorm(p.Columns) : null);
        new Training((int)E("EPOCHS", 8), E("LR", 1e-3), (int)E("BATCH", 32), (int)E("SEED", 0)).Run(net, p, (d, v) => { if (v is not null) Console.Write($"{v:0.0000} "); }, default);
        Console.WriteLine();
        Console.WriteLine($"rin {rin} {Errors.Of(net, p.Test, default)} {sw.Elapsed} tensors {Tensor.TotalCount}");
    }
}
