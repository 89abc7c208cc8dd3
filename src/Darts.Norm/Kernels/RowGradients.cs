using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a few rows, for dtypes that float64 has digits to spare for.</summary>
/// <remarks>Each step takes all rows before the next begins: what a row sums up is waited for while the next is summed up.</remarks>
internal static unsafe class RowGradients<TFormula, T>
    where TFormula : IRowFormula
    where T : IElement
{
    /// <summary>2⁻¹⁰⁴: where less of the values' spread is lost with the center, the weight's gradient does not show it.</summary>
    private const double SmallSquare = 1.0 / (1L << 52) / (1L << 52);

    /// <summary>What each row's gradient loses to its statistics; and where its squares were added up in float32, its inverse in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Project(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, double* weight, double eps, RowStatistics* statistics, Loss* lost)
    {
        var squares = stackalloc double[RowNormalization<TFormula>.RowsTogether];
        for (var r = 0; r < count; r++)
        {
            var (x, go) = (new Row<T>(rows[r], length, end), new Row<T>(gradRows[r], length, gradEnd));
            var c = Vector256.Create(statistics[r].Center);
            var (tail, gradTail) = (x.Tail, go.Tail); // sums that are alive while they are read would not stay in registers
            var (sum, dot, square) = (default(Half), default(Half), default(Half));
            if (x.Whole < length)
                Add(TFormula.Centers ? x.OnRow(tail - c) : tail, gradTail, weight, x.Whole, ref sum, ref dot, ref square);
            for (long i = 0; i < x.Whole; i += Lanes.Count)
                Add(TFormula.Centers ? x[i] - c : x[i], go[i], weight, i, ref sum, ref dot, ref square);
            (lost[r].Mean, lost[r].Along, squares[r]) = (sum.Sum(), dot.Sum(), square.Sum());
        }
        var fraction = 1.0 / length;
        for (var r = 0; r < count; r++)
        {
            var s = statistics[r];
            if (T.IsSingle)
            {
                if (TFormula.Centers)
                    lost[r].Along -= lost[r].Mean * s.CenterLow;
                var meanSquare = squares[r] / length;
                var isFar = s.CenterLow * s.CenterLow > meanSquare * SmallSquare;
                statistics[r] = s = TFormula.Of(meanSquare, s.Center, eps) with { CenterLow = isFar ? s.CenterLow : 0 };
            }
            lost[r].Mean = lost[r].Mean * fraction * s.Inverse;
            lost[r].Along = lost[r].Along * fraction * s.Inverse * s.Inverse * s.Inverse; // in this order: zero stays zero however large the inverse
            if (!TFormula.FlowsThrough(s, eps))
                lost[r] = default;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Lanes v, Lanes go, double* weight, long i, ref Half sum, ref Half dot, ref Half square)
    {
        var g = weight is null ? go : go * Lanes.Load(weight + i);
        if (TFormula.Centers)
            sum.Add(g);
        dot.Add(g * v);
        if (T.IsSingle)
            square.Add(v * v);
    }

    /// <summary>Sums of two values each: with sixteen the registers would not suffice.</summary>
    private struct Half
    {
        private Vector256<double> _low, _high;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add(Lanes x)
        {
            _low += x.A + x.B;
            _high += x.C + x.D;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly double Sum() => Lanes.Sum(_low + _high);
    }

    /// <summary>The rows' part of the parameters' gradients alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Accumulate(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, RowStatistics* statistics, double* weightSums, double* biasSums)
    {
        var none = default(Loss);
        for (var r = 0; r < count; r++)
        {
            var row = new Gradient(statistics[r], &none, null, weightSums, biasSums);
            Each(row, statistics[r].CenterLow != 0, new(rows[r], length, end), new(gradRows[r], length, gradEnd), default, writes: false, count * length);
        }
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c>, and the rows' part of the parameters' gradients, <c>go · x̂</c> and <c>go</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, byte* to, byte* toEnd, RowStatistics* statistics, Loss* lost, double* weight, double* weightSums, double* biasSums)
    {
        for (var r = 0; r < count; r++, to += length * T.Size)
        {
            var row = new Gradient(statistics[r], lost + r, weight, weightSums, biasSums);
            Each(row, statistics[r].CenterLow != 0, new(rows[r], length, end), new(gradRows[r], length, gradEnd), new(to, length, toEnd), writes: true, count * length);
        }
    }

    /// <param name="row">What becomes of a row's values.</param>
    /// <param name="isFar">Whether its center's low part shows.</param>
    /// <param name="x">The values.</param>
    /// <param name="go">The gradients that come in.</param>
    /// <param name="gx">Those that go out.</param>
    /// <param name="writes">Whether they do.</param>
    /// <param name="ahead">After so many values the next rows begin, in most tensors.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Each(Gradient row, bool isFar, Row<T> x, Row<T> go, Row<T> gx, bool writes, long ahead)
    {
        if (T.IsSingle && isFar)
            EachValue(row, isFar: true, x, go, gx, writes, ahead);
        else
            EachValue(row, isFar: false, x, go, gx, writes, ahead);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void EachValue(Gradient row, bool isFar, Row<T> x, Row<T> go, Row<T> gx, bool writes, long ahead)
    {
        var i = 0L;
        for (; i < x.Whole; i += Lanes.Count)
        {
            x.Prefetch(i + ahead);
            go.Prefetch(i + ahead);
            var gradient = row.Of(x[i], go[i], i, isFar);
            if (writes)
                gx.Set(i, gradient);
        }
        if (i == x.Length)
            return;
        var tail = row.Of(x.Tail, go.Tail, i, isFar);
        if (writes)
            gx.SetTail(tail);
    }

    private readonly struct Gradient
    {
        private readonly Vector256<double> _center, _centerLow, _inverse, _mean, _along;
        private readonly double* _weight, _weightSums, _biasSums;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Gradient(RowStatistics s, Loss* lost, double* weight, double* weightSums, double* biasSums)
        {
            (_center, _centerLow, _inverse) = (Vector256.Create(s.Center), Vector256.Create(s.CenterLow), Vector256.Create(s.Inverse));
            (_mean, _along) = (Vector256.Create(lost->Mean), Vector256.Create(lost->Along));
            _weight = weight;
            _weightSums = weightSums;
            _biasSums = biasSums;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Of(Lanes x, Lanes go, long i, bool isFar) =>
            new(Of(x.A, go.A, i, isFar), Of(x.B, go.B, i + 4, isFar), Of(x.C, go.C, i + 8, isFar), Of(x.D, go.D, i + 12, isFar));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private Vector256<double> Of(Vector256<double> x, Vector256<double> go, long i, bool isFar)
        {
            var v = TFormula.Centers ? x - _center : x;
            if (_biasSums is not null)
                (Vector256.Load(_biasSums + i) + go).Store(_biasSums + i);
            var g = go * _inverse;
            if (_weightSums is not null)
                (Vector256.Load(_weightSums + i) + (g * (isFar ? v - _centerLow : v))).Store(_weightSums + i);
            if (_weight is not null)
                g *= Vector256.Load(_weight + i);
            if (TFormula.Centers)
                g -= _mean;
            return g - (v * _along);
        }
    }
}
