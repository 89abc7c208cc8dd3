using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Some rows of float32, measured together in float64 and normalised in float32.</summary>
/// <remarks>
/// Each step is done for all rows before the next step: a row's sums, root and division must wait for each other, but not for those of another row.
/// A row that float32 might lose digits of, or overflow with, gets NaN for its inverse, and is left to float64.
/// </remarks>
internal static unsafe class Float32Rows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>The shortest rows that are computed here: shorter ones fill no vectors.</summary>
    public const long Shortest = Lanes.Count;

    /// <summary>As <see cref="RowNormalization{TFormula}.Together"/>, but more of short rows, as their roots and divisions take long beside the rest.</summary>
    /// <param name="length">The values of a row.</param>
    /// <param name="overlaps">Whether the cache must hold the rows that follow as well.</param>
    public static int Together(long length, bool overlaps) => length > 128 ? RowNormalization<TFormula>.Together(length) : overlaps ? Float32Statistics.Most / 2 : Float32Statistics.Most;

    /// <summary>The least mean square that float32 holds.</summary>
    private const double LeastSquare = 1e-25;

    /// <summary>The least eps above the root of <see cref="LeastSquare"/>: it alone divides the rows below that.</summary>
    private const double LeastDivisor = 1e-12;

    /// <summary>How many times the variance the square of the mean may be, for a row that is written in float32.</summary>
    public const double FarInSingle = 4096;

    /// <summary>How many times the variance the square of the mean may be, for a row that is written in float64.</summary>
    public const double FarInDouble = 4;

    /// <summary>2⁻⁵²: the square of 2⁻²⁶, a quarter of float32's last place.</summary>
    private const double HiddenSquare = 1.0 / (1L << 52);

    /// <summary>2⁻²⁴: the most that rounding to float32 loses of one.</summary>
    private const double Unit = 1.0 / (1L << 24);

    /// <summary>Measures rows from their sums. The inverse of one whose mean square is out of range is NaN.</summary>
    /// <remarks>The variance is taken from the squares of the values, or for a row whose mean is far larger than its spread, from the squared differences to the mean.</remarks>
    /// <param name="rows">The address of each row.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="length">The values of a row.</param>
    /// <param name="end">The end of the memory that may be read.</param>
    /// <param name="eps">The layer's.</param>
    /// <param name="farthest">How many times the variance the square of the mean may be, for the variance to be taken from the values' squares.</param>
    /// <param name="ratio">The weight's largest magnitude over its least.</param>
    /// <param name="sums">Each row's sum.</param>
    /// <param name="squares">Each row's sum of squares.</param>
    /// <param name="isWatched">Whether <see cref="WriteLost"/> follows, which asks for what float32 loses of plain rows too.</param>
    /// <param name="to">Receives the statistics.</param>
    /// <returns>A bit for each row that is not plain.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static ulong Measure(
        float** rows, int count, long length, float* end, double eps, double farthest, double ratio, RowSum* sums, RowSum* squares, bool isWatched, Float32Statistics* to)
    {
        if (SetMoments(count, length, farthest, sums, squares, to))
            SetFarSquares(rows, count, length, end, to);
        var notPlain = SetInverses(count, eps, ratio, to);
        if (TFormula.Centers && (isWatched || notPlain != 0))
            SetLosses(count, to);
        return notPlain;
    }

    /// <summary>Sets each row's mean, and its variance in the place of the inverse: NaN where the mean is too far from zero. Answers whether there are such rows.</summary>
    /// <remarks>Of a formula without a mean, the mean square twice.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static bool SetMoments(int count, long length, double farthest, RowSum* sums, RowSum* squares, Float32Statistics* to)
    {
        var (n, over) = (Vector256.Create((double)length), Vector256.Create(1.0 / length));
        var far = Vector256<double>.Zero;
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = RowSum.Totals(squares + r);
            if (TFormula.Centers)
            {
                meanSquare *= over;
                var total = RowSum.Totals(sums + r);
                var mean = total * over;
                var level = Float32.Narrow(mean);
                level.Store(to->Level + r);
                ((total - (Float32.Widen(level) * n)) * over).Store(to->Rest + r); // the difference is exact, so this has digits that mean - level has not
                meanSquare -= mean * mean; // where rounding makes that zero or less, the mean is far
                var isFar = Vector256.GreaterThan(mean * mean, meanSquare * farthest);
                far |= isFar;
                meanSquare = Vector256.ConditionalSelect(isFar, Vector256.Create(double.NaN), meanSquare);
            }
            else
            {
                meanSquare /= n; // exact, unlike the product, for a row of one value, which may be eps
                Vector128<float>.Zero.Store(to->Level + r);
                meanSquare.Store(to->Rest + r);
            }
            meanSquare.Store(to->Inverse + r);
        }
        return far != Vector256<double>.Zero;
    }

    /// <summary>Sets the variances of the rows that are far from zero, from the squared differences to their levels.</summary>
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

    /// <summary>Sets the inverse of each row, where its mean square is, and what it is in float32. Answers with a bit for each row that is not plain.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static ulong SetInverses(int count, double eps, double ratio, Float32Statistics* to)
    {
        // Such an eps keeps the digits of even the least number of float32, as one over it is 2²⁴ and more.
        var plain = 0UL;
        var least = !TFormula.Centers && eps is > LeastDivisor and < Unit ? -1 : LeastSquare;
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = Vector256.Load(to->Inverse + r);
            var factor = TFormula.Inverse(meanSquare, eps);
            var isHeld = IsBetween(least, meanSquare, 1e30);
            if (TFormula.Centers)
                isHeld |= Vector256.Equals(meanSquare, Vector256<double>.Zero); // a row of one value, of which nothing is left
            factor = Vector256.ConditionalSelect(isHeld & IsBetween(1e-15, factor, 1e15), factor, Vector256.Create(double.NaN));
            factor.Store(to->Inverse + r);
            var isPlain = Vector256.Equals(factor, factor);
            if (TFormula.Centers)
            {
                var rest = Vector256.Load(to->Rest + r);
                var lost = factor - Float32.Widen(Float32.Narrow(factor));
                var (hidden, room) = (rest * ratio, (factor * Unit) - Vector256.Abs(lost)); // together the two come to no more than one rounding
                isPlain = Vector256.LessThanOrEqual(hidden * hidden, meanSquare * HiddenSquare) & Vector256.LessThanOrEqual(hidden * hidden * (factor * factor), meanSquare * (room * room));
                factor = Vector256.ConditionalSelect(isPlain, factor, Vector256.Create(double.NaN));
            }
            Float32.Narrow(factor).Store(to->PlainInverse + r);
            plain |= (ulong)isPlain.ExtractMostSignificantBits() << r;
        }
        return ~plain & ((1UL << count) - 1);
    }

    /// <summary>Sets what float32 loses of each row's inverse and mean.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SetLosses(int count, Float32Statistics* to)
    {
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            Vector256<double> factor = Vector256.Load(to->Inverse + r), rest = Vector256.Load(to->Rest + r);
            var high = Float32.Narrow(factor);
            high.Store(to->InverseHigh + r);
            Float32.Narrow(factor - Float32.Widen(high)).Store(to->InverseLow + r);
            Float32.Narrow(-rest * factor).Store(to->Shift + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    /// <summary>Writes <c>y = x̂ · weight + bias</c> in float32, of rows whose inverse is not NaN. All of the bias is zero, or there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInSingle(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination)
    {
        if (Vector512.IsHardwareAccelerated)
            WriteInSingle<Float32x16>(rows, count, length, to, measured, weight, bias, destination);
        else
            WriteInSingle<Float32x8>(rows, count, length, to, measured, weight, bias, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WriteInSingle<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        if (bias is not null)
            WriteShifted<TVector>(rows, count, length, to, measured, weight, bias, destination);
        else if (weight is not null)
            WriteScaled<TVector>(rows, count, length, to, measured, weight, destination);
        else
            WritePlain<TVector>(rows, count, length, to, measured, destination);
    }

    // A method for each set of parameters: to ask for each value which there are would take as long as the rest.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteShifted<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteRows<TVector>(rows, count, length, to, measured, weight, bias, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteScaled<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteRows<TVector>(rows, count, length, to, measured, weight, null, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteRows<TVector>(rows, count, length, to, measured, null, null, destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteRows<TVector>(float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        for (var r = 0; r < count; r++, to += length)
        {
            if (float.IsNaN(measured->PlainInverse[r]))
                WriteNotPlain<TVector>(rows[r], length, to, measured, r, weight, bias, destination);
            else
                WriteRow(rows[r], length, to, Plain<TVector>(measured, r), hasRest: false, weight, bias, destination);
        }
    }

    /// <summary>Writes a row that is not plain, unless it is left to float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteNotPlain<TVector>(float* x, long length, float* to, Float32Statistics* measured, int r, float* weight, float* bias, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        if (!double.IsNaN(measured->Inverse[r]))
            WriteRow(x, length, to, new Standardized<TFormula, TVector>(measured, r), hasRest: true, weight, bias, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Standardized<TFormula, TVector> Plain<TVector>(Float32Statistics* measured, int r)
        where TVector : struct, IFloat32Vector<TVector> => new(measured->Level[r], measured->PlainInverse[r]);

    /// <summary>
    /// Writes a row in vectors none of which reaches beyond it. Where they do not fill it, one lies at its start, the others from where the result's address is a multiple of the vector's size,
    /// as stores across two lines are slow, and one at its end: what two of them share is computed twice. Answers the largest magnitudes of x̂ · weight, if <paramref name="isWatched"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector WriteRow<TVector>(
        float* x, long length, float* to, Standardized<TFormula, TVector> row, bool hasRest, float* weight, float* bias, Destination destination, bool isWatched = false)
        where TVector : struct, IFloat32Vector<TVector>
    {
        TVector largest = default;
        if (length % TVector.Count != 0)
        {
            var last = length - TVector.Count;
            for (long i = 0, next = Float32.UntilAligned(to, TVector.Count); ; i = Math.Min(next, last), next += TVector.Count)
            {
                Affine(row.Of(TVector.Load(x + i), hasRest), weight, bias, i, isWatched, ref largest).Store(to + i);
                if (i >= last)
                    return largest;
            }
        }
        if (destination == Destination.Memory)
        {
            for (var i = 0L; i < length; i += TVector.Count)
                Affine(row.Of(TVector.Load(x + i), hasRest), weight, bias, i, isWatched, ref largest).Stream(to + i);
        }
        else if (destination == Destination.Caches)
        {
            for (var i = 0L; i < length; i += TVector.Count)
            {
                TensorMemory.PrefetchResult(to + i);
                Affine(row.Of(TVector.Load(x + i), hasRest), weight, bias, i, isWatched, ref largest).Store(to + i);
            }
        }
        else
        {
            for (var i = 0L; i < length; i += TVector.Count)
                Affine(row.Of(TVector.Load(x + i), hasRest), weight, bias, i, isWatched, ref largest).Store(to + i);
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

    /// <summary>As <see cref="WriteInSingle"/>, with a small bias. Sets the largest magnitudes of each row's x̂ · weight, for <see cref="WriteLost"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteWatched(
        float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination, Vector256<int>* largest)
    {
        if (Vector512.IsHardwareAccelerated)
            WriteWatched<Float32x16>(rows, count, length, to, measured, weight, bias, destination, largest);
        else
            WriteWatched<Float32x8>(rows, count, length, to, measured, weight, bias, destination, largest);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteWatched<TVector>(
        float** rows, int count, long length, float* to, Float32Statistics* measured, float* weight, float* bias, Destination destination, Vector256<int>* largest)
        where TVector : struct, IFloat32Vector<TVector>
    {
        for (var r = 0; r < count; r++, to += length)
        {
            if (float.IsNaN(measured->PlainInverse[r]))
                WriteWatchedNotPlain<TVector>(rows[r], length, to, measured, r, weight, bias, destination, largest + r);
            else
                largest[r] = WriteRow(rows[r], length, to, Plain<TVector>(measured, r), hasRest: false, weight, bias, destination, isWatched: true).Folded();
        }
    }

    /// <summary>As <see cref="WriteNotPlain{TVector}"/>, with a small bias.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteWatchedNotPlain<TVector>(
        float* x, long length, float* to, Float32Statistics* measured, int r, float* weight, float* bias, Destination destination, Vector256<int>* largest)
        where TVector : struct, IFloat32Vector<TVector>
    {
        if (!double.IsNaN(measured->Inverse[r]))
            *largest = WriteRow(x, length, to, new Standardized<TFormula, TVector>(measured, r), hasRest: true, weight, bias, destination, isWatched: true).Folded();
    }

    /// <summary>Writes the rows again of which a small bias may cancel too much, in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void WriteLost(
        float** rows, int count, long length, float* end, float* to, double eps, Float32Statistics* measured,
        Vector256<int>* largest, float largestBias, double* doubleWeight, double* doubleBias, Destination destination)
    {
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

    /// <summary>Of four rows, a bit for each that may have an output more than 4 units of its largest away from the exact one.</summary>
    /// <remarks>
    /// Let P be the largest magnitude of x̂ · weight, u = 2⁻²⁴, and the power the largest power of two that is no more than the largest output. Four units are 8 u · power. The errors:
    /// P · (2.25 u + what the inverse lost) from the rest of the level and the roundings of x - level, of the inverse and of their product; half a unit from that of the product with the weight,
    /// if P is below twice the power; and half a unit from that of the sum with the bias, or a whole one if the sum may reach twice the power. That leaves 6 u · power, or 5.
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

    /// <summary>Writes the rows from <paramref name="first"/> on in float64, rounded once. Those whose inverse is NaN are left out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInDouble(
        float** rows, int first, int count, long length, float* end, float* to, float* toEnd, double eps, Float32Statistics* measured, double* weight, double* bias, Destination destination)
    {
        for (var r = first; r < first + count; r++)
        {
            if (double.IsNaN(measured->Inverse[r]))
                continue;
            var (x, y) = (new Row<Float32>((byte*)rows[r], length, (byte*)end), new Row<Float32>((byte*)(to + (r * length)), length, (byte*)toEnd));
            var s = measured->Of(r).WithoutHiddenLow(eps);
            if (s.CenterLow != 0)
                WriteWhole(x, y, new StandardizedInDouble(s), isFar: true, weight, bias, destination);
            else
                WriteWhole(x, y, new StandardizedInDouble(s), isFar: false, weight, bias, destination);
            if (x.Whole < length)
                WriteTail(x, y, &s, weight, bias);
        }
    }

    /// <summary>Writes the whole groups of a row.</summary>
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
        y.SetTail(RowNormalization<TFormula>.Affine(new StandardizedInDouble(*s).Of(x.Tail, isFar: true), weight, bias, x.Whole)); // a zero may be subtracted as well

    /// <summary><c>x̂ = (x - center) · inverse</c> in float64; with isFar also what the center lost by rounding.</summary>
    private readonly struct StandardizedInDouble(RowStatistics s)
    {
        private readonly Vector256<double> _center = Vector256.Create(s.Center), _low = Vector256.Create(s.CenterLow), _inverse = Vector256.Create(s.Inverse);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Of(Lanes x, bool isFar) => (!TFormula.Centers ? x : isFar ? x - _center - _low : x - _center) * _inverse;
    }
}
