using System.Globalization;
using CsvHelper;
using CsvHelper.Configuration.Attributes;

namespace Forecasting;

/// <summary>The directory that results and pictures go to.</summary>
internal sealed class Output
{
    private readonly string _directory;

    /// <summary>Makes the directory, and tries to write there before any work is done.</summary>
    public Output(string directory)
    {
        _directory = directory;
        Try(() =>
        {
            Directory.CreateDirectory(directory);
            using var probe = new FileStream(Path.Combine(directory, Path.GetRandomFileName()), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        });
    }

    /// <summary>Writes results.csv.</summary>
    public string Write(IEnumerable<Result> results)
    {
        using var text = new StringWriter();
        using (var csv = new CsvWriter(text, CultureInfo.InvariantCulture))
            csv.WriteRecords(results.Select(Row.Of));
        return Write("results.csv", System.Text.Encoding.UTF8.GetBytes(text.ToString()));
    }

    /// <summary>Writes a file, whole or not at all.</summary>
    public string Write(string name, byte[] content)
    {
        var safeName = string.Concat(name.Select(c => Path.GetInvalidFileNameChars().Contains(c) || char.IsControl(c) || "\\:*?\"<>|".Contains(c) ? '_' : c));
        var path = Path.Combine(_directory, safeName);
        Try(() =>
        {
            var partial = path + ".partial";
            File.WriteAllBytes(partial, content);
            File.Move(partial, path, overwrite: true);
        });
        return path;
    }

    private void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new InputException($"--out {_directory} cannot be written to: {e.Message} Give another directory.");
        }
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
