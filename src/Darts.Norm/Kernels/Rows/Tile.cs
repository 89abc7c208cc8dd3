using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary>Where rows are written that are read together; those of half precision are computed with as float32 on the way.</summary>
internal readonly unsafe struct Tile : IDisposable
{
    private readonly ScalarType _half;
    private readonly byte* _results;
    private readonly long _row, _length;
    private readonly Float64Buffer _room;
    private readonly float* _narrowed; // null where results are written in place

    /// <param name="rows">What is read.</param>
    /// <param name="results">Of all rows, side by side; none where only sums are asked for.</param>
    /// <param name="most">How many are read together at most.</param>
    /// <param name="end">The first row that somebody else writes.</param>
    /// <param name="inputs">Of how many tensors rows are read.</param>
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

    /// <summary>Where results go from this row on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Start(long first) => _narrowed is not null ? (byte*)_narrowed : _results + (first * _row);

    /// <summary>So many results are there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(long first, int count)
    {
        if (_narrowed is not null)
            HalfPrecision.Narrow(_half, _narrowed, _results + (first * _row), count * _length);
    }

    public void Dispose() => _room.Dispose();
}
