namespace Darts.Norm;

/// <summary>Removes a hook, as <c>torch.utils.hooks.RemovableHandle</c> does. It keeps neither the module nor its hooks alive.</summary>
/// <remarks>
/// <example>
/// <code>
/// var handle = net.register_full_backward_hook((module, grad_input, grad_output) => Console.WriteLine(grad_output.Length));
/// handle.remove();                                                   // or: using (net.register_full_backward_hook(...)) { ... }
/// </code>
/// </example>
/// </remarks>
public sealed class RemovableHandle : IDisposable
{
    private readonly WeakReference<IHookList> _hooks;
    private readonly object _entry;

    internal RemovableHandle(IHookList hooks, object entry)
    {
        _hooks = new(hooks);
        _entry = entry;
    }

    /// <summary>Removes the hook. A call in flight still runs it; a second removal does nothing.</summary>
    public void remove()
    {
        if (_hooks.TryGetTarget(out var hooks))
            hooks.Remove(_entry);
    }

    /// <summary>Removes the hook, as Python's <c>with</c> does.</summary>
    public void Dispose() => remove();
}
