using Darts.Norm.Consumers;

if (args is ["--help" or "-h", ..])
{
    Console.WriteLine(
        """
        Packs the library and uses the package as strangers do, in a folder of its own.

          dotnet run --project tests/Darts.Norm.Consumers [-- NAME... [--keep]]

        NAME     one of the consumers; all of them by default
        --keep   leaves the folder behind
        """);
    foreach (var consumer in Consumer.All)
        Console.WriteLine($"  {consumer.Name,-20} {consumer.Description}");
    return 0;
}

var names = args.Where(arg => arg != "--keep").ToList();
var chosen = Consumer.All.Where(consumer => names.Count == 0 || names.Contains(consumer.Name)).ToList();
if (chosen.Count < Math.Max(names.Count, 1))
{
    Console.Error.WriteLine($"There is no consumer {string.Join(", ", names.Except(Consumer.All.Select(consumer => consumer.Name)))}. --help lists them.");
    return 2;
}

using var workshop = new Workshop(keep: args.Contains("--keep"));
var failed = 0;
foreach (var consumer in chosen)
{
    try
    {
        consumer.Run(workshop);
        Console.WriteLine($"passed  {consumer.Name}: {consumer.Description}");
    }
    catch (ConsumerException error)
    {
        failed++;
        Console.WriteLine($"FAILED  {consumer.Name}: {error.Message}");
    }
}
Console.WriteLine($"{chosen.Count - failed} passed, {failed} failed");
return failed == 0 ? 0 : 1;
