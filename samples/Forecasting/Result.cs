using System.Globalization;
using System.Text;
using CsvHelper;
using CsvHelper.Configuration.Attributes;

namespace Forecasting;

/// <summary>One forecaster's errors on one series.</summary>
internal sealed record Result(string Data, string Model, string Norm, bool RINorm, int Horizon, Errors Errors, double Seconds)
{
    /// <summary>A CSV file of them.</summary>
    public static byte[] Csv(IEnumerable<Result> results)
    {
        using var text = new StringWriter();
        using (var csv = new CsvWriter(text, CultureInfo.InvariantCulture))
            csv.WriteRecords(results.Select(Row.Of));
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private sealed record Row(
        [property: Name("data")] string Data,
        [property: Name("model")] string Model,
        [property: Name("norm")] string Norm,
        [property: Name("rinorm")] string RINorm,
        [property: Name("horizon")] int Horizon,
        [property: Name("mse"), Format("0.000000")] double Mse,
        [property: Name("mae"), Format("0.000000")] double Mae,
        [property: Name("seconds"), Format("0.00")] double Seconds)
    {
        public static Row Of(Result result) => new(
            result.Data, result.Model, result.Norm, result.RINorm ? "true" : "false", result.Horizon, result.Errors.Mse, result.Errors.Mae, result.Seconds);
    }
}
