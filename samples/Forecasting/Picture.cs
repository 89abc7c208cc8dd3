using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Forecasting;

/// <summary>A picture of a column: above, the forecasts over the whole test part; below, one of them.</summary>
internal static class Picture
{
    private const int MostColumns = 8, MostPoints = 2500, Width = 1200, Height = 900;

    // Okabe and Ito's colours, which colour-blind readers tell apart.
    private static readonly Color Past = Color.FromHex("#7F7F7F"), Truth = Colors.Black, With = Color.FromHex("#0072B2"), Without = Color.FromHex("#D55E00");
    private static readonly Color Training = Color.FromHex("#EFEFEF"), Validation = Color.FromHex("#DCDCDC");

    /// <summary>Draws each of the first columns.</summary>
    public static IReadOnlyList<(string Name, byte[] Png)> Draw(Protocol protocol, Forecasts without, Forecasts with)
    {
        EmbeddedFont.Register();
        return [.. Enumerable.Range(0, Math.Min(protocol.Columns, MostColumns)).Select(column =>
            ($"{protocol.Series.Name}-{protocol.Series.Columns[column]}.png", Draw(protocol, column, without, with)))];
    }

    private static byte[] Draw(Protocol protocol, int column, Forecasts without, Forecasts with)
    {
        var series = protocol.Series;
        var (input, horizon) = (protocol.Input, protocol.Horizon);
        var origins = Forecasts.Origins(protocol).ToArray();
        var multiplot = new Multiplot();
        multiplot.AddPlots(2);

        // Days within years would be a thick bar: there, one point stands for as many rows as a forecast has.
        var bin = protocol.TestEnd <= MostPoints ? 1 : horizon;
        var begin = origins[0] - (bin * Math.Min(MostPoints, origins[0] / bin));
        var all = multiplot.GetPlot(0);
        Span(all, begin, protocol.TrainEnd, Training, "training part");
        Span(all, Math.Max(begin, protocol.TrainEnd), protocol.ValidEnd, Validation, "validation part");
        Line(all, begin, Values(begin, origins[0]), bin, Past, LinePattern.Solid, 1.5f, "history");
        Line(all, origins[0], Values(origins[0], origins[^1] + horizon), bin, Truth, LinePattern.Solid, 1.5f, "truth");
        Both(all, bin == 1 ? Enumerable.Range(0, origins.Length).Select(number => (number, 1)) : [(0, origins.Length)], bin, 1.5f);
        Finish(all, $"{series.Name}, {series.Columns[column]}: {origins.Length} forecasts of {horizon} rows, one after the other over the test part"
            + (bin > 1 ? $"; the mean of each {bin} rows" : ""));
        all.ShowLegend(Edge.Bottom);

        var typical = Enumerable.Range(0, origins.Length).OrderBy(Gain).ElementAt(origins.Length / 2);
        var (origin, one) = (origins[typical], multiplot.GetPlot(1));
        Line(one, origin - input, Values(origin - input, origin), 1, Past, LinePattern.Solid, 2, "history");
        Line(one, origin - 1, Values(origin - 1, origin + horizon), 1, Truth, LinePattern.Solid, 2.5f, "truth");
        Both(one, [(typical, 1)], 1, 2.5f, withErrors: true);
        Finish(one, $"The one of them with the median gain by RINorm: {horizon} rows after the {input} that the network sees");
        one.ShowLegend(Edge.Bottom);

        return multiplot.Render(Width, Height).GetImageBytes(ImageFormat.Png);

        double[] Values(int from, int to) => [.. Enumerable.Range(from, to - from).Select(row => series[row, column])];

        double At(int row) => series.Times?[row].ToOADate() ?? row + 1;

        double Gain(int number)
        {
            var truth = Values(origins[number], origins[number] + horizon);
            return Squared(without) - Squared(with);
            double Squared(Forecasts forecasts) => forecasts.Of(number, column).Zip(truth, (forecast, value) => (forecast - value) * (forecast - value)).Sum();
        }

        void Span(Plot plot, int from, int to, Color color, string name)
        {
            if (from >= to)
                return;
            var span = plot.Add.HorizontalSpan(At(from), At(to), color);
            span.LineWidth = 0;
            span.LegendText = name;
        }

        void Both(Plot plot, IEnumerable<(int First, int Count)> runs, int points, float width, bool withErrors = false)
        {
            var named = new HashSet<string>();
            foreach (var (first, count) in runs)
            {
                foreach (var (forecasts, color, pattern, name) in new[] { (without, Without, LinePattern.DenselyDashed, "without"), (with, With, LinePattern.Solid, "with") })
                {
                    var values = Enumerable.Range(first, count).SelectMany(number => forecasts.Of(number, column)).ToArray();
                    var text = $"{name} RINorm" + (withErrors ? string.Create(CultureInfo.InvariantCulture, $" (MSE of all columns and windows: {forecasts.Errors.Mse:0.00})") : "");
                    Line(plot, origins[first], values, points, color, pattern, width, named.Add(name) ? text : "");
                }
            }
        }

        void Line(Plot plot, int from, double[] values, int points, Color color, LinePattern pattern, float width, string name = "")
        {
            var starts = Enumerable.Range(0, values.Length / points).Select(i => i * points).ToArray();
            var line = plot.Add.ScatterLine(
                starts.Select(start => At(from + start + (points / 2))).ToArray(), starts.Select(start => values.AsSpan(start, points).ToArray().Average()).ToArray(), color);
            (line.LineWidth, line.LinePattern, line.LegendText) = (width, pattern, name);
            line.MarkerSize = starts.Length < 3 ? 6 : 0; // too short to see as a line
        }

        void Finish(Plot plot, string title)
        {
            if (series.Times is null)
                plot.Axes.Bottom.TickGenerator = new NumericAutomatic { IntegerTicksOnly = true };
            else
                plot.Axes.DateTimeTicksBottom().TickGenerator = new DateTimeAutomatic { LabelFormatter = time => time.ToString(time.TimeOfDay == TimeSpan.Zero ? "yyyy-MM-dd" : "MM-dd HH:mm", CultureInfo.InvariantCulture) };
            // A number of hundreds of digits would leave no room for the plot.
            plot.Axes.Left.TickGenerator = new NumericAutomatic
            {
                LabelFormatter = value => value == 0 || Math.Abs(value) is >= 1e-3 and < 1e15 ? value.ToString("#,0.#######", CultureInfo.InvariantCulture) : value.ToString("g6", CultureInfo.InvariantCulture),
            };
            plot.Title(title, 18);
            plot.YLabel(series.Columns[column] + (series.Units is { } units ? $" ({units[column]})" : ""));
            plot.XLabel(series.TimeName);
            plot.Axes.Right.MinimumSize = 40; // for the last time's text
            plot.Axes.Margins(horizontal: 0.01);
            plot.Legend.TightHorizontalWrapping = true;
            (plot.Legend.SymbolWidth, plot.Legend.FontSize, plot.Legend.OutlineWidth) = (40, 14, 0);
            plot.Legend.ShadowColor = Colors.Transparent;
        }
    }
}
