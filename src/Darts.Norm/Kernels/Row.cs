using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>A run of values of one dtype, side by side in memory, read and written sixteen at a time.</summary>
/// <param name="start">The first value.</param>
/// <param name="length">How many values.</param>
/// <param name="end">
/// The end of the memory that may be touched beyond the row: it is read, to be thrown away, and written where the
/// same thread overwrites it afterwards.
/// </param>
internal readonly unsafe struct Row<T>(byte* start, long length, byte* end)
    where T : IElement
{
    public readonly long Length = length;
    private readonly byte* _start = start;
    private readonly byte* _end = end;

    public double First => Elements.Read<T>(_start);

    /// <summary>One value.</summary>
    public double At(long i) => Elements.Read<T>(_start + (i * T.Size));

    /// <summary>The values before this fill whole groups of lanes. What is left, if anything, is the tail.</summary>
    public long Whole
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Length & -Lanes.Count;
    }

    /// <summary>A whole group of values.</summary>
    public Lanes this[long i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.Load(_start + (i * T.Size));
    }

    /// <summary>Rounds and writes a whole group of values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Set(long i, Lanes values) => T.Store(values, _start + (i * T.Size));

    /// <summary>The values from <paramref name="i"/> to the end, then zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes Tail(long i)
    {
        var from = _start + (i * T.Size);
        return TailOf(i, from + (Lanes.Count * T.Size) <= _end ? T.Load(from) : LoadLast(i));
    }

    /// <summary>The lanes that lie on the row, then zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes TailOf(long i, Lanes values) => values.First(Length - i);

    /// <summary>Rounds and writes the values from <paramref name="i"/> to the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetTail(long i, Lanes values)
    {
        var to = _start + (i * T.Size);
        if (to + (Lanes.Count * T.Size) <= _end)
            T.Store(values, to);
        else
            StoreLast(i, values);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Lanes LoadLast(long i)
    {
        var padded = stackalloc byte[Lanes.Count * sizeof(double)];
        new Span<byte>(padded, Lanes.Count * T.Size).Clear();
        Unsafe.CopyBlockUnaligned(padded, _start + (i * T.Size), (uint)((Length - i) * T.Size));
        return T.Load(padded);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void StoreLast(long i, Lanes values)
    {
        var padded = stackalloc byte[Lanes.Count * sizeof(double)];
        T.Store(values, padded);
        Unsafe.CopyBlockUnaligned(_start + (i * T.Size), padded, (uint)((Length - i) * T.Size));
    }
}
