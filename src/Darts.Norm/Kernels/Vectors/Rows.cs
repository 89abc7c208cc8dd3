using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>A strided tensor as rows of values that lie side by side; the rows themselves may lie anywhere.</summary>
internal readonly unsafe struct Rows
{
    private readonly byte* _start;
    private readonly long _stride;
    private readonly (long size, long stride)[]? _axes;

    /// <param name="tensor">On the CPU. Replaced by a packed copy, in the caller's scope, where the last axes do not lie side by side.</param>
    /// <param name="length">The number of values of a row: the last axes' sizes multiplied.</param>
    public Rows(ref Tensor tensor, long length)
    {
        Length = length;
        Size = tensor.element_size();
        if (IsHalf)
            Half = tensor.dtype;
        Count = tensor.numel() / length;
        if (tensor.is_contiguous())
        {
            _start = TensorMemory.Start(tensor);
            _stride = length * Size;
            End = _start + (Count * _stride);
            return;
        }
        var axes = Outer(tensor, length) ?? Outer(tensor = Packed(tensor, length), length)!;
        _start = TensorMemory.Start(tensor);
        End = _start + ((length + axes.Sum(axis => (axis.size - 1) * axis.stride)) * Size);
        var size = Size;
        if (axes.Count <= 1)
            _stride = axes.Count == 1 ? axes[0].stride * Size : 0;
        else
            _axes = [.. axes.Select(axis => (axis.size, axis.stride * size))];
    }

    public long Count { get; }

    public long Length { get; }

    /// <summary>The size of a value.</summary>
    public long Size { get; }

    /// <summary>Whether values are of half precision.</summary>
    public bool IsHalf => Size == HalfPrecision.Size;

    /// <summary>The dtype of values of half precision.</summary>
    public ScalarType Half { get; }

    /// <summary>The end of the tensor's memory.</summary>
    public byte* End { get; }

    public byte* this[long row] => _axes is null ? _start + (row * _stride) : _start + Offset(row);

    /// <summary>The addresses of rows that follow each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Starts(long first, int count, byte** to)
    {
        var (next, stride) = ((nint)(_start + (first * _stride)), (nint)_stride);
        for (var r = 0; r < count; r++, next += stride)
            to[r] = (byte*)next;
        for (var r = 0; _axes is not null && r < count; r++)
            to[r] = this[first + r];
    }

    /// <summary>Makes rows that follow each other readable by kernels: those of half precision are widened to float32 first.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="to">Receives the address of each.</param>
    /// <param name="widened">Room for the widened values, and for <see cref="Lanes.Count"/> more, which may be read with the last.</param>
    /// <returns>The end of the memory that may be read.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Read(long first, int count, byte** to, float* widened)
    {
        Starts(first, count, to);
        return IsHalf ? ReadHalf(first, count, to, widened) : End;
    }

    /// <summary>Widens rows of half precision that follow each other.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="lieTogether">Whether they lie side by side.</param>
    /// <param name="to">Where their values go, side by side.</param>
    public void Widen(long first, long count, bool lieTogether, float* to)
    {
        var together = lieTogether ? count : 1;
        for (var r = 0L; r < count; r += together)
            HalfPrecision.Widen(Half, this[first + r], to + (r * Length), together * Length);
    }

    private byte* ReadHalf(long first, int count, byte** to, float* widened)
    {
        Widen(first, count, _axes is null && LieTogether(count), widened);
        for (var r = 0; r < count; r++)
            to[r] = (byte*)(widened + (r * Length));
        return (byte*)(widened + (count * Length) + Lanes.Count);
    }

    /// <summary>Whether the rows from one multiple of <paramref name="count"/> to the next lie side by side.</summary>
    public bool LieTogether(long count) =>
        count == 1 || (_axes is null ? _stride == Length * Size || Count == 1 : _axes[^1].stride == Length * Size && _axes[^1].size % count == 0);

    private long Offset(long row)
    {
        long offset = 0;
        for (var i = _axes!.Length - 1; i >= 0; i--)
        {
            (row, var index) = Math.DivRem(row, _axes[i].size);
            offset += index * _axes[i].stride;
        }
        return offset;
    }

    /// <summary>The axes before the row, with neighbours joined where one stride does for both; null where the row's values do not lie side by side.</summary>
    private static List<(long size, long stride)>? Outer(Tensor tensor, long length)
    {
        var (shape, strides) = (tensor.shape, tensor.stride());
        long inner = 1;
        var axis = shape.Length - 1;
        for (; inner < length; axis--)
        {
            if (shape[axis] != 1 && strides[axis] != inner)
                return null;
            inner *= shape[axis];
        }
        var axes = new List<(long size, long stride)>();
        for (; axis >= 0; axis--)
        {
            if (shape[axis] == 1)
                continue;
            if (axes.Count > 0 && strides[axis] == axes[0].size * axes[0].stride)
                axes[0] = (axes[0].size * shape[axis], axes[0].stride);
            else
                axes.Insert(0, (shape[axis], strides[axis]));
        }
        return axes;
    }

    /// <summary>The same values with the last axes side by side. An axis before them that only repeats goes on repeating.</summary>
    private static Tensor Packed(Tensor tensor, long length)
    {
        using var scope = NewDisposeScope();
        var (shape, strides) = (tensor.shape, tensor.stride());
        var outer = shape.Length;
        for (long inner = 1; inner < length; outer--)
            inner *= shape[outer - 1];
        var once = tensor;
        for (var axis = 0; axis < outer; axis++)
        {
            if (strides[axis] == 0 && shape[axis] > 1)
                once = once.narrow(axis, 0, 1);
        }
        return once.contiguous().expand(shape).MoveToOuterDisposeScope();
    }
}
