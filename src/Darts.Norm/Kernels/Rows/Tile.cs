using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Where the results of rows that are read together go: in place, or for half precision into float32 first, to be narrowed by <see cref="Write"/>.</summary>
internal readonly unsafe struct Tile : IDisposable
{
    private readonly ScalarType _half;
    private readonly byte* _results;
    private readonly long _row, _length;
    private readonly Float64Buffer _room;
    private readonly float* _narrowed; // null where results are written in place

    /// <param name="rows">The rows that are read.</param>
    /// <param name="results">The results of all rows, side by side; null where only sums are asked for.</param>
    /// <param name="most">How many rows are read together at most.</param>
    /// <param name="end">The first row that is not this thread's to write.</param>
    /// <param name="inputs">How many tensors rows are read from.</param>
    public Tile(in Rows rows, byte* results, int most, long end, int inputs = 1)
    {
        _half = rows.Half;
        _results = results;
        (_length, _row) = (rows.Length, rows.Length * rows.Size);
        if (rows.IsHalf)
        {
            var values = most * _length;
            _room = new((((inputs + 1) * values) + Lanes.Count + 1) / 2);
            _narrowed = Widened + (inputs * values);
            End = (byte*)(_narrowed + values + Lanes.Count);
        }
        else
        {
            End = results + (end * _row);
        }
    }

    /// <summary>Room for the values of the rows that are read.</summary>
    public float* Widened => (float*)_room.At;

    /// <summary>The end of the memory that may be written.</summary>
    public byte* End { get; }

    /// <summary>Where the results of rows from <paramref name="first"/> on go.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Start(long first) => _narrowed is not null ? (byte*)_narrowed : _results + (first * _row);

    /// <summary>Narrows the results of <paramref name="count"/> rows, where they are of half precision.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(long first, int count)
    {
        if (_narrowed is not null)
            HalfPrecision.Narrow(_half, _narrowed, _results + (first * _row), count * _length);
    }

    public void Dispose() => _room.Dispose();
}
