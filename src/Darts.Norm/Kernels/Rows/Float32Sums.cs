using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The sums in float64 of float32 rows and of their squares.</summary>
internal static unsafe class Float32Sums<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>Sums the squares of each row, and the values too where <typeparamref name="TFormula"/> has a mean.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddUp(float** rows, int count, long length, float* end, RowSum* sums, RowSum* squares)
    {
        var whole = length & -Lanes.Count;
        if (whole < length)
            AddUpTails(rows, count, length, end, sums, squares);
        for (var r = 0; r < count; r++)
        {
            if (Vector512.IsHardwareAccelerated)
                AddUpWide(rows[r], whole, whole < length, sums + r, squares + r);
            else
                AddUp(rows[r], whole, whole < length, sums + r, squares + r);
        }
    }

    /// <summary>Sums the values of each row beyond its whole groups. The sums of the groups are added to these.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)] // beside a call nothing stays in registers
    public static void AddUpTails(float** rows, int count, long length, float* end, RowSum* sums, RowSum* squares)
    {
        for (var r = 0; r < count; r++)
        {
            if (Vector512.IsHardwareAccelerated)
            {
                var tail = Float32Row.Tail(rows[r], length, end);
                Vector512<double> v = Float32.Widen(tail.GetLower()), w = Float32.Widen(tail.GetUpper());
                RowSum.Store(Vector512<double>.Zero + (v + w), sums + r);
                RowSum.Store((v * v) + (w * w), squares + r);
            }
            else
            {
                RowSum sum = default, square = default;
                var v = new Row<Float32>((byte*)rows[r], length, (byte*)end).Tail;
                sum.Add(v);
                square.Add(v * v);
                (sums[r], squares[r]) = (sum, square);
            }
        }
    }

    /// <summary>The sum of a row's squared differences to a level.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static double SquaresAbout(double level, Row<Float32> x)
    {
        var squares = x.Whole < x.Length ? TailSquares(x, level) : default;
        var center = Vector256.Create(level);
        for (long i = 0; i < x.Whole; i += Lanes.Count)
        {
            var v = x[i] - center;
            squares += v * v;
        }
        return RowSum.Of(squares).Total;
    }

    /// <summary>Adds up the values of the whole groups, and their squares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUp(float* x, long whole, bool hasTail, RowSum* sums, RowSum* squares)
    {
        RowSum sum = default;
        Lanes square = default;
        if (hasTail)
            (sum, square) = (*sums, squares->ToLanes());
        for (long i = 0; i < whole; i += Lanes.Count)
        {
            var v = Float32.Load((byte*)(x + i));
            if (TFormula.Centers)
                sum.Add(v);
            square = Lanes.AddProduct(v, v, square);
        }
        *sums = sum;
        *squares = RowSum.Of(square);
    }

    /// <summary>The same in registers twice as wide.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUpWide(float* x, long whole, bool hasTail, RowSum* sums, RowSum* squares)
    {
        Vector512<double> sum = default, square = default, squareHigh = default;
        if (hasTail)
            (sum, square) = (RowSum.LoadWide(sums), RowSum.LoadWide(squares));
        for (var i = 0L; i < whole; i += Lanes.Count)
        {
            Vector512<double> v = Float32.WidenEight(x + i), w = Float32.WidenEight(x + i + 8);
            if (TFormula.Centers)
                sum += v + w;
            (square, squareHigh) = (Lanes.AddProduct(v, v, square), Lanes.AddProduct(w, w, squareHigh));
        }
        RowSum.Store(sum, sums);
        RowSum.Store(square + squareHigh, squares);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static Lanes TailSquares(Row<Float32> x, double level)
    {
        var v = x.OnRow(x.Tail - level);
        return v * v;
    }
}
