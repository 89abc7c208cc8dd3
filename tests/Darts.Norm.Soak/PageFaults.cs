using System.Globalization;

namespace Darts.Norm.Soak;

/// <summary>How often writing waits for the system to give a page of memory.</summary>
public static class PageFaults
{
    private const int Steps = 60;

    /// <summary>How many pages a step waits for that holds twelve results together and frees them, of the sizes from 128 KB to 3 MB with the most. On Linux.</summary>
    public static long MostAStep()
    {
        using var layer = new LayerNormNoBias(512);
        var most = 0L;
        for (long rows = 64; rows < 1600; rows = rows * 3 / 2)
        {
            using var x = ones(rows, 512);
            var before = 0L;
            for (var i = -Steps; i < Steps; i++)
            {
                if (i == 0)
                    before = SoFar();
                Step(layer, x);
            }
            most = Math.Max(most, (SoFar() - before) / Steps);
        }
        return most;
    }

    private static void Step(LayerNormNoBias layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        for (var i = 0; i < 12; i++)
            _ = layer.call(x);
    }

    private static long SoFar()
    {
        const int place = 7; // behind the program's name, which may hold spaces
        var status = File.ReadAllText("/proc/self/stat");
        return long.Parse(status[(status.LastIndexOf(')') + 2)..].Split(' ')[place], CultureInfo.InvariantCulture);
    }
}
