namespace Forecasting.Tests;

public sealed class CsvSeriesTests
{
    [Theory]
    [InlineData("a,b\n1,2\n3,4\n")]
    [InlineData("a,b\r\n1,2\r\n3,4")]
    [InlineData("\"a\";\"b\"\n\"1\";2\n3;4\n")]
    [InlineData("a\tb\n1\t2\n\n3\t4\n")]
    [InlineData("a | b\n 1 | 2\n3|4\n")]
    [InlineData("time,a,b\n2020-01-01,1,2\n2020-01-02,3,4\n")]
    [InlineData(",a,b\n0,1,2\n1,3,4\n")]
    [InlineData("a,b\n1e0,+2\n3.0,0004\n")]
    public void Read_FormsOfOneTable_GiveTheSameSeries(string text)
    {
        var series = Read(text);
        series.Columns.Should().Equal("a", "b");
        Values(series).Should().Equal(1, 2, 3, 4);
    }

    [Theory]
    [InlineData("", "f.csv is empty")]
    [InlineData("\n\n", "f.csv is empty")]
    [InlineData("a,b\n", "f.csv has a header but no rows")]
    [InlineData("1,2\n3,4\n", "f.csv, line 1: the header has numbers only")]
    [InlineData("a,a\n1,2\n", "f.csv, line 1: two columns are called 'a'")]
    [InlineData("a,b,\n1,2,\n", "f.csv, line 1: column 3 has no name")]
    [InlineData("a,b\n1,2\n3\n", "f.csv, line 3: the row has 1 cell(s), the header 2")]
    [InlineData("a,b\n1,2\n\n3,4,5", "f.csv, line 4: the row has 3 cell(s), the header 2")]
    [InlineData("a,b\n1,2\n3,x\n", "f.csv, line 3, column 'b': 'x' is not a finite number. Correct it, or choose other columns with --columns.")]
    [InlineData("quarter,b\n2020-Q1,2\n", "f.csv, line 2, column 'quarter': '2020-Q1' is not a finite number. Correct it, or choose other columns with --columns; if it is the time column, say --time quarter.")]
    [InlineData("time,b\n01/13/2020,2\n13/01/2020,2\n", "f.csv, line 3, column 'time': '13/01/2020' is not a time")]
    [InlineData("time,b\n13.01.2020,2\n01.13.2020,2\n", "f.csv, line 3, column 'time': '01.13.2020' is not a time")]
    [InlineData("time,b\n02/03/2020,2\n13/02/2020,2\n", "f.csv, line 3, column 'time': '13/02/2020' is before the first row's time")]
    [InlineData("a,b\n1,2\nNaN,3\n", "f.csv, line 3, column 'a': 'NaN' is not a finite number")]
    [InlineData("a,b\n1,2\n1e999,3\n", "f.csv, line 3, column 'a': '1e999' is not a finite number")]
    [InlineData("a,b\n1,2\n,3\n", "f.csv, line 3, column 'a': '' is empty")]
    [InlineData("a;b\n1,5;2\n", "f.csv, line 2, column 'a': '1,5' has a comma. Write a decimal point, '1.5'")]
    [InlineData("a,b\n1,\"2\n3,4\n", "f.csv, line 2: a quote is not closed")]
    [InlineData("a,b\n1,2\n3,4\"5\n", "f.csv, line 3: a quote stands inside a cell")]
    [InlineData("a,when\n1,2020-01-01\n", "f.csv, line 2, column 'when': '2020-01-01' is a time, not a number. Say --time when")]
    [InlineData("time,a\n2020-01-01,1\nsoon,2\n", "f.csv, line 3, column 'time': 'soon' is not a time")]
    [InlineData("time,a\n2020-01-02,1\n2020-01-01,2\n", "f.csv, line 3, column 'time': '2020-01-01' is before the first row's time")]
    [InlineData("a,b\n\"1\n\",2\n3,x\n", "f.csv, line 4, column 'b': 'x' is not")]
    public void Read_BadText_NamesLineAndColumnOnOneLine(string text, string expected)
    {
        var read = () => Read(text);
        read.Should().Throw<InputException>().Which.Message.Should().StartWith(expected).And.NotContain("\n");
    }

    [Fact]
    public void Read_CellThatNeverEnds_IsRefused()
    {
        var read = () => Read("a,b\n1,\"" + new string('x', 20_000));
        read.Should().Throw<InputException>().WithMessage("f.csv, line 2: a quote is not closed*");
    }

    [Fact]
    public void Read_FileThatIsMissing_SaysSo()
    {
        var read = () => CsvSeries.Read("no-such-file.csv");
        read.Should().Throw<InputException>().WithMessage("no-such-file.csv does not exist*");
    }

    [Fact]
    public void Read_ByteOrderMark_IsNoPartOfTheHeader()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, [0xEF, 0xBB, 0xBF, .. "a,b\n1,2\n"u8]);
            CsvSeries.Read(path).Columns.Should().Equal("a", "b");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Read_ColumnsAndTimeChosen_AreTaken()
    {
        var series = CsvSeries.Read(new StringReader("a,b,when\n1,2,2020-01-01\n3,4,2020-01-02\n"), "f.csv", "f", "when", ["b"]);
        series.Columns.Should().Equal("b");
        series.Times.Should().Equal(new DateTime(2020, 1, 1), new DateTime(2020, 1, 2));
    }

    [Theory]
    [InlineData("2020-01-12", "2020-01-13")]
    [InlineData("2020-01-12T00:00:00Z", "2020-01-13T00:00:00Z")]
    [InlineData("01/12/2020", "01/13/2020")]
    [InlineData("12/01/2020", "13/01/2020")]
    [InlineData("12.01.2020", "13.01.2020")]
    [InlineData("12.1.2020 00:00", "13.1.2020 00:00")]
    [InlineData("12 Jan 2020", "13 Jan 2020")]
    public void Read_TimesAsPeopleWriteThem_AreTheseDays(string first, string second) =>
        Read($"when,a\n{first},1\n{second},2\n").Times.Should().Equal(new DateTime(2020, 1, 12), new DateTime(2020, 1, 13));

    [Fact]
    public void Read_ColumnThatIsNotThere_ListsThoseThatAre()
    {
        var read = () => CsvSeries.Read(new StringReader("a,b\n1,2\n"), "f.csv", "f", only: ["c"]);
        read.Should().Throw<InputException>().WithMessage("--columns: f.csv has no column 'c'. It has a, b.");
    }

    [Theory]
    [InlineData("00:30:00", 48)]
    [InlineData("01:00:00", 24)]
    [InlineData("1.00:00:00", 7)]
    [InlineData("7.00:00:00", 52)]
    [InlineData("31.00:00:00", 12)]
    [InlineData("91.00:00:00", 4)]
    [InlineData("365.00:00:00", null)]
    public void FindSeason_Step_GivesRowsOfADayAWeekOrAYear(string step, int? expected)
    {
        var times = Enumerable.Range(0, 30).Select(i => new DateTime(2020, 1, 6) + (i * TimeSpan.Parse(step))).ToArray();
        new Series("s", ["a"], new double[30], times).FindSeason().Should().Be(expected);
    }

    [Fact]
    public void FindSeason_BusinessDays_GivesFive()
    {
        var times = Enumerable.Range(0, 70).Select(i => new DateTime(2020, 1, 6).AddDays(i)).Where(day => day.DayOfWeek is not (DayOfWeek.Saturday or DayOfWeek.Sunday)).ToArray();
        new Series("s", ["a"], new double[times.Length], times).FindSeason().Should().Be(5);
    }

    [Fact]
    public void Embedded_All_AreReadWithTheirUnits()
    {
        EmbeddedSeries.All.Select(embedded => embedded.Read()).Select(series => (series.Rows, series.Columns.Count, series.Units!.Count)).Should().Equal((1860, 4, 4), (17520, 2, 2));
    }

    private static Series Read(string text) => CsvSeries.Read(new StringReader(text), "f.csv", "f");

    private static IEnumerable<double> Values(Series series) =>
        Enumerable.Range(0, series.Rows).SelectMany(row => Enumerable.Range(0, series.Columns.Count).Select(column => series[row, column]));
}
