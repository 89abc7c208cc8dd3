namespace Darts.Norm.Kernels;

/// <summary>
/// The gradients that a node's backward gave to libtorch. libtorch takes references of its own, but does not say when, and only then may these be freed:
/// that is done at the thread's next backward, so that they don't add up over a network, or when the graph is freed.
/// </summary>
internal sealed class HandedOver
{
    [ThreadStatic]
    private static HandedOver? _last;

    // Gradients that can be differentiated again. They hold the graph and with it the node: if the node held them, neither would be freed.
    [ThreadStatic]
    private static List<Tensor>? _lastWithHistory;

    // By thread, since several may run the same graph backward at once: none may free what libtorch has not yet taken from another.
    private readonly List<(int thread, Tensor gradient)> _gradients = [];

    /// <summary>Frees what this thread's last backward handed over.</summary>
    public static void DisposeLast()
    {
        _last?.Free(Environment.CurrentManagedThreadId);
        while (_lastWithHistory is [.., var gradient])
        {
            _lastWithHistory.RemoveAt(_lastWithHistory.Count - 1);
            gradient.Dispose();
        }
    }

    public void Take(Tensor?[] gradients)
    {
        var thread = Environment.CurrentManagedThreadId;
        Free(thread);
        var mayHaveHistory = is_grad_enabled();
        lock (_gradients)
        {
            foreach (var gradient in gradients)
            {
                if (gradient is null)
                    continue;
                if (mayHaveHistory && gradient.requires_grad)
                    (_lastWithHistory ??= []).Add(gradient);
                else
                    _gradients.Add((thread, gradient));
            }
        }
        _last = this;
    }

    /// <summary>Frees what all threads handed over.</summary>
    public void DisposeAll() => Free(null);

    private void Free(int? thread)
    {
        while (TakeOut(thread) is { } gradient)
            gradient.Dispose();
    }

    // Removed before it is disposed, and disposed outside of the lock: that may free a graph, and so delete the node whose list this is.
    private Tensor? TakeOut(int? thread)
    {
        lock (_gradients)
        {
            for (var i = _gradients.Count - 1; i >= 0; i--)
            {
                var (givenOn, gradient) = _gradients[i];
                if (thread is not null && givenOn != thread)
                    continue;
                _gradients.RemoveAt(i);
                return gradient;
            }
        }
        return null;
    }
}
