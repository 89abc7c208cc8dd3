namespace Forecasting;

/// <summary>A series inside the program, with the settings that its expected errors were measured with.</summary>
internal sealed record EmbeddedSeries(string Name, string Resource, string[] Columns, string[] Units, int Input, int Horizon, int? Season, string? TimeName)
{
    public static readonly EmbeddedSeries[] All =
    [
        new("eustock", "eustock.csv", ["DAX", "SMI", "CAC", "FTSE"], ["index points", "index points", "index points", "index points"], 96, 24, 5, "business day since mid-1991"),
        new("victoria", "victoria_electricity_2014.csv", ["Demand", "Temperature"], ["GW", "°C"], 336, 48, null, null),
    ];

    public Series Read()
    {
        using var text = new StreamReader(typeof(EmbeddedSeries).Assembly.GetManifestResourceStream(Resource)!);
        var series = CsvSeries.Read(text, Resource, Name, only: Columns);
        series.Units = Units;
        series.TimeName = TimeName ?? series.TimeName;
        return series;
    }
}
