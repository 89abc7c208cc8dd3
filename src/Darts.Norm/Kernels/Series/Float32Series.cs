using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>The map of a series in float32: <c>y = (x - center) · factor + shift</c>, with coefficients rounded from float64, the factor to two numbers.</summary>
/// <remarks>
/// Three roundings cost one and a half units of <c>x · factor</c>. Of the result that is as little, unless the shift cancels much of it. The components where it does, and those that leave
/// float32's range, are lost, and computed in float64: each for itself, since its values must not change the results of the others.
/// Let the largest result be in [1, 2) units of 2²³, a shift s and a product p: the difference to the center costs p / 2, the product 0.5 below 2 and 1 below 4, the shift
/// and what is added to it 0.25 each for s below 1 and else 0.5, the result 0.5, or 1 across 2. With s at most half the largest, s is below 1 and p below 3: 1.5 + 1 + 0.5 + 1 = 4.
/// With s as large as it, p is below 2.5 unless a result opposes s by more than a quarter of s: 1.25 + 1 + 1 + 0.5.
/// Elementwise, so the same bits whatever the width of a vector.
/// </remarks>
internal readonly unsafe struct Float32Series
{
    /// <summary>Coefficients below this, and factors above its inverse, keep products in float32's range.</summary>
    private const double Most = 1e18;

    /// <summary>2⁻⁶⁰</summary>
    private const double Negligible = 1.0 / (1L << 60);

    /// <summary>How many times its shift a component's largest result must be: a little over two, since both are rounded.</summary>
    private const float Enough = 2.00001f;

    /// <summary>How much of the shift a result on the other side of zero may be, where the largest is not <see cref="Enough"/>.</summary>
    private const float Opposed = 0.25f;

    /// <summary>Flags of a column: it has a result as large as its shift; one on the other side of zero, beyond <see cref="Opposed"/>; one that is <see cref="Enough"/>.</summary>
    private const int IsAsLarge = 1, IsOpposed = 2, IsEnough = 4;

    /// <summary>How many results ahead of the writing a line is loaded: the processor does not foresee rows that begin within a line.</summary>
    private const long Ahead = 1024;

    /// <summary>Above both, groups are written one after the other, not four at a time: then the processor foresees the lines that it needs.</summary>
    private const long MostColumns = 128, MostValues = 3 << 18;

    private readonly float* _centers;
    private readonly long _run, _columns;
    private readonly bool _isLarge;

    /// <param name="groups">The series.</param>
    /// <param name="coefficients">Four runs of coefficients, of which the first columns are set: centers, what they lost, factors, shifts.</param>
    /// <param name="run">The length of a run, in whole groups of lanes.</param>
    /// <param name="to">As much memory as <see cref="Room"/> says, which this uses.</param>
    public Float32Series(in SeriesGroups groups, double* coefficients, long run, float* to)
    {
        (_run, _columns) = (run, groups.Columns);
        _isLarge = groups.Columns > MostColumns && groups.Batch * groups.Steps * groups.Width > MostValues;
        _centers = to;
        Round(coefficients, groups.Width, run, to, Lost);
        groups.Repeat(to, run, 5);
    }

    // Six runs: centers, factors, what these lost, shifts, masks of the lost columns, and flags of what was seen of the results.
    private float* Shifts => _centers + (3 * _run);

    /// <summary>Of each column, then what each lost.</summary>
    public float* Factors => _centers + _run;

    private int* Lost => (int*)(_centers + (4 * _run));

    private int* Reached => (int*)(_centers + (5 * _run));

    private int* Listed => Reached; // in the same place: the flags are no longer needed

    /// <summary>The room for six runs of float32, in float64 values.</summary>
    public static long Room<T>(SeriesGroups groups)
        where T : IElement => T.IsSingle ? Lanes.Padded(groups.Columns) * 3 : 0;

    /// <summary>How many of the first <paramref name="width"/> columns are lost.</summary>
    public long CountLost(long width) => CountLost(Lost, width);

    /// <summary>Maps groups of values that lie side by side; the last may be shorter. NaN stays NaN, or becomes zero.</summary>
    public void Map(byte* x, byte* y, long length, bool fillsWithZero)
    {
        if (fillsWithZero)
            Map<FilledAffine>((float*)x, (float*)y, length);
        else
            Map<Affine>((float*)x, (float*)y, length);
    }

    private void Map<TMap>(float* x, float* y, long length)
        where TMap : struct, IMap<TMap>
    {
        if (_isLarge || x == y)
            MapEach<TMap>(x, y, length, _columns, _centers, _run);
        else
            MapFour<TMap>(x, y, length, _columns, _centers, _run);
    }

    /// <summary>Multiplies groups of values by the factors alone: <c>y = x · factor</c>.</summary>
    public void Scale(float* x, float* y, long length) => MapEach<Factor>(x, y, length, _columns, Factors, _run);

    /// <summary>The same of sixteen columns of four groups.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ScaleFour(float* x, float* y, long columns, float* factors, long run) => MapFour<Factor>(x, y, columns, factors, run);

    /// <summary>Forgets what was seen, but for the lost columns: these have all flags, so that no result of theirs is looked for.</summary>
    public void ClearReached() => Buffer.MemoryCopy(Lost, Reached, _run * sizeof(int), _run * sizeof(int));

    /// <summary>Looks at more results. Answers whether each of the first <paramref name="width"/> columns has one that is <see cref="Enough"/> by now.</summary>
    /// <param name="results">Groups of results, side by side; the last may be shorter.</param>
    /// <param name="length">How many results.</param>
    /// <param name="width">The columns of a step; a group has them as often as it has steps.</param>
    public bool Reach(byte* results, long length, long width)
    {
        if (Reach((float*)results, length, _columns, Shifts, Reached))
            return true;
        for (long i = 0; i < width; i++)
        {
            if ((Seen(i, width) & IsEnough) == 0)
                return false;
        }
        return true;
    }

    /// <summary>Marks as lost the columns whose shift may have cost their results too many digits.</summary>
    public void LoseUnreached(long width)
    {
        for (long i = 0; i < width; i++)
        {
            if (Seen(i, width) is 0 or IsOpposed or (IsAsLarge | IsOpposed))
                Lost[i] = -1;
        }
    }

    private int Seen(long column, long width)
    {
        var seen = 0;
        for (var i = column; i < _columns; i += width)
            seen |= Reached[i];
        return seen;
    }

    /// <summary>Lists the groups of four columns that hold lost ones, for <see cref="MapLost"/>. Answers how many there are.</summary>
    public long ListLost(long width) => ListLost(Lost, width, Listed);

    /// <summary>Maps the lost columns of some time steps in float64, without center and shift where these are null. Not in place: the last four columns may overlap the four before.</summary>
    public void MapLost(float* x, float* y, long rows, long width, long listed, double* center, double* factor, double* shift, bool fillsWithZero)
    {
        if (width < Vector256<double>.Count)
            MapLostEach(x, y, rows, width, Lost, center, factor, shift, fillsWithZero);
        else
            MapLostFours(x, y, rows, width, Lost, Listed, listed, center, factor, shift, fillsWithZero);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static long ListLost(int* lost, long width, int* to)
    {
        var count = 0L;
        for (long c = 0, last = width - Vector128<int>.Count; c < width; c += Vector128<int>.Count)
        {
            var of = Math.Max(0, Math.Min(c, last));
            var isAny = false;
            for (var i = of; i < Math.Min(of + Vector128<int>.Count, width); i++)
                isAny |= lost[i] != 0;
            if (isAny)
                to[count++] = (int)of;
        }
        return count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void MapLostFours(float* x, float* y, long rows, long width, int* lost, int* listed, long count, double* center, double* factor, double* shift, bool fillsWithZero)
    {
        for (var row = 0L; row < rows; row++, x += width, y += width)
        {
            for (var i = 0L; i < count; i++)
            {
                var c = listed[i];
                var v = Float32.WidenFour(x + c);
                var mapped = center is null ? v * Vector256.Load(factor + c) : ((v - Vector256.Load(center + c)) * Vector256.Load(factor + c)) + Vector256.Load(shift + c);
                if (fillsWithZero)
                    mapped &= Vector256.Equals(v, v);
                Vector128.ConditionalSelect(Vector128.Load(lost + c).AsSingle(), Float32.Narrow(mapped), Vector128.Load(y + c)).Store(y + c);
            }
        }
    }

    /// <summary>As <see cref="MapLostFours"/>, of fewer than four columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void MapLostEach(float* x, float* y, long rows, long width, int* lost, double* center, double* factor, double* shift, bool fillsWithZero)
    {
        for (var row = 0L; row < rows; row++, x += width, y += width)
        {
            for (var c = 0L; c < width; c++)
            {
                if (lost[c] == 0)
                    continue;
                double v = x[c], mapped = center is null ? v * factor[c] : ((v - center[c]) * factor[c]) + shift[c];
                y[c] = fillsWithZero && double.IsNaN(v) ? 0 : (float)mapped;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Round(double* from, long width, long run, float* to, int* lost)
    {
        for (long i = 0; i < width; i += Vector256<double>.Count)
        {
            var (center, factor, shift) = (Vector256.Load(from + i), Vector256.Load(from + (2 * run) + i), Vector256.Load(from + (3 * run) + i));
            var (rounded, high) = (Float32.Narrow(center), Float32.Narrow(factor));
            high = (high.AsInt32() + Narrow(Vector256.GreaterThan(Vector256.Abs(Float32.Widen(high)), Vector256.Abs(factor)))).AsSingle(); // toward zero
            shift -= (center - Float32.Widen(rounded)) * factor;
            var fits = IsBelowMost(center) & IsBelowMost(shift) & IsBelowMost(factor)
                & (Vector256.GreaterThan(Vector256.Abs(factor), Vector256.Create(1 / Most)) | Vector256.Equals(factor, Vector256<double>.Zero));
            rounded.Store(to + i);
            high.Store(to + run + i);
            // Of the factor's sign and never zero: then an infinity times this has the sign of the infinity times the factor, and their sum is no NaN.
            Float32.Narrow(factor - Float32.Widen(high) + (factor * Vector256.Create(Negligible))).Store(to + (2 * run) + i);
            Float32.Narrow(shift).Store(to + (3 * run) + i);
            Narrow(~fits).Store(lost + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Narrow(Vector256<double> mask) => Vector128.Narrow(mask.GetLower().AsInt64(), mask.GetUpper().AsInt64());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBelowMost(Vector256<double> value) => Vector256.LessThan(Vector256.Abs(value), Vector256.Create(Most));

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static long CountLost(int* lost, long width)
    {
        var (i, sum) = (0L, Vector256<int>.Zero);
        for (; i <= width - Vector256<int>.Count; i += Vector256<int>.Count)
            sum -= Vector256.Load(lost + i);
        long count = Vector256.Sum(sum);
        for (; i < width; i++)
            count -= lost[i];
        return count;
    }

    /// <summary>Maps four groups at a time, so that coefficients are loaded once for all four. Not in place: the last vector may overlap the one before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void MapFour<TMap>(float* x, float* y, long length, long columns, float* coefficients, long run)
        where TMap : struct, IMap<TMap>
    {
        var (last, four) = (columns - Vector512<float>.Count, SeriesGroups.AtATime * columns);
        for (; last >= 0 && length >= four; length -= four, x += four, y += four)
        {
            for (var i = 0L; ; i = Math.Min(i + Vector512<float>.Count, last))
            {
                MapFour<TMap>(x + i, y + i, columns, coefficients + i, run);
                if (i == last)
                    break;
            }
        }
        MapEach<TMap>(x, y, length, columns, coefficients, run);
    }

    /// <summary>Sixteen columns of four groups.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MapFour<TMap>(float* x, float* y, long columns, float* coefficients, long run)
        where TMap : struct, IMap<TMap>
    {
        var map = TMap.Load(coefficients, run);
        for (var ahead = y + Ahead; ahead <= y + Ahead + (3 * columns); ahead += columns)
            TensorMemory.Prefetch(ahead);
        map.Of(Vector512.Load(x)).Store(y);
        map.Of(Vector512.Load(x + columns)).Store(y + columns);
        map.Of(Vector512.Load(x + (2 * columns))).Store(y + (2 * columns));
        map.Of(Vector512.Load(x + (3 * columns))).Store(y + (3 * columns));
    }

    /// <summary>Maps one group after the other. It may be in place, as the last vector is read before any is written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void MapEach<TMap>(float* x, float* y, long length, long columns, float* coefficients, long run)
        where TMap : struct, IMap<TMap>
    {
        for (; length > 0; length -= columns, x += columns, y += columns)
        {
            var (i, count) = (0L, Math.Min(length, columns));
            var last = count - Vector512<float>.Count;
            var tail = last >= 0 ? Vector512.Load(x + last) : default;
            for (; i <= last; i += Vector512<float>.Count)
            {
                TensorMemory.Prefetch(y + i + Ahead);
                TMap.Load(coefficients + i, run).Of(Vector512.Load(x + i)).Store(y + i);
            }
            if (i < count && last >= 0)
            {
                TMap.Load(coefficients + last, run).Of(tail).Store(y + last);
                continue;
            }
            for (; i < count; i++)
                y[i] = TMap.Load(coefficients + i, run).Of(Vector512.CreateScalar(x[i])).ToScalar();
        }
    }

    /// <summary>A map of sixteen values.</summary>
    private interface IMap<TSelf>
    {
        public static abstract TSelf Load(float* from, long run);

        public Vector512<float> Of(Vector512<float> x);
    }

    private readonly struct Affine(Vector512<float> center, Factor factor, Vector512<float> shift) : IMap<Affine>
    {
        private readonly Vector512<float> _center = center, _shift = shift;
        private readonly Factor _factor = factor;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Affine Load(float* from, long run) => new(Vector512.Load(from), Factor.Load(from + run, run), Vector512.Load(from + (3 * run)));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> x)
        {
            var v = x - _center;
            return (v * _factor.High) + ((v * _factor.Low) + _shift);
        }
    }

    /// <summary><see cref="Affine"/>, but zero for NaN.</summary>
    private readonly struct FilledAffine(Affine map) : IMap<FilledAffine>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static FilledAffine Load(float* from, long run) => new(Affine.Load(from, run));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> x) => map.Of(x) & Vector512.Equals(x, x);
    }

    private readonly struct Factor(Vector512<float> high, Vector512<float> low) : IMap<Factor>
    {
        public readonly Vector512<float> High = high, Low = low;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Factor Load(float* from, long run) => new(Vector512.Load(from), Vector512.Load(from + run));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> x) => (x * High) + (x * Low);
    }

    /// <summary>As <see cref="Reach(byte*, long, long)"/>, of all columns of a group.</summary>
    private static bool Reach(float* y, long length, long columns, float* shifts, int* seen)
    {
        var (rows, last) = Math.DivRem(length, columns);
        var haveReached = Reach(y, rows, columns, columns, shifts, seen);
        return last == 0 ? haveReached : Reach(y + (rows * columns), 1, last, columns, shifts, seen) && haveReached;
    }

    /// <summary>Looks at the first <paramref name="count"/> columns of each row, sixteen columns at a time, and no further down than until all sixteen have enough.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static bool Reach(float* y, long rows, long count, long columns, float* shifts, int* seen)
    {
        const long together = 8;
        var (i, all) = (0L, Vector512.Create(IsEnough));
        for (; i <= count - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            var (now, shift, row) = (Vector512.Load(seen + i), Vector512.Load(shifts + i), 0L);
            var sign = shift & Vector512.Create(-0f);
            while (row < rows && !Vector512.EqualsAll(now & Vector512.Create(IsEnough), Vector512.Create(IsEnough)))
            {
                var (least, most, end) = (Vector512<float>.Zero, Vector512<float>.Zero, Math.Min(rows, row + together));
                for (; row < end; row++)
                {
                    var along = Vector512.Load(y + (row * columns) + i) ^ sign;
                    (least, most) = (Smaller(along, least), Larger(along, most));
                }
                now |= Seen(least, most, Vector512.Abs(shift));
            }
            now.Store(seen + i);
            all &= now;
        }
        for (; i < count; i++)
        {
            var (least, most, shift) = (0f, 0f, Math.Abs(shifts[i]));
            for (long row = 0; row < rows && Math.Max(most, -least) < shift * Enough; row++)
            {
                var along = float.IsNegative(shifts[i]) ? -y[(row * columns) + i] : y[(row * columns) + i];
                (least, most) = (along < least ? along : least, along > most ? along : most);
            }
            seen[i] |= Seen(Vector512.CreateScalar(least), Vector512.CreateScalar(most), Vector512.CreateScalar(shift)).ToScalar();
            all &= Vector512.Create(seen[i]);
        }
        return Vector512.EqualsAll(all, Vector512.Create(IsEnough) | all);
    }

    /// <param name="least">The least results, where those of the shift's sign count as positive.</param>
    /// <param name="most">The largest results, likewise.</param>
    /// <param name="shift">The shifts' magnitudes.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Seen(Vector512<float> least, Vector512<float> most, Vector512<float> shift) =>
        ((Vector512.GreaterThanOrEqual(most, shift) | Vector512.LessThanOrEqual(least, -shift)).AsInt32() & Vector512.Create(IsAsLarge))
        | (Vector512.LessThan(least, shift * -Opposed).AsInt32() & Vector512.Create(IsOpposed))
        | ((Vector512.GreaterThanOrEqual(most, shift * Enough) | Vector512.LessThanOrEqual(least, shift * -Enough)).AsInt32() & Vector512.Create(IsEnough));

    // The second where the first is NaN, as the processor's instruction answers.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Smaller(Vector512<float> x, Vector512<float> y) =>
        Avx512F.IsSupported ? Avx512F.Min(x, y) : Vector512.ConditionalSelect(Vector512.LessThan(x, y), x, y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Larger(Vector512<float> x, Vector512<float> y) =>
        Avx512F.IsSupported ? Avx512F.Max(x, y) : Vector512.ConditionalSelect(Vector512.GreaterThan(x, y), x, y);
}
