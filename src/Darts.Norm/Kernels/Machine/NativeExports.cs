using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>Functions of the native libraries that LibTorchSharp depends on, where Linux lets them be found through it.</summary>
internal static class NativeExports
{
    /// <summary>The function's address; null where it is not found.</summary>
    public static nint Find(string name) =>
        OperatingSystem.IsLinux()
        && NativeLibrary.TryLoad("LibTorchSharp", typeof(Tensor).Assembly, null, out var library)
        && NativeLibrary.TryGetExport(library, name, out var export)
            ? export
            : 0;
}
