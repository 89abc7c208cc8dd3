namespace Forecasting.Tests;

public sealed class ProtocolTests
{
    [Fact]
    public void Windows_EachPart_LooksBackButNeverPredictsOutsideItself()
    {
        using var protocol = Samples.Protocol(Samples.Line(100)); // 70, 10, 20
        (protocol.Train.First, protocol.Train.Count).Should().Be((12, 70 - 12 - 4 + 1));
        (protocol.Valid.First, protocol.Valid.Count).Should().Be((70, 10 - 4 + 1));
        (protocol.Test.First, protocol.Test.Count).Should().Be((80, 20 - 4 + 1));
    }

    [Fact]
    public void Range_Window_IsInputThenHorizon()
    {
        using var scope = NewDisposeScope();
        using var protocol = Samples.Protocol(Samples.Waves(100));
        var (past, future) = protocol.Test.Range(3, 1);
        past.shape.Should().Equal(1, 12, 2);
        future.shape.Should().Equal(1, 4, 2);
        past.contiguous().data<float>().Should().Equal(Rows(protocol, 83 - 12, 83));
        future.contiguous().data<float>().Should().Equal(Rows(protocol, 83, 87));
    }

    [Fact]
    public void Pick_Numbers_GivesTheSameWindowsAsRange()
    {
        using var scope = NewDisposeScope();
        using var protocol = Samples.Protocol(Samples.Waves(100));
        var picked = protocol.Train.Pick([5, 0]);
        picked.Past[0].Equals(protocol.Train.Range(5, 1).Past[0]).Should().BeTrue();
        picked.Future[1].Equals(protocol.Train.Range(0, 1).Future[0]).Should().BeTrue();
    }

    [Fact]
    public void Standardised_TrainingPart_HasMeanZeroAndBiasedVarianceOne()
    {
        using var protocol = Samples.Protocol(Samples.Waves(100));
        var values = Enumerable.Range(0, 70).Select(row => protocol[row, 1]).ToArray();
        values.Average().Should().BeApproximately(0, 1e-12);
        values.Average(value => value * value).Should().BeApproximately(1, 1e-12);
        protocol.ToUnit(protocol[90, 1], 1).Should().BeApproximately(protocol.Series[90, 1], 1e-12);
    }

    [Fact]
    public void Standardised_ConstantColumn_IsZeroAndStaysFinite()
    {
        using var protocol = Samples.Protocol(new("s", ["a"], [.. Enumerable.Repeat(0.1, 99), 0.3])); // 70 times 0.1 does not average to 0.1
        protocol[50, 0].Should().BeApproximately(0, 1e-15);
        protocol[99, 0].Should().BeApproximately(0.2, 1e-15);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1023)]
    [InlineData(-1000)]
    public void Standardised_AnyUnit_GivesTheSameValues(int power)
    {
        var unit = Math.ScaleB(1, power);
        using var protocol = Samples.Protocol(new("s", ["a"], [.. Enumerable.Range(0, 100).Select(row => (row % 2 == 0 ? 1 : 0) * unit)]));
        (protocol[0, 0], protocol[99, 0]).Should().Be((1, -1));
    }

    [Fact]
    public void Standardised_ValueFarBeyondTheTrainingPart_NamesItsRowAndColumn()
    {
        var standardise = () => Samples.Protocol(new("s", ["a"], [.. Enumerable.Range(0, 99).Select(row => (double)(row % 2)), 1e200]));
        standardise.Should().Throw<InputException>().WithMessage("s, column 'a', row 100 below the header: 1E+200 is too far*mean 0.5 and standard deviation 0.5*");
    }

    [Fact]
    public void OfLastValue_Line_ErrsByTheSteps()
    {
        using var protocol = Samples.Protocol(Samples.Line(100));
        var unit = protocol[1, 0] - protocol[0, 0];
        var errors = Errors.OfLastValue(protocol);
        errors.Mae.Should().BeApproximately((1 + 2 + 3 + 4) / 4.0 * unit, 1e-12);
        errors.Mse.Should().BeApproximately((1 + 4 + 9 + 16) / 4.0 * unit * unit, 1e-12);
    }

    [Theory]
    [InlineData(2, 2 + 2 + 4 + 4)] // a season shorter than the horizon repeats twice
    [InlineData(3, 3 + 3 + 3 + 6)]
    [InlineData(8, 8 + 8 + 8 + 8)]
    public void OfSeasonalNaive_Line_ErrsByTheSeasons(int season, int sum)
    {
        using var protocol = Samples.Protocol(Samples.Line(100));
        Errors.OfSeasonalNaive(protocol, season).Mae.Should().BeApproximately(sum / 4.0 * (protocol[1, 0] - protocol[0, 0]), 1e-12);
    }

    private static IEnumerable<float> Rows(Protocol protocol, int begin, int end) =>
        Enumerable.Range(begin, end - begin).SelectMany(row => Enumerable.Range(0, 2).Select(column => (float)protocol[row, column]));
}
