using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Some rows of float32, normalised together in float32; what has a mean is measured in float64.</summary>
/// <remarks>
/// Each step takes all rows before the next begins: a row's sums, root and division wait for each other, but not for the next row's.
/// Where float32 might overflow or lose digits the inverse is NaN: such a row is left to float64.
/// </remarks>
internal static unsafe class SingleRows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Shorter rows are computed in float64: they fill no vectors, or have too few squares in float32 for their roundings to cancel.</summary>
    public static long Shortest => TFormula.Centers ? Lanes.Count : 64;

    /// <summary>As <see cref="RowNormalization{TFormula}.Together"/>; many of short rows, whose roots and divisions take long beside the rest.</summary>
    public static int Together(long length) => length <= 128 ? SingleStatistics.Most : RowNormalization<TFormula>.Together(length);

    /// <summary>The least mean square that float32 holds.</summary>
    public const double LeastSquare = 1e-25;

    /// <summary>So many times as large as the variance, the square of a mean leaves it digits enough for what is written in float32.</summary>
    public const double FarInSingle = 4096;

    /// <summary>The same for what is written in float64.</summary>
    public const double FarInDouble = 4;

    /// <summary>2⁻⁵², the square of a quarter of a unit in the last place of the spread.</summary>
    private const double HiddenSquare = 1.0 / (1L << 52);

    /// <summary>What is subtracted from each row, as a float32 and the rest, and what it is multiplied by: NaN where the mean square is not above <paramref name="least"/>.</summary>
    /// <remarks>From the squares of the values, or where the mean is far larger than their spread, of the differences to it: which is each row's own affair.</remarks>
    /// <param name="rows">Where each begins.</param>
    /// <param name="count">How many.</param>
    /// <param name="length">Of each.</param>
    /// <param name="end">The end of the memory that may be read.</param>
    /// <param name="eps">Of the layer.</param>
    /// <param name="least">The least mean square that is enough for what follows.</param>
    /// <param name="farthest">So many times as large as the variance the square of a mean may be.</param>
    /// <param name="ratio">So many times as large as one of a row's values the weight may make another.</param>
    /// <param name="to">What is measured.</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure(float** rows, int count, long length, float* end, double eps, double least, double farthest, double ratio, SingleStatistics* to)
    {
        RowSum* sums = stackalloc RowSum[SingleStatistics.Most], squares = stackalloc RowSum[SingleStatistics.Most];
        SingleSums<TFormula>.AddUp(rows, count, length, end, sums, squares);
        if (SetMoments(count, length, farthest, sums, squares, to))
            SetFarSquares(rows, count, length, end, to);
        SetInverses(count, eps, least, ratio, to);
    }

    /// <summary>The mean of each row, and in place of the inverse its mean square about that. Whether some are too far from zero for it: theirs is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static bool SetMoments(int count, long length, double farthest, RowSum* sums, RowSum* squares, SingleStatistics* to)
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
    private static void SetFarSquares(float** rows, int count, long length, float* end, SingleStatistics* to)
    {
        for (var r = 0; r < count; r++)
        {
            if (!double.IsNaN(to->Inverse[r]))
                continue;
            var squares = SingleSums<TFormula>.SquaresAbout(to->Level[r], new((byte*)rows[r], length, (byte*)end));
            to->Inverse[r] = (squares / length) - (to->Rest[r] * to->Rest[r]);
        }
    }

    /// <summary>The factor of each row, in place of its mean square.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SetInverses(int count, double eps, double least, double ratio, SingleStatistics* to)
    {
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = Vector256.Load(to->Inverse + r);
            var factor = TFormula.Inverse(meanSquare, eps);
            factor = Vector256.ConditionalSelect(IsBetween(least, meanSquare, 1e30) & IsBetween(1e-15, factor, 1e15), factor, Vector256.Create(double.NaN));
            factor.Store(to->Inverse + r);
            var high = Float32.Narrow(factor);
            if (!TFormula.Centers)
            {
                high.Store(to->PlainInverse + r);
                continue;
            }
            var rest = Vector256.Load(to->Rest + r);
            var hidden = rest * ratio;
            var isPlain = Vector256.LessThanOrEqual(hidden * hidden, meanSquare * HiddenSquare);
            Float32.Narrow(Vector256.ConditionalSelect(isPlain, factor, Vector256.Create(double.NaN))).Store(to->PlainInverse + r);
            high.Store(to->InverseHigh + r);
            Float32.Narrow(factor - Float32.Widen(high)).Store(to->InverseLow + r);
            Float32.Narrow(-rest * factor).Store(to->Shift + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    /// <summary><c>y = x̂ · weight + bias</c>, for the rows whose inverse is a number, in float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInSingle(
        float** rows, int count, long length, float* end, float* to, float* toEnd, SingleStatistics* measured, float* weight, float* bias, Destination destination)
    {
        if (Vector512.IsHardwareAccelerated)
            WriteInSingle<Sixteen>(rows, count, length, end, to, toEnd, measured, weight, bias, destination);
        else
            WriteInSingle<Eight>(rows, count, length, end, to, toEnd, measured, weight, bias, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WriteInSingle<TFloats>(
        float** rows, int count, long length, float* end, float* to, float* toEnd, SingleStatistics* measured, float* weight, float* bias, Destination destination)
        where TFloats : struct, IFloats<TFloats>
    {
        var padded = Lanes.Padded(length);
        var isWhole = length % TFloats.Count == 0 || to + ((count - 1) * length) + padded <= toEnd; // else the next row overwrites what lies beyond
        for (var r = 0; r < count; r++)
            isWhole &= length % TFloats.Count == 0 || rows[r] + padded <= end;
        if (!isWhole)
        {
            for (var r = 0; r < count; r++)
                WriteRow<TFloats>(rows[r], length, end, to + (r * length), toEnd, measured, r, weight, bias, destination);
        }
        else if (bias is not null)
        {
            WriteShifted<TFloats>(rows, count, length, to, measured, weight, bias, destination);
        }
        else if (weight is not null)
        {
            WriteScaled<TFloats>(rows, count, length, to, measured, weight, destination);
        }
        else
        {
            WritePlain<TFloats>(rows, count, length, to, measured, destination);
        }
    }

    // A method for each set of parameters: asking among the values would take as long as they do.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteShifted<TFloats>(float** rows, int count, long length, float* to, SingleStatistics* measured, float* weight, float* bias, Destination destination)
        where TFloats : struct, IFloats<TFloats> => WriteWhole<TFloats>(rows, count, length, to, measured, weight, bias, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteScaled<TFloats>(float** rows, int count, long length, float* to, SingleStatistics* measured, float* weight, Destination destination)
        where TFloats : struct, IFloats<TFloats> => WriteWhole<TFloats>(rows, count, length, to, measured, weight, null, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TFloats>(float** rows, int count, long length, float* to, SingleStatistics* measured, Destination destination)
        where TFloats : struct, IFloats<TFloats> => WriteWhole<TFloats>(rows, count, length, to, measured, null, null, destination);

    /// <summary>Rows that may be read and written in whole groups.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteWhole<TFloats>(float** rows, int count, long length, float* to, SingleStatistics* measured, float* weight, float* bias, Destination destination)
        where TFloats : struct, IFloats<TFloats>
    {
        for (var r = 0; r < count; r++, to += length)
        {
            if (float.IsNaN(measured->PlainInverse[r]))
                WriteRow<TFloats>(rows[r], length, rows[r] + Lanes.Padded(length), to, to + Lanes.Padded(length), measured, r, weight, bias, destination);
            else
                WriteGroups(rows[r], to, length, Plain<TFloats>(measured, r), hasRest: false, weight, bias, destination);
        }
    }

    /// <summary>One row, unless it is left to float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteRow<TFloats>(
        float* x, long length, float* end, float* y, float* yEnd, SingleStatistics* measured, int r, float* weight, float* bias, Destination destination)
        where TFloats : struct, IFloats<TFloats>
    {
        if (double.IsNaN(measured->Inverse[r]))
            return;
        if (!float.IsNaN(measured->PlainInverse[r]))
            WriteRow(x, length, end, y, yEnd, Plain<TFloats>(measured, r), Plain<Eight>(measured, r), hasRest: false, weight, bias, destination);
        else
            WriteRow(x, length, end, y, yEnd, new Standardized<TFloats>(measured, r), new Standardized<Eight>(measured, r), hasRest: true, weight, bias, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteRow<TFloats>(
        float* x, long length, float* end, float* y, float* yEnd, Standardized<TFloats> row, Standardized<Eight> eight, bool hasRest, float* weight, float* bias, Destination destination)
        where TFloats : struct, IFloats<TFloats>
    {
        var whole = length & -TFloats.Count;
        WriteGroups(x, y, whole, row, hasRest, weight, bias, destination);
        var (from, to) = (new SingleRow(x, length, end), new SingleRow(y, length, yEnd));
        for (var i = whole; i < length; i += Eight.Count)
            to.SetPart(i, Affine(eight.Of(new(from.Part(i)), hasRest), weight, bias, i).Values);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Standardized<TFloats> Plain<TFloats>(SingleStatistics* measured, int r)
        where TFloats : struct, IFloats<TFloats> => new(measured->Level[r], measured->PlainInverse[r]);

    /// <summary>So many values in whole groups.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteGroups<TFloats>(float* x, float* y, long count, Standardized<TFloats> row, bool hasRest, float* weight, float* bias, Destination destination)
        where TFloats : struct, IFloats<TFloats>
    {
        if (destination == Destination.Memory)
        {
            for (var i = 0L; i < count; i += TFloats.Count)
                Affine(row.Of(TFloats.Load(x + i), hasRest), weight, bias, i).Stream(y + i);
        }
        else if (destination == Destination.Caches)
        {
            for (var i = 0L; i < count; i += TFloats.Count)
            {
                Memory.PrefetchResult(y + i);
                Affine(row.Of(TFloats.Load(x + i), hasRest), weight, bias, i).Store(y + i);
            }
        }
        else
        {
            for (var i = 0L; i < count; i += TFloats.Count)
                Affine(row.Of(TFloats.Load(x + i), hasRest), weight, bias, i).Store(y + i);
        }
    }

    /// <summary>The same, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInDouble(
        float** rows, int count, long length, float* end, float* to, float* toEnd, double eps, SingleStatistics* measured, double* weight, double* bias, Destination destination)
    {
        for (var r = 0; r < count; r++)
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
                Memory.PrefetchResult((float*)y.Start + i);
            y.Set(i, RowNormalization<TFormula>.Affine(row.Of(x[i], isFar), weight, bias, i), destination == Destination.Memory);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteTail(Row<Float32> x, Row<Float32> y, RowStatistics* s, double* weight, double* bias) =>
        y.SetTail(RowNormalization<TFormula>.Affine(new StandardizedInDouble(*s).Of(x.Tail, isFar: true), weight, bias, x.Whole)); // what is zero can be subtracted as well

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Affine<TFloats>(TFloats v, float* weight, float* bias, long i)
        where TFloats : struct, IFloats<TFloats>
    {
        if (weight is not null)
            v *= TFloats.Load(weight + i);
        if (bias is not null)
            v += TFloats.Load(bias + i);
        return v;
    }

    /// <summary><c>x̂ = (x - center) · inverse</c>. Where it is asked for, what the center is beyond its level and what the inverse lost by rounding is added last.</summary>
    private readonly struct Standardized<TFloats>
        where TFloats : struct, IFloats<TFloats>
    {
        private readonly TFloats _level, _inverse, _inverseLow, _shift;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(float level, float inverse) => (_level, _inverse) = (TFloats.Create(level), TFloats.Create(inverse));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(SingleStatistics* measured, int r)
        {
            (_level, _shift) = (TFloats.Create(measured->Level[r]), TFloats.Create(measured->Shift[r]));
            (_inverse, _inverseLow) = (TFloats.Create(measured->InverseHigh[r]), TFloats.Create(measured->InverseLow[r]));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TFloats Of(TFloats x, bool hasRest)
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
