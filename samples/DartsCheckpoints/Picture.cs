using ScottPlot;
using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>Forecasts of Darts and of this program, one on the other: a row for each target, a column for each window.</summary>
internal static class Picture
{
    private const int Most = 4, PanelWidth = 420, PanelHeight = 280;

    // Okabe and Ito's colours, which colour-blind readers tell apart.
    private static readonly Color Past = Color.FromHex("#7F7F7F"), Darts = Color.FromHex("#E69F00"), Here = Color.FromHex("#0072B2");

    /// <summary>Draws the first targets of the first windows, as PNG.</summary>
    public static byte[] Draw(Checkpoint checkpoint, Tensor forecast)
    {
        EmbeddedFont.Register();
        using var scope = NewDisposeScope();
        var sizes = checkpoint.Sizes;
        var (past, darts, here) = (checkpoint.Inputs.past_target.to(float64), checkpoint.Output.to(float64), forecast.to(float64));
        var (rows, columns) = ((int)Math.Min(Most, sizes.Targets), (int)Math.Min(Most, past.size(0)));
        var shown = (int)Math.Min(sizes.PastSteps, 3 * sizes.FutureSteps);
        var multiplot = new Multiplot { Layout = new ScottPlot.MultiplotLayouts.Grid(rows, columns) };
        multiplot.AddPlots(rows * columns);
        for (var target = 0; target < rows; target++)
        {
            for (var window = 0; window < columns; window++)
                Draw(multiplot.GetPlot((target * columns) + window), target, window);
        }
        return multiplot.Render(columns * PanelWidth, rows * PanelHeight).GetImageBytes(ImageFormat.Png);

        void Draw(Plot plot, int target, int window)
        {
            Line(plot, 1 - shown, past.select(2, target)[window][^shown..], Past, 1.5f, LinePattern.Solid, "past");
            for (var parameter = 0; parameter < sizes.Parameters; parameter++)
            {
                Line(plot, 1, darts.select(2, target).select(2, parameter)[window], Darts, 5, LinePattern.Solid, parameter == 0 ? "Darts" : "");
                Line(plot, 1, here.select(2, target).select(2, parameter)[window], Here, 1.5f, LinePattern.DenselyDashed, parameter == 0 ? "C#" : "");
            }
            if (window == 0)
                plot.YLabel(checkpoint.Targets[target]);
            if (target == 0)
                plot.Title(window == 0 ? $"{checkpoint.Name}: {string.Join(", ", checkpoint.Parameters)}, window 1" : $"window {window + 1}", 14);
            if (target == rows - 1)
                plot.XLabel("steps from the last known value");
            if (target == 0 && window == columns - 1)
                plot.ShowLegend(Alignment.UpperLeft);
            else
                plot.HideLegend();
        }

        static void Line(Plot plot, int first, Tensor values, Color color, float width, LinePattern pattern, string name)
        {
            var y = values.data<double>().ToArray();
            var line = plot.Add.ScatterLine(Enumerable.Range(first, y.Length).Select(step => (double)step).ToArray(), y, color);
            (line.LineWidth, line.LinePattern, line.LegendText) = (width, pattern, name);
            line.MarkerSize = y.Length < 3 ? 6 : 0; // too short to see as a line
        }
    }
}
