namespace Forecasting.Tests;

public sealed class SplitTests
{
    [Theory]
    [InlineData("0.7,0.1,0.2", 1860, 1302, 186, 372)]
    [InlineData("0.7,0.1,0.2", 101, 70, 11, 20)] // training and test down, validation the rest
    [InlineData("8640,2880,2880", 17420, 8640, 2880, 2880)]
    [InlineData(" 60 , 20 , 20 ", 100, 60, 20, 20)]
    public void Rows_Split_AreTheLiteratures(string text, int rows, int train, int valid, int test) =>
        Split.Parse(text).Rows(Samples.Line(rows), 8, 4).Should().Be((train, valid, test));

    [Theory]
    [InlineData("0.7,0.3", "has 2 part(s), not 3")]
    [InlineData("0.7,0.1,0.3", "sums to 1.1, not 1")]
    [InlineData("0.7,0.1,x", "'x' is not a number")]
    [InlineData("0.7,0.1,", "'' is not a number")]
    [InlineData("NaN,1,1", "'NaN' is not a number")]
    [InlineData("-5,10,10", "each part must be above 0")]
    [InlineData("0.7,0,0.3", "each part must be above 0")]
    [InlineData("100,0.5,20", "neither fractions alone nor whole numbers alone")]
    public void Parse_BadText_SaysWhy(string text, string expected)
    {
        var parse = () => Split.Parse(text);
        parse.Should().Throw<InputException>().WithMessage($"*{expected}*");
    }

    [Theory]
    [InlineData("60,20,21", "takes 101 row(s), but s has 100")]
    [InlineData("11,40,40", "training part gets 11 of 100 row(s), but --input 8 and --horizon 4 need(s) 12")]
    [InlineData("60,3,20", "validation part gets 3 of 100 row(s), but --horizon 4 need(s) 4")]
    [InlineData("60,20,3", "test part gets 3 of 100 row(s)")]
    public void Rows_PartsThatDoNotFit_SaysWhich(string text, string expected)
    {
        var rows = () => Split.Parse(text).Rows(Samples.Line(100), 8, 4);
        rows.Should().Throw<InputException>().WithMessage($"*{expected}*");
    }
}
