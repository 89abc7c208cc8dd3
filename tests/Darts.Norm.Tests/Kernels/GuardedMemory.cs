using System.Runtime.InteropServices;

namespace Darts.Norm.Tests.Kernels;

/// <summary>A page of memory, before one that ends the process when it is touched.</summary>
internal sealed unsafe partial class GuardedMemory : IDisposable
{
    private readonly nint _start = Map(0, 2 * Page, 3, 0x22, -1, 0);

    public GuardedMemory() => Protect(_start + Page, Page, 0).Should().Be(0);

    /// <summary>The end of the memory that may be touched.</summary>
    public float* End => (float*)(_start + Page);

    private static nint Page => Environment.SystemPageSize;

    public void Dispose() => _ = Unmap(_start, 2 * Page);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(nint address, nint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nint length);
}
