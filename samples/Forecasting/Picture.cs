using System.Globalization;
using ScottPlot;

namespace Forecasting;

/// <summary>A picture of a column: above, the forecasts over the whole test part; below, one of them.</summary>
internal static class Picture
{
    private const int MostColumns = 4, Width = 1200, Height = 900;
    private const int MostRows = 5000; // more do not show

    // Okabe and Ito's colours, which colour-blind readers tell apart.
    private static readonly Color Past = Color.FromHex("#8C8C8C"), Truth = Colors.Black, With = Color.FromHex("#0072B2"), Without = Color.FromHex("#D55E00");

    /// <summary>Draws each of the first columns.</summary>
    public static IReadOnlyList<(string Name, byte[] Png)> Draw(Protocol protocol, (Result Result, Forecasts Forecasts) without, (Result Result, Forecasts Forecasts) with) =>
        [.. Enumerable.Range(0, Math.Min(protocol.Columns, MostColumns)).Select(column =>
            ($"{protocol.Series.Name}-{protocol.Series.Columns[column]}.png", Draw(protocol, column, without, with)))];

    private static byte[] Draw(Protocol protocol, int column, (Result Result, Forecasts Forecasts) without, (Result Result, Forecasts Forecasts) with)
    {
        var series = protocol.Series;
        var origins = Forecasts.Origins(protocol).ToArray();
        var middle = origins.Length / 2;
        EmbeddedFont.Register();
        var multiplot = new Multiplot();
        multiplot.AddPlots(2);

        var all = multiplot.GetPlot(0);
        Line(all, series, column, Math.Max(0, protocol.TestEnd - MostRows), protocol.ValidEnd + 1, Past, 1.5f, "history");
        Line(all, series, column, protocol.ValidEnd, protocol.TestEnd, Truth, 1.5f, "truth");
        for (var i = 0; i < origins.Length; i++)
            Both(all, i, 1.5f);
        Finish(all, $"{series.Name}, {series.Columns[column]}: forecasts of {protocol.Horizon} rows, one after the other over the test part");

        var one = multiplot.GetPlot(1);
        Line(one, series, column, origins[middle] - protocol.Input, origins[middle], Past, 2, "history");
        Line(one, series, column, origins[middle] - 1, origins[middle] + protocol.Horizon, Truth, 2.5f, "truth");
        Both(one, middle, 2.5f);
        Finish(one, $"The one in the middle: {protocol.Horizon} rows, and the {protocol.Input} that the network sees");

        return multiplot.Render(Width, Height).GetImageBytes(ImageFormat.Png);

        void Both(Plot plot, int number, float width)
        {
            foreach (var (forecasts, result, color, pattern) in new[] { (without.Forecasts, without.Result, Without, LinePattern.Dashed), (with.Forecasts, with.Result, With, LinePattern.Solid) })
            {
                var name = string.Create(CultureInfo.InvariantCulture, $"{(result.RINorm ? "with" : "without")} RINorm (test MSE {result.Errors.Mse:0.00})");
                Line(plot, Times(series, origins[number], protocol.Horizon), forecasts.Of(number, column), color, width, number == 0 || width > 2 ? name : "").LinePattern = pattern;
            }
        }

        void Finish(Plot plot, string title)
        {
            plot.Title(title);
            plot.YLabel(series.Columns[column] + (series.Units is { } units ? $" ({units[column]})" : ""));
            plot.XLabel(series.TimeName);
            if (series.Times is not null)
                plot.Axes.DateTimeTicksBottom();
            plot.ShowLegend(Edge.Bottom);
        }
    }

    private static double[] Times(Series series, int row, int count) =>
        [.. Enumerable.Range(row, count).Select(at => series.Times?[at].ToOADate() ?? at + 1)];

    private static void Line(Plot plot, Series series, int column, int begin, int end, Color color, float width, string name) =>
        Line(plot, Times(series, begin, end - begin), [.. Enumerable.Range(begin, end - begin).Select(row => series[row, column])], color, width, name);

    private static ScottPlot.Plottables.Scatter Line(Plot plot, double[] times, double[] values, Color color, float width, string name)
    {
        var line = plot.Add.ScatterLine(times, values, color);
        line.LineWidth = width;
        line.LegendText = name;
        return line;
    }
}
