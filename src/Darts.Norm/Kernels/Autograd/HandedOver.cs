namespace Darts.Norm.Kernels;

/// <summary>
/// The gradients that a node's backward gave to libtorch. Their own references must go when it has taken its, of which it says nothing:
/// so at this thread's next backward, so that they don't add up over a network, or with the graph.
/// </summary>
internal sealed class HandedOver
{
    [ThreadStatic]
    private static HandedOver? _last;

    // Those that can be differentiated again: they hold the graph, and with it the node, which must not hold them.
    [ThreadStatic]
    private static List<Tensor>? _lastWithHistory;

    // Threads may run the same graph backward at a time: what one of them has given, libtorch may not have taken yet.
    private readonly List<(int thread, Tensor gradient)> _gradients = [];

    /// <summary>Frees what this thread's last backward gave away.</summary>
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

    /// <summary>Frees what all threads gave away.</summary>
    public void DisposeAll() => Free(null);

    private void Free(int? thread)
    {
        while (TakeOut(thread) is { } gradient)
            gradient.Dispose();
    }

    // Out of the list and the lock before it is disposed: with it a graph may go, and with that the node whose list this is.
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
