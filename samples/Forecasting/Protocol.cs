using static TorchSharp.torch;

namespace Forecasting;

/// <summary>
/// The literature's way to compare forecasters: standardise by the training part, forecast every window of every column, measure on standardised values.
/// </summary>
internal sealed class Protocol : IDisposable
{
    private readonly double[] _means;
    private readonly double[] _scales;

    public Protocol(Series series, Split split, int input, int horizon)
    {
        var (train, valid, test) = split.Rows(series, input, horizon);
        (Series, Input, Horizon, TrainEnd, ValidEnd, TestEnd) = (series, input, horizon, train, train + valid, train + valid + test);

        (_means, _scales) = (new double[Columns], new double[Columns]);
        for (var column = 0; column < Columns; column++)
        {
            var values = Enumerable.Range(0, train).Select(row => series[row, column]).ToArray();
            _means[column] = values.Average();
            var scale = Math.Sqrt(values.Average(value => (value - _means[column]) * (value - _means[column])));
            if (!double.IsFinite(scale))
                throw new InputException($"{series.Name}, column {InputException.Quote(series.Columns[column])}: the values are too large to average. Give them in a larger unit.");
            // A constant column has no scale; asked by its values, as its mean may be rounded.
            _scales[column] = values.Max() > values.Min() ? scale : 1;
        }

        var standardised = new float[TestEnd * Columns];
        for (var i = 0; i < standardised.Length; i++)
            standardised[i] = (float)this[i / Columns, i % Columns];
        using var scope = NewDisposeScope();
        var rows = tensor(standardised, [TestEnd, Columns]);
        Train = new(rows, 0, TrainEnd, input, horizon);
        Valid = new(rows, TrainEnd, ValidEnd, input, horizon);
        Test = new(rows, ValidEnd, TestEnd, input, horizon);
    }

    public Series Series { get; }
    public int Columns => Series.Columns.Count;
    public int Input { get; }
    public int Horizon { get; }
    public int TrainEnd { get; }
    public int ValidEnd { get; }
    public int TestEnd { get; }
    public Windows Train { get; }
    public Windows Valid { get; }
    public Windows Test { get; }

    /// <summary>A standardised value.</summary>
    public double this[int row, int column] => (Series[row, column] - _means[column]) / _scales[column];

    /// <summary>A standardised value in the column's own unit.</summary>
    public double ToUnit(double standardised, int column) => (standardised * _scales[column]) + _means[column];

    public void Dispose()
    {
        Train.Dispose();
        Valid.Dispose();
        Test.Dispose();
    }
}
