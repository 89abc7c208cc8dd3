using System.Globalization;
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
            // In units of the largest value, a power of two: no sum overflows, no square vanishes, no digit changes.
            var largest = values.Max(Math.Abs);
            var unit = largest > 0 ? Math.ScaleB(1, Math.Max(Math.ILogB(largest), -1022)) : 1;
            var mean = values.Average(value => value / unit);
            _means[column] = mean * unit;
            // A constant column has no scale; asked by its values, as its mean may be rounded.
            var scale = values.Max() > values.Min() ? Math.Sqrt(values.Average(value => ((value / unit) - mean) * ((value / unit) - mean))) * unit : 0;
            _scales[column] = scale > 0 ? scale : 1;
        }

        var standardised = new float[TestEnd * Columns];
        for (var i = 0; i < standardised.Length; i++)
            standardised[i] = Finite(i / Columns, i % Columns);
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

    private float Finite(int row, int column)
    {
        var value = (float)this[row, column];
        return float.IsFinite(value)
            ? value
            : throw new InputException(string.Create(
                CultureInfo.InvariantCulture,
                $"{Series.Name}, column {InputException.Quote(Series.Columns[column])}, row {row + 1} below the header: {Series[row, column]} is too far from the training part, of mean {_means[column]:g3} and standard deviation {_scales[column]:g3}, to compare. Correct it, or choose other columns with --columns."));
    }

    public void Dispose()
    {
        Train.Dispose();
        Valid.Dispose();
        Test.Dispose();
    }
}
