namespace Darts.Norm.Kernels;

/// <summary>
/// The gradients that a node's backward gave to libtorch. Their own references must go when it has taken its, of which it says nothing:
/// so at this thread's next backward, so that they don't add up over a network, or with the graph.
/// </summary>
internal sealed class HandedOver
{
    [ThreadStatic]
    private static HandedOver? _last;

    // Threads may run the same graph backward at a time: what one of them has given, libtorch may not have taken yet.
    private readonly List<(int thread, Tensor gradient)> _gradients = [];

    /// <summary>Frees what this thread's last backward gave away.</summary>
    public static void DisposeLast() => _last?.Free(Environment.CurrentManagedThreadId);

    public void Take(Tensor?[] gradients)
    {
        var thread = Environment.CurrentManagedThreadId;
        Free(thread);
        lock (_gradients)
        {
            foreach (var gradient in gradients)
            {
                if (gradient is not null)
                    _gradients.Add((thread, gradient));
            }
        }
        _last = this;
    }

    /// <summary>Frees what all threads gave away.</summary>
    public void DisposeAll() => Free(null);

    private void Free(int? thread)
    {
        lock (_gradients)
        {
            for (var i = _gradients.Count - 1; i >= 0; i--)
            {
                if (thread is not null && _gradients[i].thread != thread)
                    continue;
                _gradients[i].gradient.Dispose();
                _gradients.RemoveAt(i);
            }
        }
    }
}
