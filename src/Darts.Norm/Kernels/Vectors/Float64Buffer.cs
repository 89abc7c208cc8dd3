using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>Float64 values outside of the garbage collector's reach, in whole groups of lanes, aligned for them.</summary>
internal readonly unsafe struct Float64Buffer : IDisposable
{
    private const int Alignment = 64;

    private readonly void* _memory;

    /// <param name="length">How many; for none no memory is taken.</param>
    public Float64Buffer(long length)
    {
        Length = Lanes.Padded(length);
        if (length == 0)
            return;
        try
        {
            // Aligned by hand, in a little more memory: AlignedAlloc takes longer than all the rest.
            _memory = NativeMemory.Alloc(((nuint)Length * sizeof(double)) + Alignment - 1);
            At = (double*)(((nint)_memory + Alignment - 1) & -Alignment);
        }
        catch (OutOfMemoryException error)
        {
            throw TensorMemory.DoesNotFit([length], ScalarType.Float64, error);
        }
    }

    /// <summary>The number of values, rounded up to whole groups of lanes.</summary>
    public long Length { get; }

    public double* At { get; }

    /// <summary>The values of a tensor, which is null or holds <paramref name="length"/>; the padding is zero.</summary>
    public static Float64Buffer Of(Tensor? tensor, long length)
    {
        if (tensor is null)
            return default;
        var doubles = new Float64Buffer(length);
        var values = tensor;
        var rows = new Rows(ref values, length);
        if (rows.Size == sizeof(double))
            doubles.Read<Float64>(rows);
        else
            doubles.Read<Float32>(rows);
        GC.KeepAlive(values);
        if (!ReferenceEquals(values, tensor))
            values.Dispose();
        return doubles;
    }

    /// <summary>The length of one set of running sums: the sums, then what they lost where <typeparamref name="T"/> needs it.</summary>
    public static long Padded<T>(long length)
        where T : IElement => Lanes.Padded(length) * (T.IsSingle ? 1 : 2);

    /// <summary>Rounds the first values of <paramref name="from"/> into a contiguous tensor; to half precision by way of float32.</summary>
    public static void Write(double* from, Tensor to)
    {
        var (length, dtype) = (to.numel(), to.dtype);
        var start = TensorMemory.Start(to);
        if (dtype == ScalarType.Float64)
        {
            Write<Float64>(from, start, length);
        }
        else if (Require.IsHalf(dtype))
        {
            using var single = new Float64Buffer((Lanes.Padded(length) + 1) / 2);
            Write<Float32>(from, (byte*)single.At, length);
            HalfPrecision.Narrow(dtype, (float*)single.At, start, length);
        }
        else
        {
            Write<Float32>(from, start, length);
        }
        GC.KeepAlive(to);
    }

    /// <summary>Whether all are.</summary>
    public bool AreFinite()
    {
        for (long i = 0; i < Length; i++)
        {
            if (!double.IsFinite(At[i]))
                return false;
        }
        return true;
    }

    public void Dispose() => NativeMemory.Free(_memory);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Read<T>(Rows rows)
        where T : IElement
    {
        using var room = new Float64Buffer(rows.IsHalf ? (rows.Length + Lanes.Count + 1) / 2 : 0);
        byte* start;
        var end = rows.Read(0, 1, &start, (float*)room.At);
        var row = new Row<T>(start, rows.Length, end);
        var i = 0L;
        for (; i < row.Whole; i += Lanes.Count)
            row[i].Store(At + i);
        if (i < row.Length)
            row.Tail.Store(At + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write<T>(double* from, byte* to, long length)
        where T : IElement
    {
        var row = new Row<T>(to, length, to + (length * T.Size));
        var i = 0L;
        for (; i < row.Whole; i += Lanes.Count)
            row.Set(i, Lanes.Load(from + i));
        if (i < length)
            row.SetTail(Lanes.Load(from + i));
    }
}
