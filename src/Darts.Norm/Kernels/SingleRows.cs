using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Some rows of float32, normalised together in float32; means are taken in float64, where squares go by pairs.</summary>
/// <remarks>
/// Each step takes all rows before the next begins: a row's sums, root and division wait for each other, but not for the next row's.
/// Where float32 might overflow or lose digits the inverse is NaN: such a row is left to float64.
/// </remarks>
internal static unsafe class SingleRows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Shorter rows have too few squares for their roundings to cancel, and are computed in float64.</summary>
    public const long Shortest = 64;

    /// <summary>So many rows at most are measured together.</summary>
    public const int Most = 32;

    /// <summary>The least mean square that float32 holds.</summary>
    public const double LeastSquare = 1e-25;

    /// <summary>What is subtracted from each row, as a float32 and the rest, and what it is multiplied by: NaN where the mean square is not above <paramref name="least"/>.</summary>
    /// <remarks>The mean in float64: a value near it has no digits but those of the mean. Squares of the values, or where the mean is not small beside them, of the differences to it: which is each row's own affair.</remarks>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure(float** rows, int count, long length, float* end, double eps, double least, float* level, double* rest, double* inverse)
    {
        Vector512<double>* sums = stackalloc Vector512<double>[Most], squares = stackalloc Vector512<double>[Most];
        for (var r = 0; r < count; r++)
            AddUp(new(rows[r], length, end), 0, isFar: false, sums + r, squares + r);
        var n = Vector256.Create((double)length);
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = Sums(squares + r) / n;
            if (TFormula.Centers)
            {
                var total = Sums(sums + r);
                var mean = total / n;
                var levels = Float32.Narrow(mean);
                levels.Store(level + r);
                var rests = (total - (Float32.Widen(levels) * n)) / n; // exact but for the division: they have digits that the mean has not
                rests.Store(rest + r);
                var far = Vector256.GreaterThan(mean * mean * 9, meanSquare);
                if (far != Vector256<double>.Zero)
                {
                    for (var i = r; i < Math.Min(r + Vector256<double>.Count, count); i++)
                    {
                        if (far.GetElement(i - r) != 0)
                            AddUpFar(new(rows[i], length, end), level[i], sums + i, squares + i);
                    }
                    meanSquare = Sums(squares + r) / n;
                    mean = Vector256.ConditionalSelect(far, rests, mean);
                }
                meanSquare = Vector256.Max(meanSquare - (mean * mean), Vector256<double>.Zero);
            }
            var factor = TFormula.Inverse(meanSquare, eps);
            var isInRange = IsBetween(least, meanSquare, 1e30) & IsBetween(1e-15, factor, 1e15);
            Vector256.ConditionalSelect(isInRange, factor, Vector256.Create(double.NaN)).Store(inverse + r);
        }
    }

    /// <summary>Of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Sums(Vector512<double>* rows) => Lanes.Sums(
        rows[0].GetLower() + rows[0].GetUpper(), rows[1].GetLower() + rows[1].GetUpper(), rows[2].GetLower() + rows[2].GetUpper(), rows[3].GetLower() + rows[3].GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    /// <summary>The values, and their squares or those of their differences to the level by pairs in float32: more would each round beside one that is large.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUp(SingleRow x, float level, bool isFar, Vector512<double>* sums, Vector512<double>* squares)
    {
        Vector512<double> sum = default, square = default;
        if (x.Whole < x.Length)
        {
            AddTail(x, level, sums, squares);
            (sum, square) = (*sums, *squares);
        }
        var (i, center) = (0L, Vector512.Create(level));
        for (; i <= x.Length - (2 * Singles.Count); i += 2 * Singles.Count)
        {
            var (a, b) = (x[i], x[i + Singles.Count]);
            if (TFormula.Centers && !isFar)
                sum += a.Fours() + b.Fours();
            if (isFar)
                (a, b) = (a - center, b - center);
            square += ((a * a) + (b * b)).Fours();
        }
        if (i < x.Whole)
        {
            var v = x[i];
            if (TFormula.Centers && !isFar)
                sum += v.Fours();
            if (isFar)
                v -= center;
            square += (v * v).Fours();
        }
        (*sums, *squares) = (sum, square);
    }

    // Methods of their own, as below: beside calls nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddUpFar(SingleRow x, float level, Vector512<double>* sums, Vector512<double>* squares) => AddUp(x, level, isFar: true, sums, squares);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTail(SingleRow x, float level, Vector512<double>* sums, Vector512<double>* squares)
    {
        var tail = x.OnRow(x.Tail - Vector512.Create(level));
        (*sums, *squares) = (tail.Fours(), (tail * tail).Fours());
    }

    /// <summary><c>y = x̂ · weight + bias</c>, for the rows whose inverse is a number, in float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInSingle(
        float** rows, int count, long length, float* end, float* to, float* toEnd, float* level, double* rest, double* inverse, float* weight, float* bias)
    {
        for (var r = 0; r < count; r++)
        {
            if (double.IsNaN(inverse[r]))
                continue;
            var (x, y) = (new SingleRow(rows[r], length, end), new SingleRow(to + (r * length), length, toEnd));
            var row = new Standardized(level[r], rest[r], inverse[r]);
            var i = 0L;
            for (; i < x.Whole; i += Singles.Count)
                y.Set(i, Affine(row.Of(x[i]), weight, bias, i));
            if (i < length)
                WriteTail(x, y, level[r], rest[r], inverse[r], weight, bias);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteTail(SingleRow x, SingleRow y, float level, double rest, double inverse, float* weight, float* bias)
    {
        var row = new Standardized(level, rest, inverse);
        for (var i = x.Whole; i < x.Length; i += Vector256<float>.Count)
            y.SetPart(i, Affine(row.Of(x.Part(i)), weight, bias, i));
    }

    /// <summary>The same, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInDouble(
        float** rows, int count, long length, float* end, float* to, float* toEnd, float* level, double* rest, double* inverse, double* weight, double* bias)
    {
        for (var r = 0; r < count; r++)
        {
            if (double.IsNaN(inverse[r]))
                continue;
            var (x, y) = (new Row<Float32>((byte*)rows[r], length, (byte*)end), new Row<Float32>((byte*)(to + (r * length)), length, (byte*)toEnd));
            var (center, low, factor) = (Vector256.Create((double)level[r]), Vector256.Create(rest[r]), Vector256.Create(inverse[r]));
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
                y.Set(i, RowNormalization<TFormula>.Affine((TFormula.Centers ? x[i] - center - low : x[i]) * factor, weight, bias, i));
            if (i < length)
                y.SetTail(RowNormalization<TFormula>.Affine((TFormula.Centers ? x.Tail - center - low : x.Tail) * factor, weight, bias, i));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Affine(Vector256<float> v, float* weight, float* bias, long i)
    {
        if (weight is not null)
            v *= Vector256.Load(weight + i);
        if (bias is not null)
            v += Vector256.Load(bias + i);
        return v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Singles Affine(Singles v, float* weight, float* bias, long i)
    {
        if (weight is not null)
            v *= Singles.Load(weight + i);
        if (bias is not null)
            v += Singles.Load(bias + i);
        return v;
    }

    /// <summary><c>x̂ = (x - center) · inverse</c>: what the center is beyond its level, and what the inverse lost by rounding, is added last.</summary>
    private readonly struct Standardized
    {
        private readonly Vector512<float> _level, _inverse, _inverseLow, _shift;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(float level, double rest, double inverse)
        {
            _level = Vector512.Create(level);
            _inverse = Singles.Rounded(inverse);
            _inverseLow = Singles.Rounded(inverse - _inverse.ToScalar());
            _shift = Singles.Rounded(-rest * inverse);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<float> Of(Vector256<float> x)
        {
            if (!TFormula.Centers)
                return (x * _inverse.GetLower()) + (x * _inverseLow.GetLower());
            var v = x - _level.GetLower();
            return (v * _inverse.GetLower()) + ((v * _inverseLow.GetLower()) + _shift.GetLower());
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Singles Of(Singles x)
        {
            if (!TFormula.Centers)
                return (x * _inverse) + (x * _inverseLow);
            var v = x - _level;
            return (v * _inverse) + ((v * _inverseLow) + _shift);
        }
    }
}
