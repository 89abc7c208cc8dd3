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
    public readonly byte* Start = start, End = end;

    /// <summary>The values before this fill whole groups of lanes. What is left, if anything, is the tail.</summary>
    public long Whole
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Length & -Lanes.Count;
    }

    /// <summary>The values from <see cref="Whole"/> on, then zeros.</summary>
    /// <remarks>Sums start with it: a sum that is alive while it is read would not stay in registers.</remarks>
    public Lanes Tail
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Whole == Length ? default : OnRow(Part(Whole));
    }

    /// <summary>A whole group of values.</summary>
    public Lanes this[long i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.Load(Start + (i * T.Size));
    }

    /// <summary>Loads the cache line of a value on or beyond the row that is soon to be read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(long i) => TensorMemory.Prefetch(Start + (i * T.Size));

    /// <summary>Loads the cache lines of two rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(Row<T> x, Row<T> y, long i)
    {
        x.Prefetch(i);
        y.Prefetch(i);
    }

    /// <summary>Sixteen values. Those beyond the row are arbitrary.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes Part(long i)
    {
        var from = Start + (i * T.Size);
        return from + (Lanes.Count * T.Size) <= End ? T.Load(from) : LoadLast(from, Length - i);
    }

    /// <summary>Rounds and writes the first <paramref name="count"/> of sixteen values, and the others too where the memory may be touched.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetPart(long i, Lanes values, long count)
    {
        var to = Start + (i * T.Size);
        if (to + (Lanes.Count * T.Size) <= End)
            T.Store(values, to);
        else
            StoreLast(values, to, count);
    }

    /// <summary>Rounds and writes a whole group of values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Set(long i, Lanes values) => T.Store(values, Start + (i * T.Size));

    /// <summary>Rounds and writes a whole group of values, past the caches if <paramref name="streams"/>, of float32 only.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Set(long i, Lanes values, bool streams)
    {
        if (T.IsSingle && streams)
            Float32.Stream(values, Start + (i * T.Size));
        else
            Set(i, values);
    }

    /// <summary>The tail's lanes that lie on the row, then zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes OnRow(Lanes tail) => tail.First(Length - Whole);

    /// <summary>Rounds and writes the values from <see cref="Whole"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetTail(Lanes values) => SetPart(Whole, values, Length - Whole);

    // Static: an instance method would take the row's address, and it would not stay in registers.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Lanes LoadLast(byte* from, long count)
    {
        var padded = stackalloc byte[Lanes.Count * sizeof(double)];
        Unsafe.CopyBlockUnaligned(padded, from, (uint)(count * T.Size));
        return T.Load(padded);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreLast(Lanes values, byte* to, long count)
    {
        var padded = stackalloc byte[Lanes.Count * sizeof(double)];
        T.Store(values, padded);
        Unsafe.CopyBlockUnaligned(to, padded, (uint)(count * T.Size));
    }
}
