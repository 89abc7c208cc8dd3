using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>Lets glibc keep what is freed, instead of giving it back to the system after each step.</summary>
/// <remarks>
/// glibc takes blocks beyond a size from the system and others from its heap, whose free end goes back once it is twice that size. When a block of the system's is freed, the size grows to that block's, up to 32 MB.
/// Where results are the largest blocks, those of one step come to twice that size, and the next step waits for the system at each of their pages. So a block of the largest size that counts is freed here,
/// as a program with large tensors does itself. It is never touched, so takes no memory; and where the user has set a threshold, by MALLOC_TRIM_THRESHOLD_ for instance, glibc does not adapt.
/// </remarks>
internal static unsafe class FreedMemory
{
    /// <summary>From this many bytes on, a result is a block that glibc takes from the system at first.</summary>
    public const long Least = 128 << 10;

    private const nuint Largest = (32 << 20) - (64 << 10); // with what glibc and the page add, no more than 32 MB

    private static bool _isKept;

    public static void Keep()
    {
        if (_isKept)
            return;
        _isKept = true;
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            NativeMemory.Free(NativeMemory.Alloc(Largest));
        }
        catch (OutOfMemoryException)
        {
            // Then nothing that large will be kept either.
        }
    }
}
