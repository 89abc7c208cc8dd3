namespace Forecasting;

/// <summary>A series inside the program, with the settings that its expected errors were measured with.</summary>
internal sealed record EmbeddedSeries(string Resource, string Name, int Input, int Horizon, int? Season, string[]? Only)
{
    public static readonly EmbeddedSeries[] All =
    [
        new("eustock.csv", "eustock", 96, 24, 5, null),
        new("victoria_electricity_2014.csv", "victoria", 336, 48, null, ["Demand", "Temperature"]),
    ];

    public Series Read()
    {
        using var text = new StreamReader(typeof(EmbeddedSeries).Assembly.GetManifestResourceStream(Resource)!);
        return CsvSeries.Read(text, Resource, Name, only: Only);
    }
}
