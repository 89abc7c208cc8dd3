using System.Globalization;

namespace Darts.Norm.Benchmarks;

/// <summary>What missing values cost: RINorm's forward with them, as multiples of the plain one, which takes turns with them.</summary>
public static class MissingValues
{
    /// <summary>At most so many plain forwards.</summary>
    private const double Bound = 1.5;

    private static readonly long[][] Shapes = [[32, 336, 862], [32, 96, 321], [32, 512, 7]];

    public static void Print(IReadOnlyList<int> threads, IReadOnlyList<ScalarType> dtypes)
    {
        Console.WriteLine("| | threads | plain, µs | NaN | mask | mask of time steps | NaN, mask, last value, floor | |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var dtype in dtypes)
        {
            foreach (var shape in Shapes)
            {
                foreach (var count in threads)
                {
                    set_num_threads(count);
                    Console.WriteLine(Line($"[{string.Join(", ", shape)}] {dtype} | {count}", Measure(shape, dtype)));
                }
            }
        }
    }

    private static string Line(string name, double[] seconds)
    {
        var ratios = seconds[1..].Select(each => each / seconds[0]).ToList();
        return string.Create(
            CultureInfo.InvariantCulture, $"| {name} | {1e6 * seconds[0]:0.#} | {string.Join(" | ", ratios.Select(ratio => ratio.ToString("0.00", CultureInfo.InvariantCulture)))} | {(ratios.Max() <= Bound ? "" : "over")} |");
    }

    private static double[] Measure(long[] shape, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var plain = randn(shape, dtype);
        var mask = rand(shape) > 0.25;
        var steps = mask[.., .., ..1].contiguous();
        var holed = plain.masked_fill(rand(shape) < 0.25, double.NaN);
        var (without, with) = (new RINorm(shape[^1], dtype: dtype), new RINorm(shape[^1], dtype: dtype) { missing = Missing.Zero });
        var all = new RINorm(shape[^1], dtype: dtype) { missing = Missing.Zero, subtract_last = true, min_stdev = 0.1 };
        return Quick.Medians([Of(without, plain, null), Of(with, holed, null), Of(with, plain, mask), Of(with, plain, steps), Of(all, holed, mask)], seconds: 1.5);
    }

    private static Action Of(RINorm rin, Tensor x, Tensor? mask) => () =>
    {
        var (y, statistics) = rin.normalize(x, mask);
        y.Dispose();
        statistics.Dispose();
    };
}
