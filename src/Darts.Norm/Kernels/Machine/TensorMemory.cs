using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>Tensors' memory: where it begins, new results, and what is asked of the caches and the system for them.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>From this many bytes on, asking the system for huge pages is worth the call.</summary>
    private const long Large = 4 << 20;

    /// <summary>From this many bytes on, a result does not fit in a core's own caches.</summary>
    private const long Near = 1_000_000;

    /// <summary>How many bytes ahead of the writing <see cref="PrefetchResult"/> asks for a line.</summary>
    private const long ResultsAhead = 2048;

    /// <summary>From this many bytes on, nothing of a result is left in the caches when it is read.</summary>
    private const long Streamed = 8 << 20;

    /// <summary>The same in training, where the input and what the backward pass reads go through the caches as well.</summary>
    private const long StreamedInTraining = 3 << 20;

    /// <summary>The address of a CPU tensor's first value. The tensor must be kept alive.</summary>
    public static byte* Start(Tensor tensor) => THSTensor_data(tensor.Handle);

    /// <summary>Loads a cache line that is soon needed. The address need not be valid.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch1(address);
    }

    /// <summary>Loads the line of a result <see cref="ResultsAhead"/> beyond what is being written. The processor would wait for few lines at a time if the stores asked for them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchResult(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0((byte*)address + ResultsAhead);
    }

    /// <summary>Where a result is best written. Past the caches if it is large and its rows are whole lines: then no line is read before it is overwritten.</summary>
    /// <param name="start">The result's first byte.</param>
    /// <param name="row">The bytes of a row.</param>
    /// <param name="rows">How many rows there are.</param>
    /// <param name="isTraining">Whether a backward follows, or this is one.</param>
    public static Destination DestinationOf(byte* start, long row, long rows, bool isTraining)
    {
        if (row * rows >= (isTraining ? StreamedInTraining : Streamed) && ((nint)start | (nint)row) % 64 == 0)
            return Destination.Memory;
        return row * rows >= Near ? Destination.Caches : Destination.NearCaches;
    }

    /// <summary>Makes what was written past the caches visible to other threads; other stores are without it.</summary>
    public static void Fence()
    {
        if (Sse.IsSupported)
            Sse.StoreFence();
    }

    /// <summary>A contiguous tensor of this one's shape and dtype, without values.</summary>
    public static Tensor Like(Tensor tensor)
    {
        try
        {
            return Prepared(tensor.is_contiguous() ? empty_like(tensor, device: CPU) : empty(tensor.shape, tensor.dtype, CPU));
        }
        catch (ExternalException error) when (IsShortage(error))
        {
            throw DoesNotFit(tensor.shape, tensor.dtype, error);
        }
    }

    /// <summary>A contiguous tensor without values.</summary>
    public static Tensor New(long[] shape, ScalarType dtype)
    {
        try
        {
            return empty(shape, dtype, CPU);
        }
        catch (ExternalException error) when (IsShortage(error))
        {
            throw DoesNotFit(shape, dtype, error);
        }
    }

    /// <summary>The exception for a result that memory does not suffice for.</summary>
    public static InsufficientMemoryException DoesNotFit(long[] shape, ScalarType dtype, Exception error) =>
        new($"A result must fit in memory, but one of size {Require.Size(shape)}, dtype {dtype}, does not: {error.Message.Split('\n')[0]}. Pass the batch in parts.", error);

    /// <summary>Whether libtorch's error is that memory does not suffice, or that a size overflows.</summary>
    public static bool IsShortage(ExternalException error) =>
        error.Message.Contains("tried to allocate", StringComparison.OrdinalIgnoreCase) || error.Message.Contains("overflow", StringComparison.Ordinal);

    private static Tensor Prepared(Tensor result)
    {
        var values = result.numel();
        if (values >= FreedMemory.Least / sizeof(double))
            FreedMemory.Keep();
        if (values >= Large / sizeof(double) && values * result.element_size() is >= Large and var bytes)
            HugePages.Advise(Start(result), bytes);
        return result;
    }

    [DllImport("LibTorchSharp")]
    private static extern byte* THSTensor_data(nint tensor);
}
