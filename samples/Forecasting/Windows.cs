using static TorchSharp.torch;

namespace Forecasting;

/// <summary>
/// Every window whose future lies in a part of a series; its past may reach into the part before.
/// </summary>
internal sealed class Windows : IDisposable
{
    private readonly Tensor _windows; // (window, component, input + horizon), a view of the series
    private readonly int _input;

    /// <param name="series">(rows, components).</param>
    /// <param name="begin">The part's first row.</param>
    /// <param name="end">The row after its last.</param>
    /// <param name="input">The length of a window's past.</param>
    /// <param name="horizon">The length of its future.</param>
    public Windows(Tensor series, int begin, int end, int input, int horizon)
    {
        First = Math.Max(begin, input);
        Count = end - horizon - First + 1;
        _input = input;
        using var rows = series.narrow(0, First - input, Count - 1 + input + horizon);
        _windows = rows.unfold(0, input + horizon, 1).DetachFromDisposeScope();
    }

    /// <summary>The row that the first window's future begins at.</summary>
    public int First { get; }

    /// <summary>How many there are, each one row after the last.</summary>
    public int Count { get; }

    /// <summary>The past (batch, input, components) and future (batch, horizon, components) of the windows of these numbers.</summary>
    public (Tensor Past, Tensor Future) Pick(long[] numbers)
    {
        using var index = tensor(numbers);
        return Cut(_windows.index_select(0, index));
    }

    /// <summary>The same of consecutive windows.</summary>
    public (Tensor Past, Tensor Future) Range(int start, int count) => Cut(_windows.narrow(0, start, count));

    /// <summary>All windows, in runs of about this many values.</summary>
    public IEnumerable<(int Start, int Count)> Batches(int values)
    {
        var size = (int)Math.Clamp(values / (_windows.size(1) * _windows.size(2)), 1, Count);
        for (var start = 0; start < Count; start += size)
            yield return (start, Math.Min(size, Count - start));
    }

    public void Dispose() => _windows.Dispose();

    private (Tensor Past, Tensor Future) Cut(Tensor windows)
    {
        using (windows)
        using (var byTime = windows.transpose(1, 2))
            return (byTime.narrow(1, 0, _input), byTime.narrow(1, _input, byTime.size(1) - _input));
    }
}
