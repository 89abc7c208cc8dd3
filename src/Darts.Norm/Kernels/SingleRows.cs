using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>A few rows of float32, normalised together in float32; what a row has one of, in float64.</summary>
/// <remarks>
/// Each step takes all rows before the next begins: a row's sums, root and division wait for each other, but not for the next row's.
/// Where float32 might overflow or lose digits the inverse is NaN: such a row is left to float64.
/// </remarks>
internal static unsafe class SingleRows<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Shorter rows gain little, and are computed in float64.</summary>
    public const long Shortest = 128;

    /// <summary>The most rows that are computed together.</summary>
    public const int Most = 8;

    /// <summary>So many values are summed in float32, then their sums in float64.</summary>
    private const long Chunk = 16 * Singles.Count;

    /// <summary>What is subtracted from each row, and what it is multiplied by.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure(float** rows, int count, long length, float* end, double eps, double* center, double* inverse)
    {
        double* near = stackalloc double[Most], sum = stackalloc double[Most], squares = stackalloc double[Most];
        for (var r = 0; r < count; r++)
        {
            var x = new SingleRow(rows[r], length, end);
            if (TFormula.Centers)
                SumAboutMean(x, rows[r], near + r, sum + r, squares + r);
            else
                squares[r] = SumOfSquares(x);
        }
        var n = Vector256.Create((double)length);
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var difference = Vector256.Load(sum + r) / n;
            var meanSquare = Vector256.Load(squares + r) / n;
            var factor = TFormula.Inverse(Vector256.Max(meanSquare - (difference * difference), Vector256<double>.Zero), eps);
            var isInRange = IsBetween(1e-25, meanSquare, 1e30) & IsBetween(1e-15, factor, 1e15);
            (Vector256.Load(near + r) + difference).Store(center + r);
            Vector256.ConditionalSelect(isInRange, factor, Vector256.Create(double.NaN)).Store(inverse + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double SumOfSquares(SingleRow x)
    {
        var tail = x.Tail;
        var sum = tail * tail;
        double total = 0;
        var i = 0L;
        for (var chunk = Chunk; chunk < x.Whole; chunk += Chunk)
        {
            for (; i < chunk; i += Singles.Count)
                sum += x[i] * x[i];
            total += sum.Sum();
            sum = default;
        }
        for (; i < x.Whole; i += Singles.Count)
            sum += x[i] * x[i];
        return total + sum.Sum();
    }

    /// <summary>Sums of the differences to a number near the mean, and of their squares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SumAboutMean(SingleRow x, float* start, double* near, double* sum, double* squares)
    {
        // Four values from all over the row, most often as near as it takes.
        var center = ((start[0] + start[x.Length / 4]) + (start[x.Length / 2] + start[3 * x.Length / 4])) * 0.25f;
        for (var isNear = false; ; isNear = true)
        {
            var (total, totalSquares) = SumAbout(center, x);
            (*near, *sum, *squares) = (center, total, totalSquares);
            if (isNear || total * total <= 0.4 * x.Length * totalSquares)
                return;
            center = (float)(center + (total / x.Length));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (double sum, double squares) SumAbout(float center, SingleRow x)
    {
        var c = Vector256.Create(center);
        var tail = x.OnRow(x.Tail - c);
        var squares = tail * tail;
        var (sum, more) = tail.Quarters();
        double totalSquares = 0;
        var i = 0L;
        for (var chunk = Chunk; chunk < x.Whole; chunk += Chunk)
        {
            for (; i < chunk; i += Singles.Count)
                AddMoments(x[i] - c, ref sum, ref more, ref squares);
            totalSquares += squares.Sum();
            squares = default;
        }
        for (; i < x.Whole; i += Singles.Count)
            AddMoments(x[i] - c, ref sum, ref more, ref squares);
        return (Singles.Sum(sum + more), totalSquares + squares.Sum());
    }

    /// <summary>Sums no more than four differences in float32: a value near the mean has no digits but those of the mean.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddMoments(Singles t, ref Vector256<double> sum, ref Vector256<double> more, ref Singles squares)
    {
        var (low, high) = t.Quarters();
        sum += low;
        more += high;
        squares += t * t;
    }

    /// <summary><c>y = x̂ · weight + bias</c>, for the rows whose inverse is a number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(
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
            for (; i < length; i += Vector256<float>.Count)
                y.SetPart(i, Affine(row.Of(x.Part(i)), weight, bias, i));
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
        private readonly Vector256<float> _center, _centerLow;
        private readonly Vector256<float> _inverse;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(double center, double inverse)
        {
            var rounded = (float)center;
            _center = Vector256.Create(rounded);
            _centerLow = Vector256.Create((float)(center - rounded));
            _inverse = Vector256.Create((float)inverse);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<float> Of(Vector256<float> x) => TFormula.Centers ? (x - _center - _centerLow) * _inverse : x * _inverse;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Singles Of(Singles x) => TFormula.Centers ? (x - _center - _centerLow) * _inverse : x * _inverse;
    }
}
