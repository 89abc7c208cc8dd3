using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Some rows of float32, normalised together in float32; what has a mean is measured in float64.</summary>
/// <remarks>
/// Each step takes all rows before the next begins: a row's sums, root and division wait for each other, but not for the next row's.
/// Where float32 might overflow or lose digits the inverse is NaN: such a row is left to float64.
/// </remarks>
internal static unsafe class Float32Rows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Shorter rows are computed in float64: they fill no vectors, or have too few squares in float32 for their roundings to cancel.</summary>
    public static long Shortest => TFormula.Centers ? Lanes.Count : 64;

    /// <summary>As <see cref="RowNormalization{TFormula}.Together"/>; many of short rows, whose roots and divisions take long beside the rest.</summary>
    public static int Together(long length) => length <= 128 ? Float32Statistics.Most : RowNormalization<TFormula>.Together(length);

    /// <summary>The least mean square that float32 holds.</summary>
    private const double LeastSquare = 1e-25;

    /// <summary>So many times as large as the variance, the square of a mean leaves it digits enough for what is written in float32.</summary>
    public const double FarInSingle = 4096;

    /// <summary>The same for what is written in float64.</summary>
    public const double FarInDouble = 4;

    /// <summary>2⁻⁵², the square of a quarter of a unit in the last place of the spread.</summary>
    private const double HiddenSquare = 1.0 / (1L << 52);

    /// <summary>2⁻²⁴: more a float32 does not lose by rounding.</summary>
    private const double Unit = 1.0 / (1L << 24);

    /// <summary>What is subtracted from each row, as a float32 and the rest, and what it is multiplied by: NaN where the mean square is out of range.</summary>
    /// <remarks>From the squares of the values, or where the mean is far larger than their spread, of the differences to it: which is each row's own affair.</remarks>
    /// <param name="rows">Where each begins.</param>
    /// <param name="count">How many.</param>
    /// <param name="length">Of each.</param>
    /// <param name="end">The end of the memory that may be read.</param>
    /// <param name="eps">Of the layer.</param>
    /// <param name="farthest">So many times as large as the variance the square of a mean may be.</param>
    /// <param name="ratio">So many times as large as one of a row's values the weight may make another.</param>
    /// <param name="to">What is measured.</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure(float** rows, int count, long length, float* end, double eps, double farthest, double ratio, Float32Statistics* to)
    {
        RowSum* sums = stackalloc RowSum[Float32Statistics.Most], squares = stackalloc RowSum[Float32Statistics.Most];
        Float32Sums<TFormula>.AddUp(rows, count, length, end, sums, squares);
        if (SetMoments(count, length, farthest, sums, squares, to))
            SetFarSquares(rows, count, length, end, to);
        SetInverses(count, eps, ratio, to);
    }

    /// <summary>The mean of each row, and in place of the inverse its mean square about that. Whether some are too far from zero for it: theirs is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static bool SetMoments(int count, long length, double farthest, RowSum* sums, RowSum* squares, Float32Statistics* to)
    {
        var (n, over) = (Vector256.Create((double)length), Vector256.Create(1.0 / length));
        var far = Vector256<double>.Zero;
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = RowSum.Totals(squares + r) * over;
            if (TFormula.Centers)
            {
                var total = RowSum.Totals(sums + r);
                var mean = total * over;
                var level = Float32.Narrow(mean);
                level.Store(to->Level + r);
                ((total - (Float32.Widen(level) * n)) * over).Store(to->Rest + r); // exact but for the last step: it has digits that the mean has not
                meanSquare -= mean * mean; // not above zero, it is out of range
                var isFar = Vector256.GreaterThan(mean * mean, meanSquare * farthest);
                far |= isFar;
                meanSquare = Vector256.ConditionalSelect(isFar, Vector256.Create(double.NaN), meanSquare);
            }
            meanSquare.Store(to->Inverse + r);
        }
        return far != Vector256<double>.Zero;
    }

    /// <summary>The mean squares of the rows that are far from zero, from the differences to their levels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SetFarSquares(float** rows, int count, long length, float* end, Float32Statistics* to)
    {
        for (var r = 0; r < count; r++)
        {
            if (!double.IsNaN(to->Inverse[r]))
                continue;
            var squares = Float32Sums<TFormula>.SquaresAbout(to->Level[r], new((byte*)rows[r], length, (byte*)end));
            to->Inverse[r] = (squares / length) - (to->Rest[r] * to->Rest[r]);
        }
    }

    /// <summary>The factor of each row, in place of its mean square.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SetInverses(int count, double eps, double ratio, Float32Statistics* to)
    {
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = Vector256.Load(to->Inverse + r);
            var factor = TFormula.Inverse(meanSquare, eps);
            factor = Vector256.ConditionalSelect(IsBetween(LeastSquare, meanSquare, 1e30) & IsBetween(1e-15, factor, 1e15), factor, Vector256.Create(double.NaN));
            factor.Store(to->Inverse + r);
            var high = Float32.Narrow(factor);
            if (!TFormula.Centers)
            {
                high.Store(to->PlainInverse + r);
                continue;
            }
            var rest = Vector256.Load(to->Rest + r);
            var lost = factor - Float32.Widen(high);
            var (hidden, room) = (rest * ratio, (factor * Unit) - Vector256.Abs(lost)); // together the two come to no more than one rounding
            var isPlain = Vector256.LessThanOrEqual(hidden * hidden, meanSquare * HiddenSquare) & Vector256.LessThanOrEqual(hidden * hidden * (factor * factor), meanSquare * (room * room));
            Float32.Narrow(Vector256.ConditionalSelect(isPlain, factor, Vector256.Create(double.NaN))).Store(to->PlainInverse + r);
            high.Store(to->InverseHigh + r);
            Float32.Narrow(lost).Store(to->InverseLow + r);
            Float32.Narrow(-rest * factor).Store(to->Shift + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    /// <summary><c>y = x̂ · weight + bias</c>, for the rows whose inverse is a number, in float32. The bias is zero, or not there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInSingle(
        float** rows, int count, long length, float* end, float* to, float* toEnd, Float32Statistics* measured, float* weight, float* bias, Destination destination)
    {
        if (Vector512.IsHardwareAccelerated)
            WriteInSingle<Float32x16>(rows, count, length, end, to, toEnd, measured, weight, bias, destination);
        else
            WriteInSingle<Float32x8>(rows, count, length, end, to, toEnd, measured, weight, bias, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WriteInSingle<TVector>(
        float** rows, int count, long length, float* end, float* to, float* toEnd, Float32Statistics* measured, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        var padded = Lanes.Padded(length);
        var isWhole = length % TVector.Count == 0 || to + ((count - 1) * length) + padded <= toEnd; // else the next row overwrites what lies beyond
        for (var r = 0; r < count; r++)
            isWhole &= length % TVector.Count == 0 || rows[r] + padded <= end;
        if (!isWhole)
        {
            for (var r = 0; r < count; r++)
                WriteRow<TVector>(rows[r], length, end, to + (r * length), toEnd, measured, r, weight, bias, destination);
        }
        else if (bias is not null)
        {
            WriteShifted<TVector>(rows, count, length, to, measured, weight, bias, destination);
        }
        else if (weight is not null)
        {
            WriteScaled<TVector>(rows, count, length, to, measured, weight, destination);
        }
        else
        {
            WritePlain<TVector>(rows, count, length, to, measured, destination);
        }
    }

    // A method for each set of parameters: asking among the values would take as long as they do.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteShifted<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteWhole<TVector>(rows, count, length, to, measured, weight, bias, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteScaled<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteWhole<TVector>(rows, count, length, to, measured, weight, null, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteWhole<TVector>(rows, count, length, to, measured, null, null, destination);

    /// <summary>Rows that may be read and written in whole groups.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteWhole<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        for (var r = 0; r < count; r++, to += length)
        {
            if (float.IsNaN(measured->PlainInverse[r]))
                WriteRow<TVector>(rows[r], length, rows[r] + Lanes.Padded(length), to, to + Lanes.Padded(length), measured, r, weight, bias, destination);
            else
                WriteGroups(rows[r], to, length, Plain<TVector>(measured, r), hasRest: false, weight, bias, destination);
        }
    }

    /// <summary>One row, unless it is left to float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteRow<TVector>(
        float* x, long length, float* end, float* y, float* yEnd, Float32Statistics* measured, int r, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        if (double.IsNaN(measured->Inverse[r]))
            return;
        if (!float.IsNaN(measured->PlainInverse[r]))
            WriteRow(x, length, end, y, yEnd, Plain<TVector>(measured, r), Plain<Float32x8>(measured, r), hasRest: false, weight, bias, destination);
        else
            WriteRow(x, length, end, y, yEnd, new Standardized<TVector>(measured, r), new Standardized<Float32x8>(measured, r), hasRest: true, weight, bias, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteRow<TVector>(
        float* x, long length, float* end, float* y, float* yEnd, Standardized<TVector> row, Standardized<Float32x8> eight, bool hasRest, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        var whole = length & -TVector.Count;
        WriteGroups(x, y, whole, row, hasRest, weight, bias, destination);
        var (from, to) = (new Float32Row(x, length, end), new Float32Row(y, length, yEnd));
        Float32x8 largest = default;
        for (var i = whole; i < length; i += Float32x8.Count)
            to.SetPart(i, Affine(eight.Of(new(from.Part(i)), hasRest), weight, bias, i, isWatched: false, ref largest).Values);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Standardized<TVector> Plain<TVector>(Float32Statistics* measured, int r)
        where TVector : struct, IFloat32Vector<TVector> => new(measured->Level[r], measured->PlainInverse[r]);

    /// <summary>So many values in whole groups; if that is asked for, the largest magnitude of the values times the weight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector WriteGroups<TVector>(
        float* x, float* y, long count, Standardized<TVector> row, bool hasRest, float* weight, float* bias, Destination destination, bool isWatched = false)
        where TVector : struct, IFloat32Vector<TVector>
    {
        TVector largest = default;
        if (destination == Destination.Memory)
        {
            for (var i = 0L; i < count; i += TVector.Count)
                Affine(row.Of(TVector.Load(x + i), hasRest), weight, bias, i, isWatched, ref largest).Stream(y + i);
        }
        else if (destination == Destination.Caches)
        {
            for (var i = 0L; i < count; i += TVector.Count)
            {
                TensorMemory.PrefetchResult(y + i);
                Affine(row.Of(TVector.Load(x + i), hasRest), weight, bias, i, isWatched, ref largest).Store(y + i);
            }
        }
        else
        {
            for (var i = 0L; i < count; i += TVector.Count)
                Affine(row.Of(TVector.Load(x + i), hasRest), weight, bias, i, isWatched, ref largest).Store(y + i);
        }
        return largest;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Affine<TVector>(TVector v, float* weight, float* bias, long i, bool isWatched, ref TVector largest)
        where TVector : struct, IFloat32Vector<TVector>
    {
        if (weight is not null)
            v *= TVector.Load(weight + i);
        if (isWatched)
            largest = TVector.LargerMagnitude(largest, v);
        if (bias is not null)
            v += TVector.Load(bias + i);
        return v;
    }

    /// <summary>The same with a small bias. Of a row that it may take below a power of two too few digits are left: such a row is written again, in float64.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteWatched(
        float** rows, int count, long length, float* end, float* to, float* toEnd, double eps, Float32Statistics* measured,
        float* weight, float* bias, float largestBias, double* doubleWeight, double* doubleBias, Destination destination)
    {
        var largest = stackalloc Vector256<int>[Float32Statistics.Most];
        if (Vector512.IsHardwareAccelerated)
            WriteWatched<Float32x16>(rows, count, length, end, to, toEnd, measured, weight, bias, destination, largest);
        else
            WriteWatched<Float32x8>(rows, count, length, end, to, toEnd, measured, weight, bias, destination, largest);
        for (var four = 0; four < count; four += Vector128<float>.Count)
        {
            for (var lost = Lost(Float32.Largest(largest + four), largestBias, measured, four); lost != 0; lost &= lost - 1)
            {
                var r = four + BitOperations.TrailingZeroCount(lost);
                if (r < count)
                    WriteInDouble(rows, r, 1, length, end, to, to + ((r + 1) * length), eps, measured, doubleWeight, doubleBias, destination); // the next row is there already
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteWatched<TVector>(
        float** rows, int count, long length, float* end, float* to, float* toEnd, Float32Statistics* measured,
        float* weight, float* bias, Destination destination, Vector256<int>* largest)
        where TVector : struct, IFloat32Vector<TVector>
    {
        var whole = length & -TVector.Count;
        for (var r = 0; r < count; r++, to += length)
        {
            if (double.IsNaN(measured->Inverse[r]))
                continue;
            if (float.IsNaN(measured->PlainInverse[r]))
                WriteWatchedFar<TVector>(rows[r], whole, to, measured, r, weight, bias, destination, largest + r);
            else
                largest[r] = WriteGroups(rows[r], to, whole, Plain<TVector>(measured, r), hasRest: false, weight, bias, destination, isWatched: true).Folded();
            if (whole < length)
                WriteWatchedTail(new(rows[r], length, end), whole, new(to, length, toEnd), measured, r, weight, bias, largest + r);
        }
    }

    // Methods of their own: in one with more loops nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteWatchedFar<TVector>(
        float* x, long whole, float* y, Float32Statistics* measured, int r, float* weight, float* bias, Destination destination, Vector256<int>* largest)
        where TVector : struct, IFloat32Vector<TVector> =>
        *largest = WriteGroups(x, y, whole, new Standardized<TVector>(measured, r), hasRest: true, weight, bias, destination, isWatched: true).Folded();

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteWatchedTail(Float32Row x, long whole, Float32Row y, Float32Statistics* measured, int r, float* weight, float* bias, Vector256<int>* largest)
    {
        var hasRest = float.IsNaN(measured->PlainInverse[r]);
        var row = hasRest ? new(measured, r) : Plain<Float32x8>(measured, r);
        Float32x8 products = new(largest->AsSingle());
        for (var i = whole; i < x.Length; i += Float32x8.Count)
        {
            var product = row.Of(new(x.Part(i)), hasRest) * Float32x8.Load(weight + i);
            products = Float32x8.LargerMagnitude(products, new(product.Values & Float32x32.WideMask(x.Length - i).GetLower()));
            y.SetPart(i, (product + Float32x8.Load(bias + i)).Values);
        }
        *largest = products.Folded();
    }

    /// <summary>Of four rows, a bit for each whose outputs may be more than 4 units of the largest from what is right.</summary>
    /// <remarks>
    /// With P the largest value times the weight and u = 2⁻²⁴, what the level leaves and the roundings of x - level, of the inverse and of their product come to
    /// P · (2.25 u + what the inverse lost), those of the other two operations to half a unit each, where P is below the next power of two; that of the sum to a whole one, where the bias may take it over that power.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Lost(Vector128<float> largest, float largestBias, Float32Statistics* measured, int r)
    {
        var left = (largest - Vector128.Create(largestBias)) * (1 - 1e-6f); // no more than the largest output
        var power = Vector128.GreaterThan(left, Vector128<float>.Zero) & (left.AsInt32() & Vector128.Create(0x7F800000)).AsSingle();
        var (plain, low) = (Vector128.Load(measured->PlainInverse + r), Vector128.Abs(Vector128.Load(measured->InverseLow + r)));
        var lost = Vector128.ConditionalSelect(Vector128.Equals(plain, plain), low / Vector128.Load(measured->InverseHigh + r) * (1 << 24), Vector128<float>.One) + Vector128.Create(2.25f);
        var room = Vector128.ConditionalSelect(Vector128.LessThan((largest + Vector128.Create(largestBias)) * (1 + 1e-6f), power * 2), power * 6, power * 5);
        return ~(Vector128.LessThan(largest, power * 2) & Vector128.LessThan(largest * lost, room)).ExtractMostSignificantBits() & 0xF;
    }

    /// <summary>The same of rows from <paramref name="first"/> on, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInDouble(
        float** rows, int first, int count, long length, float* end, float* to, float* toEnd, double eps, Float32Statistics* measured, double* weight, double* bias, Destination destination)
    {
        for (var r = first; r < first + count; r++)
        {
            if (double.IsNaN(measured->Inverse[r]))
                continue;
            var (x, y) = (new Row<Float32>((byte*)rows[r], length, (byte*)end), new Row<Float32>((byte*)(to + (r * length)), length, (byte*)toEnd));
            var s = measured->Of(r, TFormula.Centers).WithoutHiddenLow(eps);
            if (s.CenterLow != 0)
                WriteWhole(x, y, new StandardizedInDouble(s), isFar: true, weight, bias, destination);
            else
                WriteWhole(x, y, new StandardizedInDouble(s), isFar: false, weight, bias, destination);
            if (x.Whole < length)
                WriteTail(x, y, &s, weight, bias);
        }
    }

    /// <summary>The whole groups of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteWhole(Row<Float32> x, Row<Float32> y, StandardizedInDouble row, bool isFar, double* weight, double* bias, Destination destination)
    {
        for (var i = 0L; i < x.Whole; i += Lanes.Count)
        {
            if (destination == Destination.Caches)
                TensorMemory.PrefetchResult((float*)y.Start + i);
            y.Set(i, RowNormalization<TFormula>.Affine(row.Of(x[i], isFar), weight, bias, i), destination == Destination.Memory);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteTail(Row<Float32> x, Row<Float32> y, RowStatistics* s, double* weight, double* bias) =>
        y.SetTail(RowNormalization<TFormula>.Affine(new StandardizedInDouble(*s).Of(x.Tail, isFar: true), weight, bias, x.Whole)); // what is zero can be subtracted as well

    /// <summary><c>x̂ = (x - center) · inverse</c>. Where it is asked for, what the center is beyond its level and what the inverse lost by rounding is added last.</summary>
    private readonly struct Standardized<TVector>
        where TVector : struct, IFloat32Vector<TVector>
    {
        private readonly TVector _level, _inverse, _inverseLow, _shift;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(float level, float inverse) => (_level, _inverse) = (TVector.Create(level), TVector.Create(inverse));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(Float32Statistics* measured, int r)
        {
            (_level, _shift) = (TVector.Create(measured->Level[r]), TVector.Create(measured->Shift[r]));
            (_inverse, _inverseLow) = (TVector.Create(measured->InverseHigh[r]), TVector.Create(measured->InverseLow[r]));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Of(TVector x, bool hasRest)
        {
            if (!TFormula.Centers)
                return x * _inverse;
            var v = x - _level;
            return hasRest ? (v * _inverse) + ((v * _inverseLow) + _shift) : v * _inverse;
        }
    }

    /// <summary>The same in float64: what the center lost is subtracted after it, where it shows.</summary>
    private readonly struct StandardizedInDouble(RowStatistics s)
    {
        private readonly Vector256<double> _center = Vector256.Create(s.Center), _low = Vector256.Create(s.CenterLow), _inverse = Vector256.Create(s.Inverse);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Of(Lanes x, bool isFar) => (!TFormula.Centers ? x : isFar ? x - _center - _low : x - _center) * _inverse;
    }
}
