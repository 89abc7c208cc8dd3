using System.Globalization;
using Darts.Norm.Soak;

switch (args)
{
    case [] or ["soak", ..]:
        return Ended(Soaking.Run(
            TimeSpan.FromMinutes(args.Length > 1 ? double.Parse(args[1], CultureInfo.InvariantCulture) : 1),
            args.Length > 2 ? ulong.Parse(args[2], CultureInfo.InvariantCulture) : (ulong)Environment.TickCount64,
            Console.WriteLine));
    case ["training", ..]:
        return Ended(Training.Run(args.Length > 1 ? long.Parse(args[1], CultureInfo.InvariantCulture) : 1_000_000));
    case ["bad-calls", ..]:
        return Ended(BadCalls.Run(
            args.Length > 1 ? long.Parse(args[1], CultureInfo.InvariantCulture) : 100_000,
            args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : Environment.TickCount));
    case ["errors", ..]:
        foreach (var line in ErrorTable.Lines(args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 100))
            Console.WriteLine(line);
        return 0;
    case ["faults"]:
        Console.WriteLine(PageFaults.MostAStep());
        return 0;
    case ["bits", .. var threads]:
        Console.WriteLine(Bits.Machine);
        foreach (var count in threads)
        {
            foreach (var line in Bits.Hashes(int.Parse(count, CultureInfo.InvariantCulture)))
                Console.WriteLine(line);
        }
        return 0;
    default:
        Console.Error.WriteLine("""
            soak [MINUTES] [SEED]        random problems and mishaps; 1 minute by default
            training [CALLS]             forward and backward calls with flat memory; a million by default
            bad-calls [CALLS] [SEED]     wrong calls of the public API; 100,000 by default
            errors [PROBLEMS]            the largest error of each layer and dtype, beside that of the formula op by op in the dtype
            faults                       how many pages a step waits for, on Linux
            bits THREADS...              hashes of all results, with so many threads
            """);
        return 2;
}

static int Ended(Report report)
{
    Console.WriteLine(report);
    return report.Failures.Count == 0 ? 0 : 1;
}
