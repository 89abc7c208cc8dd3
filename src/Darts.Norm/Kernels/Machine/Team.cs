using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>The threads that share work: libtorch's own where they can be reached.</summary>
/// <remarks>
/// After each operation of libtorch its threads spin for the next one: others would wait for a core beside them. On Linux it is libgomp that
/// starts them, and LibTorchSharp depends on it; where that is not so, the runtime's thread pool does the work.
/// </remarks>
internal static unsafe class Team
{
    private static readonly delegate* unmanaged[Cdecl]<delegate* unmanaged[Cdecl]<nint, void>, nint, uint, uint, void> Parallel =
        (delegate* unmanaged[Cdecl]<delegate* unmanaged[Cdecl]<nint, void>, nint, uint, uint, void>)NativeExports.Find("GOMP_parallel");

    private static readonly delegate* unmanaged[Cdecl]<int> ThreadNumber = (delegate* unmanaged[Cdecl]<int>)NativeExports.Find("omp_get_thread_num");

    public static void Run(SharedWork work, int threads)
    {
        if (Parallel is null || ThreadNumber is null)
        {
            System.Threading.Tasks.Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, work.Join);
            return;
        }
        var handle = GCHandle.Alloc(work);
        Parallel(&Join, GCHandle.ToIntPtr(handle), (uint)threads, 0);
        handle.Free();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Join(nint work) => ((SharedWork)GCHandle.FromIntPtr(work).Target!).Join(ThreadNumber());
}
