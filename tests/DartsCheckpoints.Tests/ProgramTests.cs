namespace DartsCheckpoints.Tests;

public sealed class ProgramTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
    private readonly Written _written = new();

    public void Dispose()
    {
        _written.Dispose();
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void Run_NoArguments_DrawsBothNetworksAndFindsThemAlike()
    {
        Run("--out", _directory).Should().Be(0);
        Directory.GetFiles(_directory).Select(Path.GetFileName).Order().Should().Equal("tide.png", "tsmixer.png");
        File.ReadAllBytes(Path.Combine(_directory, "tide.png")).Should().StartWith([0x89, (byte)'P', (byte)'N', (byte)'G']);
    }

    [Fact]
    public void Run_ForecastsThatAreNotDarts_SaysSoByItsExitCode()
    {
        var quantiles = _written.Write("NLinearModel", Written.Parameters("NLinearModel"), new(6, 1, 5, 1, 1, 5, 3)); // whose recorded forecast is 0
        Run(quantiles, "--out", _directory).Should().Be(1);
        File.Exists(Path.Combine(_directory, "NLinearModel.png")).Should().BeTrue();
    }

    [Fact]
    public void Run_NoSuchFile_IsRefused() => Run(Path.Combine(_directory, "none.json"), "--out", _directory).Should().Be(2);

    private static int Run(params string[] args) => (int)typeof(Checkpoint).Assembly.EntryPoint!.Invoke(null, [args])!;
}
