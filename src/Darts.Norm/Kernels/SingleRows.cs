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
    public const long LeastInSingle = 128;

    /// <summary>So many squares are summed in float32, two to a lane, then their sums in float64: more would each round beside one that is large.</summary>
    private const long Chunk = 2 * Singles.Count;

    /// <summary>The least mean square that float32 holds.</summary>
    public const double LeastSquare = 1e-25;

    /// <summary>What is subtracted from each row, and what it is multiplied by: NaN where the mean square is not above <paramref name="least"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Measure(float** rows, int count, long length, float* end, double eps, double least, double* center, double* inverse)
    {
        var squares = stackalloc double[RowNormalization<TFormula>.RowsTogether];
        for (var r = 0; TFormula.Centers && r < count; r++)
            center[r] = SumInDouble(new Row<Float32>((byte*)rows[r], length, (byte*)end)) / length;
        for (var r = 0; r < count; r++)
        {
            var c = TFormula.Centers ? Singles.Rounded(center[r]) : default;
            squares[r] = SumOfSquares(new SingleRow(rows[r], length, end), c);
        }
        var n = Vector256.Create((double)length);
        for (var r = 0; r < count; r += Vector256<double>.Count)
        {
            var meanSquare = Vector256.Load(squares + r) / n;
            var isInRange = IsBetween(least, meanSquare, 1e30);
            if (TFormula.Centers)
            {
                var mean = Vector256.Load(center + r);
                var difference = mean - Float32.Widen(Float32.Narrow(mean));
                meanSquare = Vector256.Max(meanSquare - (difference * difference), Vector256<double>.Zero);
            }
            var factor = TFormula.Inverse(meanSquare, eps);
            isInRange &= IsBetween(1e-15, factor, 1e15);
            Vector256.ConditionalSelect(isInRange, factor, Vector256.Create(double.NaN)).Store(inverse + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> IsBetween(double least, Vector256<double> value, double most) =>
        Vector256.GreaterThan(value, Vector256.Create(least)) & Vector256.LessThan(value, Vector256.Create(most));

    /// <summary>In float64: a value near the mean has no digits but those of the mean.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double SumInDouble(Row<Float32> x)
    {
        var sum = x.Tail;
        for (long i = 0; i < x.Whole; i += Lanes.Count)
            sum += x[i];
        return sum.Sum();
    }

    /// <summary>The squares of the differences to a number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double SumOfSquares(SingleRow x, Vector256<float> center)
    {
        Singles sum = default;
        if (x.Whole < x.Length)
        {
            var tail = TFormula.Centers ? x.OnRow(x.Tail - center) : x.Tail;
            sum = tail * tail;
        }
        var total = Vector256<double>.Zero;
        var i = 0L;
        for (var chunk = Chunk; chunk < x.Whole; chunk += Chunk)
        {
            for (; i < chunk; i += Singles.Count)
                AddSquare(x[i], center, ref sum);
            total += sum.Eights();
            sum = default;
        }
        for (; i < x.Whole; i += Singles.Count)
            AddSquare(x[i], center, ref sum);
        return Lanes.Sum(total + sum.Eights());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSquare(Singles x, Vector256<float> center, ref Singles sum)
    {
        var t = TFormula.Centers ? x - center : x;
        sum += t * t;
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
            for (; i < length; i += Vector256<float>.Count)
                y.SetPart(i, Affine(row.Of(x.Part(i)), weight, bias, i));
        }
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
        private readonly Vector256<float> _center, _centerLow;
        private readonly Vector256<float> _inverse;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Standardized(double center, double inverse)
        {
            _center = Singles.Rounded(center);
            _centerLow = Singles.Rounded(center - Float32.Widen(_center.GetLower()).ToScalar());
            _inverse = Singles.Rounded(inverse);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<float> Of(Vector256<float> x) => TFormula.Centers ? (x - _center - _centerLow) * _inverse : x * _inverse;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Singles Of(Singles x) => TFormula.Centers ? (x - _center - _centerLow) * _inverse : x * _inverse;
    }
}
