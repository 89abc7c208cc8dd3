namespace Darts.Norm.Tests;

/// <summary>Tests that count every live tensor of the process, or change its defaults: nothing else runs beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone
{
    /// <summary>How many more tensors live after the action than before it.</summary>
    public static long TensorsLeft(Action action)
    {
        Collect();
        var before = Tensor.TotalCount;
        action();
        return Tensor.TotalCount - before;
    }

    /// <summary>Frees what earlier tests dropped, so that no finalizer counts down meanwhile.</summary>
    public static void Collect()
    {
        for (var i = 0; i < 2; i++) // a module's finalizer goes before its tensors'
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}
