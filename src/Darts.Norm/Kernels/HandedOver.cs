namespace Darts.Norm.Kernels;

/// <summary>
/// The gradients that a backward gave to libtorch. Their own references must go when it has taken its, of which it says nothing:
/// so at this thread's next backward, so that they don't add up over a network, or with the graph.
/// </summary>
internal sealed class HandedOver : IDisposable
{
    [ThreadStatic]
    private static WeakReference<HandedOver>? _last;

    private readonly Queue<Tensor> _gradients = new();

    /// <summary>Frees what this thread's last backward gave away.</summary>
    public static void DisposeLast()
    {
        if (_last is not null && _last.TryGetTarget(out var handedOver))
            handedOver.Dispose();
    }

    public void Take(ReadOnlySpan<Tensor?> gradients)
    {
        Dispose();
        lock (_gradients)
        {
            foreach (var gradient in gradients)
            {
                if (gradient is not null)
                    _gradients.Enqueue(gradient.DetachFromDisposeScope());
            }
        }
        if (_last is null)
            _last = new(this);
        else
            _last.SetTarget(this);
    }

    public void Dispose()
    {
        lock (_gradients)
        {
            while (_gradients.TryDequeue(out var gradient))
                gradient.Dispose();
        }
    }
}
