using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>Tensors' memory: where it begins, new results, and what is asked of the caches and the system for them.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>So many bytes are worth a call to the system.</summary>
    private const long Large = 4 << 20;

    /// <summary>Of so many bytes the nearer caches hold no more than a part.</summary>
    private const long Near = 1_000_000;

    /// <summary>So many bytes ahead the lines of a result are asked for.</summary>
    private const long ResultsAhead = 2048;

    /// <summary>Of so many bytes the caches keep nothing until it is read.</summary>
    private const long Streamed = 8 << 20;

    /// <summary>The same in training, where what is read beside it, and again in the backward pass, passes through the caches too.</summary>
    private const long StreamedInTraining = 3 << 20;

    /// <summary>The address of a CPU tensor's first value. The tensor must be kept alive.</summary>
    public static byte* Start(Tensor tensor) => THSTensor_data(tensor.Handle);

    /// <summary>A line is soon to be read or written; it may lie behind the memory that there is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch1(address);
    }

    /// <summary>A result is being written there: its line so far ahead is asked for, since behind the stores few of them would be waited for at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchResult(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0((byte*)address + ResultsAhead);
    }

    /// <summary>Where so many rows of so many bytes are to be written: past the caches, which need not read first what is overwritten, whole lines of a large result.</summary>
    public static Destination DestinationOf(byte* start, long row, long rows, bool isTraining)
    {
        if (row * rows >= (isTraining ? StreamedInTraining : Streamed) && ((nint)start | (nint)row) % 64 == 0)
            return Destination.Memory;
        return row * rows >= Near ? Destination.Caches : Destination.NearCaches;
    }

    /// <summary>What was written past the caches is seen by all threads, as all else is without.</summary>
    public static void Fence()
    {
        if (Sse.IsSupported)
            Sse.StoreFence();
    }

    /// <summary>A contiguous tensor of this shape and dtype, values to be written.</summary>
    public static Tensor Like(Tensor tensor)
    {
        try
        {
            return WithHugePages(tensor.is_contiguous() ? empty_like(tensor, device: CPU) : empty(tensor.shape, tensor.dtype, CPU));
        }
        catch (ExternalException error) when (IsShortage(error))
        {
            throw DoesNotFit(tensor.shape, tensor.dtype, error);
        }
    }

    /// <summary>A contiguous tensor, values to be written.</summary>
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

    /// <summary>The exception for memory that there is not.</summary>
    public static InsufficientMemoryException DoesNotFit(long[] shape, ScalarType dtype, Exception error) =>
        new($"A result must fit in memory, but one of size {Require.Size(shape)}, dtype {dtype}, does not: {error.Message.Split('\n')[0]}. Pass the batch in parts.", error);

    /// <summary>Whether the error is that memory does not suffice, or that so much cannot be.</summary>
    public static bool IsShortage(ExternalException error) =>
        error.Message.Contains("tried to allocate", StringComparison.OrdinalIgnoreCase) || error.Message.Contains("overflow", StringComparison.Ordinal);

    private static Tensor WithHugePages(Tensor result)
    {
        var values = result.numel();
        if (values >= Large / sizeof(double) && values * result.element_size() is >= Large and var bytes)
            HugePages.Advise(Start(result), bytes);
        return result;
    }

    [DllImport("LibTorchSharp")]
    private static extern byte* THSTensor_data(nint tensor);
}
