using System.Diagnostics;

namespace Darts.Norm.Soak;

/// <summary>What a run counted, and what it found wrong.</summary>
public sealed class Report
{
    private const int Shown = 20;
    private const long Slack = 64 << 20; // what the allocators of .NET and libtorch may keep

    private static long _parameters;
    private static long _leftByAParameter;

    private readonly long _tensors;
    private long _memory;
    private long _calls;
    private long _faults;

    public Report()
    {
        // TorchSharp's count stays up by one for each parameter that is disposed.
        nn.Parameter(ones(1)).Dispose();
        var before = Tensor.TotalCount;
        nn.Parameter(ones(1)).Dispose();
        _leftByAParameter = Tensor.TotalCount - before;
        Collect();
        _tensors = Live;
    }

    /// <summary>Counts a layer's parameters, which it must be disposed with.</summary>
    public static void Made(NormModule layer) => Interlocked.Add(ref _parameters, layer.parameters().Count());

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
    }

    /// <summary>Looks for live tensors and for memory that has grown.</summary>
    public Report Ended(bool areAllDisposed = true)
    {
        Collect();
        if (areAllDisposed && Live != _tensors)
            Failed($"{Live - _tensors} tensors are alive");
        if (_memory > 0 && Memory() - _memory > Slack)
            Failed($"memory grew from {_memory >> 20} to {Memory() >> 20} MB");
        return this;
    }

    public override string ToString() => string.Join(
        '\n',
        [.. Failures.Take(Shown), $"{Calls} calls, {Faults} faults, {Failures.Count} failures, {Live - _tensors} live tensors, {Memory() >> 20} MB{(_memory > 0 ? $" after {_memory >> 20} MB" : "")}"]);

    private static long Live => Tensor.TotalCount - (Interlocked.Read(ref _parameters) * _leftByAParameter);

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
