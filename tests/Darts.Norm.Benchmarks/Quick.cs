using System.Diagnostics;
using System.Globalization;

namespace Darts.Norm.Benchmarks;

/// <summary>The table in less than two minutes: the contenders take turns, so that all of them meet the same weather, and medians are compared.</summary>
public static class Quick
{
    private const double SecondsARow = 0.25;

    /// <summary>What a row takes beside its turns, where calls are short.</summary>
    private const double SecondsBeside = 0.3;

    /// <summary>The whole table. Where single calls take seconds, the other rows have fewer turns.</summary>
    private const double SecondsInAll = 95;

    /// <summary>Who has had so much of the time leaves out a turn.</summary>
    private const double Share = 0.25;

    /// <summary>A first call of so many seconds is no compilation, and counts.</summary>
    private const double Long = 0.25;

    public static void Print(IReadOnlyList<Row> rows, IReadOnlyList<int> threads, ScalarType dtype)
    {
        var start = Stopwatch.GetTimestamp();
        var left = threads.Count * rows.Count;
        if (rows is [var any, ..])
            Measure(any, dtype, 0.02); // who is the first to touch memory of a virtual machine waits for its host
        foreach (var count in threads)
        {
            set_num_threads(count);
            Console.WriteLine($"\n{dtype}, {count} {(count == 1 ? "thread" : "threads")}, medians; the multiples are of a clone\n");
            Console.WriteLine("| | clone, µs | fused, µs | fused | at most | layer_norm | op by op | |");
            Console.WriteLine("|---|---|---|---|---|---|---|---|");
            foreach (var row in rows)
            {
                var share = (SecondsInAll - Stopwatch.GetElapsedTime(start).TotalSeconds) / left--;
                Console.WriteLine(Line(row, Measure(row, dtype, Math.Clamp(share - SecondsBeside, 0.02, SecondsARow))));
            }
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

    private static double[] Measure(Row row, ScalarType dtype, double seconds)
    {
        using var contest = new Contest(row, dtype);
        return Medians([contest.Clone, contest.Fused, contest.LayerNormOfLibtorch, contest.OpByOp], seconds);
    }

    /// <summary>The seconds that each takes, where they take turns for so long.</summary>
    internal static double[] Medians(Action[] contenders, double seconds)
    {
        var start = Stopwatch.GetTimestamp();
        double Elapsed() => Stopwatch.GetElapsedTime(start).TotalSeconds;
        var first = contenders.Select(contender => Time(contender, 1)).ToArray();
        var times = first.Select(time => time > Long ? new List<double> { time } : []).ToArray();
        var repeats = contenders.Select((contender, i) => first[i] > Long ? 1 : Math.Max(1, (int)(0.0005 / Time(contender, 1)))).ToArray();
        for (var round = 0; round < 2 && repeats.Max() > 1; round++) // until the runtime has compiled what is called often, which it does meanwhile
        {
            foreach (var (contender, repeat) in contenders.Zip(repeats))
                Time(contender, repeat > 1 ? 200 : 0);
            Thread.Sleep(100);
        }
        var end = Elapsed() + seconds;
        do
        {
            for (var i = 0; i < contenders.Length; i++)
            {
                if (times[i].Sum() * repeats[i] > Share * Elapsed())
                    continue;
                if (first[i] <= Long)
                    contenders[i](); // finds the caches, and the system's free memory, as the one before left them
                times[i].Add(Time(contenders[i], repeats[i]));
            }
        }
        while (times[0].Count < 200 && Elapsed() < (times[0].Count < 3 ? end + (2 * seconds) : end));
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
