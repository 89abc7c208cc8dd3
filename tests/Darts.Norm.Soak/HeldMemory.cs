using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Darts.Norm.Soak;

/// <summary>The memory that somebody holds.</summary>
public static class HeldMemory
{
    /// <summary>What glibc's malloc and the garbage collector have given out, in bytes: what is resident counts too what they keep free. Where there is no glibc, what is resident.</summary>
    public static long Bytes
    {
        get
        {
            try
            {
                var native = mallinfo2();
                return (long)(native.uordblks + native.hblkhd) + GC.GetTotalMemory(forceFullCollection: false);
            }
            catch (TypeLoadException) // no such library, or an older one
            {
                using var process = Process.GetCurrentProcess();
                return process.WorkingSet64;
            }
        }
    }

    [DllImport("libc.so.6")]
    private static extern Native mallinfo2();

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Native
    {
        public readonly nuint arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
    }
}
