namespace Darts.Norm.Kernels;

/// <summary>Asks Linux to back large results with pages of 2 MB.</summary>
/// <remarks>
/// glibc gives blocks beyond 32 MB back to the system, so that each such result is new memory, and in pages of 4 KB that takes longer to get than to write.
/// libtorch asks for the same where THP_MEM_ALLOC_ENABLE is set.
/// </remarks>
internal static unsafe class HugePages
{
    private const int MADV_HUGEPAGE = 14;

    private static readonly delegate* unmanaged[Cdecl]<byte*, nint, int, int> madvise =
        (delegate* unmanaged[Cdecl]<byte*, nint, int, int>)NativeExports.Find("madvise");

    public static void Advise(byte* start, long bytes)
    {
        if (madvise is null)
            return;
        var pageSize = Environment.SystemPageSize;
        var first = (nint)start & -pageSize; // the block starts a few bytes into its first page, which may be the first of a huge one
        _ = madvise((byte*)first, (nint)(start + bytes) - first, MADV_HUGEPAGE); // a refusal leaves the pages as they were
    }
}
