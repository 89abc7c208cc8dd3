using System.Runtime.CompilerServices;

namespace Darts.Norm;

internal interface IHookList
{
    public void Remove(object entry);
}

/// <summary>A module's hooks of one kind, in order. Who iterates sees them as they were: a hook may add and remove others.</summary>
internal sealed class HookList<THook> : IHookList
    where THook : Delegate
{
    private volatile Entry[] _entries = [];

    /// <summary>The hooks as they are now.</summary>
    public IReadOnlyList<THook> Hooks => Array.ConvertAll(_entries, entry => entry.Hook);

    public bool IsEmpty => _entries.Length == 0;

    public RemovableHandle Add(THook hook, bool prepend = false, [CallerMemberName] string caller = "")
    {
        Require.NotNull(hook, "a function", caller: caller);
        var added = new Entry(hook);
        lock (this)
            _entries = prepend ? [added, .. _entries] : [.. _entries, added];
        return new(this, added);
    }

    public void Remove(object entry)
    {
        lock (this)
            _entries = Array.FindAll(_entries, other => !ReferenceEquals(other, entry));
    }

    private sealed class Entry(THook hook) // one for each registration: a hook may be registered twice
    {
        public THook Hook => hook;
    }
}
