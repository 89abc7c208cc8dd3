using System.Diagnostics;
using System.Globalization;

namespace Darts.Norm.Benchmarks;

/// <summary>The table in less than two minutes: the contenders take turns, so that all of them meet the same weather, and medians are compared.</summary>
public static class Quick
{
    private const double SecondsARow = 0.25;

    /// <summary>Who has had so much of the time leaves out a turn.</summary>
    private const double Share = 0.25;

    /// <summary>A first call of so many seconds, and of several clones, is no compilation: one of what is slow will do.</summary>
    private const double Long = 0.25;

    public static void Print(IEnumerable<Row> rows, IReadOnlyList<int> threads, ScalarType dtype)
    {
        foreach (var count in threads)
        {
            set_num_threads(count);
            Console.WriteLine($"\n{dtype}, {count} {(count == 1 ? "thread" : "threads")}, medians; the multiples are of a clone\n");
            Console.WriteLine("| | clone, µs | fused, µs | fused | at most | layer_norm | op by op | |");
            Console.WriteLine("|---|---|---|---|---|---|---|---|");
            foreach (var row in rows)
                Console.WriteLine(Line(row, Measure(row, dtype)));
        }
    }

    private static string Line(Row row, double[] seconds)
    {
        var (clone, fused, layerNorm, opByOp) = (seconds[0], seconds[1], seconds[2], seconds[3]);
        var bound = Math.Min(row.Copies, row.LayerNorms * layerNorm / clone);
        var holds = fused / clone <= bound && (row.Bytes is < 1_000_000 or > 10_000_000 || row.Layer.StartsWith("RINorm", StringComparison.Ordinal) || fused <= opByOp / 3);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {row} | {1e6 * clone:0.#} | {1e6 * fused:0.#} | {fused / clone:0.00} | {bound:0.00} | {layerNorm / clone:0.00} | {opByOp / clone:0.0} | {(holds ? "" : "over")} |");
    }

    private static double[] Measure(Row row, ScalarType dtype)
    {
        using var contest = new Contest(row, dtype);
        return Medians([contest.Clone, contest.Fused, contest.LayerNormOfLibtorch, contest.OpByOp], SecondsARow);
    }

    /// <summary>The seconds that each takes, where they take turns for so long.</summary>
    internal static double[] Medians(Action[] contenders, double seconds)
    {
        var once = contenders.Select(contender => Time(contender, 1)).ToArray();
        var isLong = once.Select(time => time > Math.Max(Long, 8 * once[0])).ToArray();
        var repeats = contenders.Select((contender, i) => isLong[i] ? 1 : Math.Max(1, (int)(0.0005 / Time(contender, 1)))).ToArray();
        for (var round = 0; round < 2 && repeats.Max() > 1; round++) // until the runtime has compiled what is called often, which it does meanwhile
        {
            foreach (var (contender, repeat) in contenders.Zip(repeats))
                Time(contender, repeat > 1 ? 200 : 0);
            Thread.Sleep(100);
        }
        var times = contenders.Select(_ => new List<double>()).ToArray();
        var start = Stopwatch.GetTimestamp();
        double Elapsed() => Stopwatch.GetElapsedTime(start).TotalSeconds;
        while (times[0].Count < 3 || (Elapsed() < seconds && times[0].Count < 200))
        {
            for (var i = 0; i < contenders.Length; i++)
            {
                if (times[i].Sum() * repeats[i] > Share * Elapsed())
                    continue;
                if (!isLong[i])
                    contenders[i](); // finds the caches, and the system's free memory, as the one before left them
                times[i].Add(Time(contenders[i], repeats[i]));
            }
        }
        return [.. times.Select(Median)];
    }

    private static double Time(Action action, int repeats)
    {
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < repeats; i++)
            action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / repeats;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
