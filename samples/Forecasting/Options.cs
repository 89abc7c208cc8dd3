namespace Forecasting;

/// <summary>What the command line asks for; null where it leaves the choice to the series.</summary>
internal sealed record Options(
    string? Csv, string? Time, string[]? Columns, Split Split, int? Input, int? Horizon, int? Season, string Model, string Norm, int Epochs, int Seed, string Out)
{
    public const string Linear = "linear", ResidualMlp = "mlp";
}
