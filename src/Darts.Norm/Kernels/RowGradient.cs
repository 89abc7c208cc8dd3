using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>What becomes of a row's values and the gradients that come in, in float64.</summary>
internal readonly unsafe struct RowGradient<TFormula>
    where TFormula : IRowFormula
{
    private readonly Vector256<double> _center, _centerLow, _inverse, _mean, _along;
    private readonly double* _weight, _weightSums, _biasSums;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public RowGradient(RowStatistics s, Loss* lost, double* weight, double* weightSums, double* biasSums)
    {
        (_center, _centerLow, _inverse) = (Vector256.Create(s.Center), Vector256.Create(s.CenterLow), Vector256.Create(s.Inverse));
        (_mean, _along) = (Vector256.Create(lost->Mean - (s.CenterLow * lost->Along)), Vector256.Create(lost->Along));
        _weight = weight;
        _weightSums = weightSums;
        _biasSums = biasSums;
    }

    /// <summary>The parts of the parameters' gradients, <c>go · x̂</c> and <c>go</c>, are added to their sums.</summary>
    /// <param name="x">The values.</param>
    /// <param name="go">The gradients that come in.</param>
    /// <param name="i">Where on the row.</param>
    /// <param name="isFar">Whether the center's low part shows.</param>
    /// <param name="all">Whether all sums are there that the formula has; otherwise some may be.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Accumulate(Lanes x, Lanes go, long i, bool isFar, bool all = false)
    {
        Accumulate(x.A, go.A, i, isFar, all);
        Accumulate(x.B, go.B, i + 4, isFar, all);
        Accumulate(x.C, go.C, i + 8, isFar, all);
        Accumulate(x.D, go.D, i + 12, isFar, all);
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c></summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes Of(Lanes x, Lanes go, long i) => new(Of(x.A, go.A, i), Of(x.B, go.B, i + 4), Of(x.C, go.C, i + 8), Of(x.D, go.D, i + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Accumulate(Vector256<double> x, Vector256<double> go, long i, bool isFar, bool all)
    {
        if (all || _biasSums is not null)
            (Vector256.Load(_biasSums + i) + go).Store(_biasSums + i);
        if (!all && _weightSums is null)
            return;
        var v = TFormula.Centers ? x - _center : x;
        (Vector256.Load(_weightSums + i) + (go * _inverse * (isFar ? v - _centerLow : v))).Store(_weightSums + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<double> Of(Vector256<double> x, Vector256<double> go, long i)
    {
        var g = go * _inverse;
        if (_weight is not null)
            g *= Vector256.Load(_weight + i);
        if (!TFormula.Centers)
            return g - (x * _along);
        return g - _mean - ((x - _center) * _along);
    }
}
