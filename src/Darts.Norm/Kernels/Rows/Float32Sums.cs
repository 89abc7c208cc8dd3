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
        for (var r = 0; r < count; r++)
        {
            if (Vector512.IsHardwareAccelerated)
                AddUpWide(new(rows[r], length, end), sums + r, squares + r);
            else
                AddUp(new((byte*)rows[r], length, (byte*)end), sums + r, squares + r);
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

    /// <summary>The values and their squares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUp(Row<Float32> x, RowSum* sums, RowSum* squares)
    {
        RowSum sum = default;
        Lanes square = default;
        if (x.Whole < x.Length)
        {
            AddTail(x, sums, squares);
            sum = *sums;
            square = squares->ToLanes();
        }
        for (long i = 0; i < x.Whole; i += Lanes.Count)
        {
            var v = x[i];
            if (TFormula.Centers)
                sum.Add(v);
            square = Lanes.AddProduct(v, v, square);
        }
        *sums = sum;
        *squares = RowSum.Of(square);
    }

    /// <summary>The same sums in registers twice as wide.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddUpWide(Float32Row x, RowSum* sums, RowSum* squares)
    {
        Vector512<double> sum = default, square = default;
        if (x.Whole < x.Length)
        {
            var tail = x.Tail;
            Vector512<double> v = Float32.Widen(tail.GetLower()), w = Float32.Widen(tail.GetUpper());
            (sum, square) = (Vector512<double>.Zero + (v + w), (v * v) + (w * w));
        }
        Vector512<double> squareHigh = default;
        for (var i = 0L; i < x.Whole; i += Lanes.Count)
        {
            Vector512<double> v = Float32.WidenEight(x.Start + i), w = Float32.WidenEight(x.Start + i + 8);
            if (TFormula.Centers)
                sum += v + w;
            (square, squareHigh) = (Lanes.AddProduct(v, v, square), Lanes.AddProduct(w, w, squareHigh));
        }
        RowSum.Store(sum, sums);
        RowSum.Store(square + squareHigh, squares);
    }

    // The tails are methods of their own: beside a call nothing stays in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTail(Row<Float32> x, RowSum* sums, RowSum* squares)
    {
        RowSum sum = default, square = default;
        var v = x.Tail;
        sum.Add(v);
        square.Add(v * v);
        (*sums, *squares) = (sum, square);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static Lanes TailSquares(Row<Float32> x, double level)
    {
        var v = x.OnRow(x.Tail - level);
        return v * v;
    }
}
