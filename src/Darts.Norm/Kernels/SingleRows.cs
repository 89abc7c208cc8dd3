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
    public static int Together(long length) => length <= 128 ? SingleStatistics.Most : RowNormalization<TFormula>.Together(length, middle: 4);

    /// <summary>The least mean square that float32 holds.</summary>
    public const double LeastSquare = 1e-25;

    /// <summary>So many times as large as the variance, the square of a mean leaves it digits enough for what is written in float32.</summary>
    public const double FarInSingle = 4096;

    /// <summary>The same for what is written in float64.</summary>
    public const double FarInDouble = 4;

    /// <summary>What is subtracted from each row, as a float32 and the rest, and what it is multiplied by: NaN where the mean square is not above <paramref name="least"/>.</summary>
    /// <remarks>From the squares of the values, or where the mean is far larger than their spread, of the differences to it: which is each row's own affair.</remarks>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure(float** rows, int count, long length, float* end, double eps, double least, double farthest, SingleStatistics* to)
    {
        RowSum* sums = stackalloc RowSum[SingleStatistics.Most], squares = stackalloc RowSum[SingleStatistics.Most];
        for (var r = 0; r < count; r++)
        {
            if (!TFormula.Centers)
                AddUpSquares(new(rows[r], length, end), squares + r);
            else if (Vector512.IsHardwareAccelerated)
                AddUpWide(new(rows[r], length, end), sums + r, squares + r);
            else
                AddUp(new((byte*)rows[r], length, (byte*)end), 0, isFar: false, sums + r, squares + r);
        }
        var (n, over) = (Vector256.Create((double)length), Vector256.Create(1.0 / length));
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = RowSum.Totals(squares + r) * over;
            if (TFormula.Centers)
            {
                var total = RowSum.Totals(sums + r);
                var mean = total * over;
                var levels = Float32.Narrow(mean);
                levels.Store(to->Level + r);
                var rests = (total - (Float32.Widen(levels) * n)) * over; // exact but for the last step: they have digits that the mean has not
                rests.Store(to->Rest + r);
                var far = Vector256.GreaterThan(mean * mean, (meanSquare - (mean * mean)) * farthest);
                if (far != Vector256<double>.Zero)
                {
                    for (var i = r; i < Math.Min(r + Vector256<double>.Count, count); i++)
                    {
                        if (far.GetElement(i - r) != 0)
                            AddUpFar(new((byte*)rows[i], length, (byte*)end), to->Level[i], sums + i, squares + i);
                    }
                    meanSquare = RowSum.Totals(squares + r) * over;
                    mean = Vector256.ConditionalSelect(far, rests, mean);
                }
                meanSquare -= mean * mean; // not above zero, it is out of range
            }
            var factor = TFormula.Inverse(meanSquare, eps);
            var isInRange = IsBetween(least, meanSquare, 1e30) & IsBetween(1e-15, factor, 1e15);
            Vector256.ConditionalSelect(isInRange, factor, Vector256.Create(double.NaN)).Store(to->Inverse + r);
            var high = Float32.Narrow(factor);
            high.Store(to->InverseHigh + r);
            Float32.Narrow(factor - Float32.Widen(high)).Store(to->InverseLow + r);
            if (TFormula.Centers)
                Float32.Narrow(-Vector256.Load(to->Rest + r) * factor).Store(to->Shift + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    /// <summary>The values and their squares; or of a row that is far from zero, the squares of their differences to a level.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUp(Row<Float32> x, double level, bool isFar, RowSum* sums, RowSum* squares)
    {
        RowSum sum = default;
        Lanes square = default;
        if (x.Whole < x.Length)
        {
            AddTail(x, level, sums, squares);
            sum = *sums;
            square = squares->ToLanes();
        }
        var center = Vector256.Create(level);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
        {
            var v = x[i];
            if (isFar)
            {
                v -= center;
                square += v * v;
                continue;
            }
            sum.Add(v);
            square = Lanes.AddProduct(v, v, square);
        }
        *sums = sum;
        *squares = RowSum.Of(square);
    }

    /// <summary>The same of values and their squares, in registers twice as wide.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUpWide(SingleRow x, RowSum* sums, RowSum* squares)
    {
        var whole = x.Length & -Lanes.Count;
        Vector512<double> sum = default, square = default;
        if (whole < x.Length)
        {
            var tail = x.WidePart(whole);
            Vector512<double> v = Float32.Widen(tail.GetLower()), w = Float32.Widen(tail.GetUpper());
            (sum, square) = (Vector512<double>.Zero + (v + w), (v * v) + (w * w));
        }
        Vector512<double> squareHigh = default;
        for (var i = 0L; i < whole; i += Lanes.Count)
        {
            Vector512<double> v = Float32.WidenEight(x.Start + i), w = Float32.WidenEight(x.Start + i + 8);
            sum += v + w;
            (square, squareHigh) = (Lanes.AddProduct(v, v, square), Lanes.AddProduct(w, w, squareHigh));
        }
        RowSum.Store(sum, sums);
        RowSum.Store(square + squareHigh, squares);
    }

    /// <summary>The squares of values that need no mean, four in float32 at most: more would each round beside one that is large.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUpSquares(SingleRow x, RowSum* squares)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            AddUpSquaresWide(x, squares);
            return;
        }
        Vector256<double> low = default, high = default;
        if (x.Whole < x.Length)
        {
            AddTailsSquares(x, squares);
            (low, high) = RowSum.Load(squares);
        }
        var i = 0L;
        for (; i <= x.Length - (2 * Singles.Count); i += 2 * Singles.Count)
        {
            var (a, b) = (x[i], x[i + Singles.Count]);
            var (l, h) = ((a * a) + (b * b)).Fours();
            low += l;
            high += h;
        }
        if (i < x.Whole)
        {
            var v = x[i];
            var (l, h) = (v * v).Fours();
            low += l;
            high += h;
        }
        RowSum.Store(low, high, squares);
    }

    /// <summary>The same sums in registers twice as wide.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUpSquaresWide(SingleRow x, RowSum* squares)
    {
        var sum = x.Whole < x.Length ? Fours(Square(x.WidePart(x.Whole)) + Square(x.WidePart(x.Whole + 16))) : default;
        var i = 0L;
        for (; i <= x.Length - (2 * Singles.Count); i += 2 * Singles.Count)
            sum += Fours((Square(Vector512.Load(x.Start + i)) + Square(Vector512.Load(x.Start + i + 32))) + (Square(Vector512.Load(x.Start + i + 16)) + Square(Vector512.Load(x.Start + i + 48))));
        if (i < x.Whole)
            sum += Fours(Square(Vector512.Load(x.Start + i)) + Square(Vector512.Load(x.Start + i + 16)));
        RowSum.Store(sum, squares);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<float> Square(Vector512<float> v) => v * v;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<double> Fours(Vector512<float> v) => Float32.Widen(v.GetLower()) + Float32.Widen(v.GetUpper());
    }

    // Methods of their own, as below: beside calls nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddUpFar(Row<Float32> x, double level, RowSum* sums, RowSum* squares) => AddUp(x, level, isFar: true, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTail(Row<Float32> x, double level, RowSum* sums, RowSum* squares)
    {
        RowSum sum = default, square = default;
        var v = x.OnRow(x.Tail - level);
        sum.Add(v);
        square.Add(v * v);
        (*sums, *squares) = (sum, square);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTailsSquares(SingleRow x, RowSum* squares)
    {
        var tail = x.Tail;
        var (low, high) = (tail * tail).Fours();
        RowSum.Store(low, high, squares);
    }

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
        var (whole, padded) = (length & -TFloats.Count, Lanes.Padded(length));
        for (var r = 0; r < count; r++)
        {
            if (double.IsNaN(measured->Inverse[r]))
                continue;
            var y = to + (r * length);
            var row = new Standardized<TFloats>(measured, r);
            var written = whole == length || (rows[r] + padded <= end && y + padded <= toEnd) ? length : whole; // the next row overwrites what lies beyond
            if (bias is not null)
                WriteGroups(rows[r], y, written, row, weight, bias, destination);
            else if (weight is not null)
                WriteGroups(rows[r], y, written, row, weight, null, destination);
            else
                WriteGroups(rows[r], y, written, row, null, null, destination);
            if (written < length)
                WriteTail(new(rows[r], length, end), new(y, length, toEnd), measured, r, weight, bias);
        }
    }

    /// <summary>So many values in whole groups. What is the same for all of them is asked before: among them it would take as long as they do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteGroups<TFloats>(float* x, float* y, long count, Standardized<TFloats> row, float* weight, float* bias, Destination destination)
        where TFloats : struct, IFloats<TFloats>
    {
        if (destination == Destination.Memory)
        {
            for (var i = 0L; i < count; i += TFloats.Count)
                Affine(row.Of(TFloats.Load(x + i)), weight, bias, i).Stream(y + i);
        }
        else if (destination == Destination.Caches)
        {
            for (var i = 0L; i < count; i += TFloats.Count)
            {
                Memory.PrefetchResult(y + i);
                Affine(row.Of(TFloats.Load(x + i)), weight, bias, i).Store(y + i);
            }
        }
        else
        {
            for (var i = 0L; i < count; i += TFloats.Count)
                Affine(row.Of(TFloats.Load(x + i)), weight, bias, i).Store(y + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteTail(SingleRow x, SingleRow y, SingleStatistics* measured, int r, float* weight, float* bias)
    {
        var row = new Standardized<Eight>(measured, r);
        for (var i = x.Whole; i < x.Length; i += Eight.Count)
            y.SetPart(i, Affine(row.Of(new(x.Part(i))), weight, bias, i).Values);
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

    /// <summary><c>x̂ = (x - center) · inverse</c>: what the center is beyond its level, and what the inverse lost by rounding, is added last.</summary>
    private readonly struct Standardized<TFloats>
        where TFloats : struct, IFloats<TFloats>
    {
        private readonly TFloats _level, _inverse, _inverseLow, _shift;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(SingleStatistics* measured, int r)
        {
            (_level, _shift) = (TFloats.Create(measured->Level[r]), TFloats.Create(measured->Shift[r]));
            (_inverse, _inverseLow) = (TFloats.Create(measured->InverseHigh[r]), TFloats.Create(measured->InverseLow[r]));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TFloats Of(TFloats x)
        {
            if (!TFormula.Centers)
                return (x * _inverse) + (x * _inverseLow);
            var v = x - _level;
            return (v * _inverse) + ((v * _inverseLow) + _shift);
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
