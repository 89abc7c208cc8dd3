using Darts.Norm.Soak;

switch (args)
{
    case ["bits", .. var threads]:
        Console.WriteLine(Bits.Machine);
        foreach (var count in threads)
        {
            foreach (var line in Bits.Hashes(int.Parse(count)))
                Console.WriteLine(line);
        }
        return 0;
    default:
        Console.Error.WriteLine("""
            usage: Darts.Norm.Soak bits THREADS...      hashes of all results, with so many threads
            """);
        return 2;
}
