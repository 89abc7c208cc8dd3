using System.Diagnostics;

namespace Darts.Norm.Soak;

/// <summary>What a run counted, and what it found wrong.</summary>
public sealed class Report
{
    private const int Shown = 20;
    private const long Slack = 64 << 20; // what the allocators of .NET and libtorch may keep
    private const long LeftByALayer = 512; // TorchSharp's base class keeps about 100 bytes of every module that was made; some layers stand for three modules

    private static long _parameters;
    private static long _layers;
    private static long _leftByAParameter;

    private readonly Func<long> _live;
    private readonly long _tensors;
    private long _memory;
    private long _layersBefore;
    private long _calls;
    private long _faults;

    private Report(Func<long> live)
    {
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
        Interlocked.Increment(ref _layers);
        Interlocked.Add(ref _parameters, layer.parameters().Count());
    }

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
        _memory = Memory();
        _layersBefore = Interlocked.Read(ref _layers);
    }

    /// <summary>Looks for live tensors and for memory that has grown.</summary>
    public Report Ended()
    {
        Collect();
        if (Live != 0)
            Failed($"{Live} tensors are alive");
        if (_memory > 0 && Memory() - _memory > Slack + ((Interlocked.Read(ref _layers) - _layersBefore) * LeftByALayer))
            Failed($"memory grew from {_memory >> 20} to {Memory() >> 20} MB");
        return this;
    }

    public override string ToString() => string.Join(
        '\n',
        [.. Failures.Take(Shown), $"{Calls} calls, {Faults} faults, {Failures.Count} failures, {Live} live tensors, {Memory() >> 20} MB{(_memory > 0 ? $" after {_memory >> 20} MB" : "")}"]);

    private long Live => _live() - _tensors;

    private static long Memory()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
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
