using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a few rows, for dtypes that float64 has digits to spare for.</summary>
/// <remarks>Each step takes all rows before the next begins: what a row sums up is waited for while the next is summed up.</remarks>
internal static unsafe class RowGradients<TFormula, T>
    where TFormula : IRowFormula
    where T : IElement
{
    /// <summary>What each row's gradient loses to its statistics; and where its squares were added up in float32, its inverse in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Project(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, double* weight, double eps, double* inverse, double* center, Loss* lost)
    {
        var squares = stackalloc double[RowNormalization<TFormula>.RowsTogether];
        for (var r = 0; r < count; r++)
        {
            var (x, go) = (new Row<T>(rows[r], length, end), new Row<T>(gradRows[r], length, gradEnd));
            var c = Vector256.Create(center[r]);
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
            var s = new RowStatistics(inverse[r], center[r]);
            if (T.IsSingle)
                s = TFormula.Of(squares[r] / length, center[r], eps);
            inverse[r] = s.Inverse;
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
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, double* inverse, double* center, double* weightSums, double* biasSums)
    {
        var none = default(Loss);
        for (var r = 0; r < count; r++)
        {
            var (x, go) = (new Row<T>(rows[r], length, end), new Row<T>(gradRows[r], length, gradEnd));
            var row = new Gradient(inverse[r], center[r], &none, null, weightSums, biasSums);
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
                row.Of(x[i], go[i], i);
            if (i < length)
                row.Of(x.Tail, go.Tail, i);
        }
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c>, and the rows' part of the parameters' gradients, <c>go · x̂</c> and <c>go</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(
        byte** rows, byte* end, byte** gradRows, byte* gradEnd, int count, long length, byte* to, byte* toEnd, double* inverse, double* center, Loss* lost, double* weight, double* weightSums, double* biasSums)
    {
        var size = length * T.Size;
        var ahead = count * length; // where the next rows are in most tensors
        for (var r = 0; r < count; r++, to += size)
        {
            var (x, go, gx) = (new Row<T>(rows[r], length, end), new Row<T>(gradRows[r], length, gradEnd), new Row<T>(to, length, toEnd));
            var row = new Gradient(inverse[r], center[r], lost + r, weight, weightSums, biasSums);
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
            {
                x.Prefetch(i + ahead);
                go.Prefetch(i + ahead);
                gx.Set(i, row.Of(x[i], go[i], i));
            }
            if (i < length)
                gx.SetTail(row.Of(x.Tail, go.Tail, i));
        }
    }

    private readonly struct Gradient
    {
        private readonly Vector256<double> _center, _inverse, _mean, _along;
        private readonly double* _weight, _weightSums, _biasSums;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Gradient(double inverse, double center, Loss* lost, double* weight, double* weightSums, double* biasSums)
        {
            (_center, _inverse) = (Vector256.Create(center), Vector256.Create(inverse));
            (_mean, _along) = (Vector256.Create(lost->Mean), Vector256.Create(lost->Along));
            _weight = weight;
            _weightSums = weightSums;
            _biasSums = biasSums;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Of(Lanes x, Lanes go, long i) => new(Of(x.A, go.A, i), Of(x.B, go.B, i + 4), Of(x.C, go.C, i + 8), Of(x.D, go.D, i + 12));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private Vector256<double> Of(Vector256<double> x, Vector256<double> go, long i)
        {
            var v = TFormula.Centers ? x - _center : x;
            if (_biasSums is not null)
                (Vector256.Load(_biasSums + i) + go).Store(_biasSums + i);
            var g = go * _inverse;
            if (_weightSums is not null)
                (Vector256.Load(_weightSums + i) + (g * v)).Store(_weightSums + i);
            if (_weight is not null)
                g *= Vector256.Load(_weight + i);
            if (TFormula.Centers)
                g -= _mean;
            return g - (v * _along);
        }
    }
}
