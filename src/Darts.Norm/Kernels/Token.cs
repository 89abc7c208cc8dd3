using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>A tensor without values that disposes something when libtorch frees it: saved for a backward, it tells when the graph is gone.</summary>
/// <remarks>TorchSharp has no public way to hear of that. Where its native library cannot be reached by this name, there is no token: the garbage collector does the work later.</remarks>
internal static unsafe class Token
{
    private static volatile bool _missing;

    public static Tensor? New(IDisposable disposable)
    {
        if (_missing)
            return null;
        var handle = GCHandle.ToIntPtr(GCHandle.Alloc(disposable));
        try
        {
            long size = 0;
            var tensor = THSTensor_new(handle, &Freed, &size, 1, (sbyte)ScalarType.Byte, (sbyte)ScalarType.Byte, (int)DeviceType.CPU, -1, 0);
            if (tensor != 0)
                return Tensor.UnsafeCreateTensor(tensor);
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            _missing = true;
        }
        GCHandle.FromIntPtr(handle).Free();
        return null;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Freed(nint handle)
    {
        var given = GCHandle.FromIntPtr(handle);
        ((IDisposable)given.Target!).Dispose();
        given.Free();
    }

    [DllImport("LibTorchSharp")]
    private static extern nint THSTensor_new(
        nint rawArray, delegate* unmanaged[Cdecl]<nint, void> deleter, long* dimensions, int numDimensions, sbyte type, sbyte dtype, int deviceType, int deviceIndex, byte requires_grad);
}
