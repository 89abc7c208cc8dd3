using ScottPlot;

namespace Forecasting.Tests;

public sealed class OutputTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    public void Dispose()
    {
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void Write_Results_HasTheColumnsAndPlainNumbers()
    {
        var path = new Output(_directory).Write("results.csv", Result.Csv([new("a,b", "mlp", "rms", true, 24, new(0.5, 1234.5), 2.345)]));
        File.ReadAllLines(path).Should().Equal(
            "data,model,norm,rinorm,horizon,mse,mae,seconds", "\"a,b\",mlp,rms,true,24,0.500000,1234.500000,2.35");
    }

    [Fact]
    public void Write_NameThatIsNoFileName_IsMadeOne()
    {
        new Output(_directory).Write("a/b: c?.png", [1, 2, 3]);
        Directory.GetFiles(_directory).Select(Path.GetFileName).Should().Equal("a_b_ c_.png");
    }

    [Fact]
    public void Write_NamesThatBecomeOne_StayTwoFiles()
    {
        var output = new Output(_directory);
        foreach (var name in new[] { "s-a/b.png", "s-a:b.png", "S-A_B.png", new string('x', 300) + ".png" })
            output.Write(name, [1]);
        Directory.GetFiles(_directory).Select(Path.GetFileName).Should().BeEquivalentTo("s-a_b.png", "s-a_b (2).png", "S-A_B (3).png", new string('x', 100) + ".png");
    }

    [Fact]
    public void New_DirectoryThatIsAFile_IsRefused()
    {
        Directory.CreateDirectory(_directory);
        var file = Path.Combine(_directory, "file");
        File.WriteAllText(file, "");
        var make = () => new Output(file);
        make.Should().Throw<InputException>().WithMessage("--out * cannot be written to: * Give another directory.");
    }

    [Fact]
    public void Register_AnyMachine_PlotsHaveText()
    {
        EmbeddedFont.Register();
        Titled("one").Should().NotEqual(Titled("two"));

        static byte[] Titled(string title)
        {
            var plot = new Plot();
            plot.Title(title);
            return plot.GetImageBytes(300, 200, ImageFormat.Png);
        }
    }
}
