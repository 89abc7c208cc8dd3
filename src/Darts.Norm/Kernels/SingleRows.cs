using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>A few rows of float32, normalised together: their squares in float32, their means in float64, and what is written in float32 where the rows are long.</summary>
/// <remarks>
/// Each step takes all rows before the next begins: a row's sums, root and division wait for each other, but not for the next row's.
/// Where float32 might overflow or lose digits the inverse is NaN: such a row is left to float64.
/// </remarks>
internal static unsafe class SingleRows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Shorter rows have too few squares for their roundings to cancel, and are computed in float64.</summary>
    public const long Shortest = 64;

    /// <summary>So many values are written in float32; fewer, which conversions cost less, are rounded once.</summary>
    public const long LeastInSingle = 64;

    /// <summary>So many rows at most are measured together.</summary>
    public const int Most = 32;

    /// <summary>The least mean square that float32 holds.</summary>
    public const double LeastSquare = 1e-25;

    /// <summary>What is subtracted from each row, and what it is multiplied by: NaN where the mean square is not above <paramref name="least"/>.</summary>
    /// <remarks>Differences to a rough mean are summed, and their squares; where that is far from the mean, once more about what came out.</remarks>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure(float** rows, int count, long length, float* end, double eps, double least, double* center, double* inverse)
    {
        var levels = stackalloc float[Most];
        Vector512<double>* sums = stackalloc Vector512<double>[Most], squares = stackalloc Vector512<double>[Most];
        for (var r = 0; TFormula.Centers && r < count; r++)
            levels[r] = Level(rows[r]);
        for (var r = 0; r < count; r++)
            AddDifferences(new(rows[r], length, end), levels[r], sums + r, squares + r);
        var fraction = Vector256.Create(1.0 / length);
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = Sums(squares + r) * fraction;
            if (TFormula.Centers)
            {
                var difference = Sums(sums + r) * fraction;
                if (Vector256.GreaterThanAny(difference * difference * 2, meanSquare))
                {
                    for (var i = r; i < Math.Min(r + Vector256<double>.Count, count); i++)
                        Approach(new(rows[i], length, end), levels + i, sums + i, squares + i);
                    (meanSquare, difference) = (Sums(squares + r) * fraction, Sums(sums + r) * fraction);
                }
                (Float32.Widen(Vector128.Load(levels + r)) + difference).Store(center + r);
                meanSquare = Vector256.Max(meanSquare - (difference * difference), Vector256<double>.Zero);
            }
            var factor = TFormula.Inverse(meanSquare, eps);
            var isInRange = IsBetween(least, meanSquare, 1e30) & IsBetween(1e-15, factor, 1e15);
            Vector256.ConditionalSelect(isInRange, factor, Vector256.Create(double.NaN)).Store(inverse + r);
        }
    }

    /// <summary>The mean of the first values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Level(float* row)
    {
        var four = Vector128.Load(row) + Vector128.Load(row + 4);
        return ((four.GetElement(0) + four.GetElement(1)) + (four.GetElement(2) + four.GetElement(3))) / 8;
    }

    /// <summary>Measures a row whose mean is further from the level than its own spread about the mean instead.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Approach(SingleRow x, float* level, Vector512<double>* sum, Vector512<double>* square)
    {
        var difference = Lanes.Sum(sum->GetLower() + sum->GetUpper()) / x.Length;
        if (!(difference * difference * 2 > Lanes.Sum(square->GetLower() + square->GetUpper()) / x.Length))
            return;
        *level = (float)(*level + difference);
        AddDifferences(x, *level, sum, square);
    }

    /// <summary>Of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Sums(Vector512<double>* rows) => Lanes.Sums(
        rows[0].GetLower() + rows[0].GetUpper(), rows[1].GetLower() + rows[1].GetUpper(), rows[2].GetLower() + rows[2].GetUpper(), rows[3].GetLower() + rows[3].GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    /// <summary>The differences to a number, and their squares, by fours in float32: more would each round beside one that is large.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddDifferences(SingleRow x, float level, Vector512<double>* sums, Vector512<double>* squares)
    {
        Vector512<double> sum = default, square = default;
        if (x.Whole < x.Length)
        {
            AddTail(x, level, sums, squares);
            (sum, square) = (*sums, *squares);
        }
        var center = Vector512.Create(level);
        var i = 0L;
        for (; i <= x.Length - (2 * Singles.Count); i += 2 * Singles.Count)
        {
            var (a, b) = (x[i], x[i + Singles.Count]);
            if (TFormula.Centers)
            {
                (a, b) = (a - center, b - center);
                sum += (a + b).Fours();
            }
            square += ((a * a) + (b * b)).Fours();
        }
        if (i < x.Whole)
            Add(TFormula.Centers ? x[i] - center : x[i], ref sum, ref square);
        (*sums, *squares) = (sum, square);
    }

    // A method of its own, as below: beside calls nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTail(SingleRow x, float level, Vector512<double>* sums, Vector512<double>* squares)
    {
        Vector512<double> sum = default, square = default;
        Add(TFormula.Centers ? x.OnRow(x.Tail - Vector512.Create(level)) : x.Tail, ref sum, ref square);
        (*sums, *squares) = (sum, square);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Singles v, ref Vector512<double> sum, ref Vector512<double> square)
    {
        if (TFormula.Centers)
            sum += v.Fours();
        square += (v * v).Fours();
    }

    /// <summary><c>y = x̂ · weight + bias</c>, for the rows whose inverse is a number, in float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInSingle(
        float** rows, int count, long length, float* end, float* to, float* toEnd, double* center, double* inverse, float* weight, float* bias)
    {
        for (var r = 0; r < count; r++)
        {
            if (double.IsNaN(inverse[r]))
                continue;
            var (x, y) = (new SingleRow(rows[r], length, end), new SingleRow(to + (r * length), length, toEnd));
            var row = new Standardized(center[r], inverse[r]);
            var i = 0L;
            for (; i < x.Whole; i += Singles.Count)
                y.Set(i, Affine(row.Of(x[i]), weight, bias, i));
            if (i < length)
                WriteTail(x, y, center[r], inverse[r], weight, bias);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteTail(SingleRow x, SingleRow y, double center, double inverse, float* weight, float* bias)
    {
        var row = new Standardized(center, inverse);
        for (var i = x.Whole; i < x.Length; i += Vector256<float>.Count)
            y.SetPart(i, Affine(row.Of(x.Part(i)), weight, bias, i));
    }

    /// <summary>The same, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteInDouble(
        float** rows, int count, long length, float* end, float* to, float* toEnd, double* center, double* inverse, double* weight, double* bias)
    {
        for (var r = 0; r < count; r++)
        {
            if (double.IsNaN(inverse[r]))
                continue;
            var (x, y) = (new Row<Float32>((byte*)rows[r], length, (byte*)end), new Row<Float32>((byte*)(to + (r * length)), length, (byte*)toEnd));
            var (c, factor) = (Vector256.Create(center[r]), Vector256.Create(inverse[r]));
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
                y.Set(i, RowNormalization<TFormula>.Affine((TFormula.Centers ? x[i] - c : x[i]) * factor, weight, bias, i));
            if (i < length)
                y.SetTail(RowNormalization<TFormula>.Affine((TFormula.Centers ? x.Tail - c : x.Tail) * factor, weight, bias, i));
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

    /// <summary><c>x̂ = (x - center) · inverse</c>, the center as two numbers.</summary>
    private readonly struct Standardized
    {
        private readonly Vector512<float> _center, _centerLow;
        private readonly Vector512<float> _inverse;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(double center, double inverse)
        {
            _center = Singles.Rounded(center);
            _centerLow = Singles.Rounded(center - _center.ToScalar());
            _inverse = Singles.Rounded(inverse);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<float> Of(Vector256<float> x) => TFormula.Centers ? (x - _center.GetLower() - _centerLow.GetLower()) * _inverse.GetLower() : x * _inverse.GetLower();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Singles Of(Singles x) => TFormula.Centers ? (x - _center - _centerLow) * _inverse : x * _inverse;
    }
}
