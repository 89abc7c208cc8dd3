using System.Runtime.ExceptionServices;

namespace Darts.Norm.Kernels;

/// <summary>Work that any number of threads share until none is left.</summary>
internal abstract class SharedWork
{
    private Exception? _error;

    /// <summary>Takes parts of the work until there are no more.</summary>
    /// <param name="thread">The number of the thread that takes them.</param>
    protected abstract void Take(int thread);

    public void Run(int threads)
    {
        Team.Run(this, threads);
        if (_error is not null)
            ExceptionDispatchInfo.Throw(_error);
    }

    /// <summary>As <see cref="Take"/>, on a thread that no exception must reach.</summary>
    public void Join(int thread)
    {
        try
        {
            Take(thread);
        }
        catch (Exception error)
        {
            _error = error;
        }
    }
}
