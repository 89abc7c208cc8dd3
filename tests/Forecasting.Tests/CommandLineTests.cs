namespace Forecasting.Tests;

public sealed class CommandLineTests
{
    [Fact]
    public void Run_NoArguments_LeavesTheChoiceToTheSeries() => Parse().Should().BeEquivalentTo(
        new { Csv = (string?)null, Input = (int?)null, Horizon = (int?)null, Model = "mlp", Norm = "rms", Epochs = 8, Seed = 0, Out = "forecasts" });

    [Fact]
    public void Run_AllArguments_AreTaken()
    {
        var options = Parse(
            "--csv", "f.csv", "--time", "t", "--columns", "a, b", "--split", "8640,2880,2880", "--input", "336", "--horizon", "96", "--season", "24",
            "--model", "Linear", "--norm", "LayerNorm", "--epochs", "3", "--seed", "7", "--out", "dir");
        options.Columns.Should().Equal("a", "b");
        options.Should().BeEquivalentTo(
            new { Csv = "f.csv", Time = "t", Input = 336, Horizon = 96, Season = 24, Model = "linear", Norm = "layer", Epochs = 3, Seed = 7, Out = "dir" });
    }

    [Theory]
    [InlineData("Unrecognized command or argument '--nope'.", "--nope")]
    [InlineData("Required argument missing for option: '--input'.", "--input")]
    [InlineData("--input takes a whole number from 1 to 2147483647, but received '-3'.", "--input", "-3")]
    [InlineData("--epochs takes a whole number from 1 to 2147483647, but received '1.5'.", "--epochs", "1.5")]
    [InlineData("--seed takes a whole number from 0 to 2147483647, but received '-1'.", "--seed", "-1")]
    [InlineData("--norm has no 'batch'. Choose rms, layer, layer-nobias or none.", "--norm", "batch")]
    [InlineData("--model has no 'rnn'. Choose mlp or linear.", "--model", "rnn")]
    [InlineData("--out is empty. Give DIR.", "--out", "")]
    [InlineData("--split '1,2' has 2 part(s), not 3.", "--split", "1,2")]
    public void Run_BadArgument_SaysWhatToDoOnOneLine(string expected, params string[] args)
    {
        var run = () => Parse(args);
        run.Should().Throw<InputException>().Which.Message.Should().StartWith(expected).And.EndWith("See --help.").And.NotContain("\n");
    }

    private static Options Parse(params string[] args)
    {
        Options? parsed = null;
        CommandLine.Run(args, options =>
        {
            parsed = options;
            return 0;
        });
        return parsed!;
    }
}
