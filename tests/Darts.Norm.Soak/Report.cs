namespace Darts.Norm.Soak;

/// <summary>What a run counted, and what it found wrong.</summary>
public sealed class Report
{
    private const int Shown = 20;
    private const long Slack = 16 << 20; // what the allocators keep at hand
    private const long LeftByAModule = 80; // TorchSharp keeps 64 bytes of every module that was made, an empty one of its own as well; the count below comes a little late

    private static long _parameters;
    private static long _modules;
    private static long _leftByAParameter;

    private readonly Func<long> _live;
    private readonly long _tensors;
    private long _memory;
    private long _modulesBefore;
    private long _calls;
    private long _faults;

    private Report(Func<long> live)
    {
        Pass();
        Collect();
        _live = live;
        _tensors = live();
    }

    /// <summary>Counts the tensors of all threads, if each layer's parameters are <see cref="Made"/>.</summary>
    public static Report OfAllThreads()
    {
        // TorchSharp's count stays up by one for each parameter that is disposed.
        nn.Parameter(ones(1)).Dispose();
        var before = Tensor.TotalCount;
        nn.Parameter(ones(1)).Dispose();
        _leftByAParameter = Tensor.TotalCount - before;
        return new(() => Tensor.TotalCount - (Interlocked.Read(ref _parameters) * _leftByAParameter));
    }

    /// <summary>Counts the tensors that this thread made and did not dispose, parameters as they are; not for tensors that another disposes.</summary>
    public static Report OfThisThread() => new(() => DisposeScopeManager.Statistics.ThreadTotalLiveCount);

    /// <summary>Counts a layer's parameters, which it must be disposed with.</summary>
    public static void Made(NormModule layer)
    {
        MadeModules(1);
        Interlocked.Add(ref _parameters, layer.parameters().Count());
    }

    /// <summary>Counts modules without parameters of their own.</summary>
    public static void MadeModules(long count) => Interlocked.Add(ref _modules, count);

    public long Calls => Volatile.Read(ref _calls);

    /// <summary>How many things were made to go wrong.</summary>
    public long Faults => Volatile.Read(ref _faults);

    public List<string> Failures { get; } = [];

    public void Called(long calls = 1) => Interlocked.Add(ref _calls, calls);

    public void Broken() => Interlocked.Increment(ref _faults);

    public void Failed(string what)
    {
        lock (Failures)
            Failures.Add(what);
    }

    /// <summary>From here on memory must stay flat.</summary>
    public void WarmedUp()
    {
        Collect();
        _memory = HeldMemory.Bytes;
        _modulesBefore = Interlocked.Read(ref _modules);
    }

    /// <summary>Looks for live tensors and for memory that has grown.</summary>
    public Report Ended()
    {
        Collect();
        if (Live != 0)
            Failed($"{Live} tensors are alive");
        var grown = HeldMemory.Bytes - _memory - LeftByModules;
        if (_memory > 0 && grown > Slack)
            Failed($"{grown >> 20} MB more memory is held than {_memory >> 20}, besides what TorchSharp keeps of modules");
        return this;
    }

    public override string ToString() => string.Join(
        '\n',
        [.. Failures.Take(Shown), $"{Calls} calls, {Faults} faults, {Failures.Count} failures, {Live} live tensors, {HeldMemory.Bytes >> 20} MB held{Before}"]);

    private string Before => _memory == 0 ? "" : $" after {_memory >> 20} MB and up to {LeftByModules >> 20} MB that TorchSharp keeps of modules";

    private long LeftByModules => (Interlocked.Read(ref _modules) - _modulesBefore) * LeftByAModule;

    private long Live => _live() - _tensors;

    // A thread's next pass frees the gradients of its last backward, and the next statistics that it is shown free those it was shown before, whose layers may be gone.
    private static void Pass()
    {
        const int shown = 4;
        using var scope = NewDisposeScope();
        using var layer = new RINorm(1);
        layer.call(ones(1, 2, 1).requires_grad_());
        for (var i = 0; i < shown; i++)
            _ = layer.mean;
    }

    private static void Collect()
    {
        for (var i = 0; i < 2; i++) // a module's finalizer goes before its tensors'
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}
