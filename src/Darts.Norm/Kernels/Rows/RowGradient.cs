using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a row's values, in float64.</summary>
internal readonly unsafe struct RowGradient<TFormula>
    where TFormula : IRowFormula
{
    private readonly Vector256<double> _center, _inverse, _mean, _along;
    private readonly double* _weight;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public RowGradient(GradientStatistics* statistics, int row, double* weight)
    {
        (_center, _inverse) = (Vector256.Create(statistics->Center[row]), Vector256.Create(statistics->Inverse[row]));
        (_mean, _along) = (Vector256.Create(statistics->Mean[row] - (statistics->CenterLow[row] * statistics->Along[row])), Vector256.Create(statistics->Along[row]));
        _weight = weight;
    }

    /// <summary><c>gx = (w·go - mean(w·go) - x̂ · mean(w·go · x̂)) · inverse</c></summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes Of(Lanes x, Lanes go, long i) => new(Of(x.A, go.A, i), Of(x.B, go.B, i + 4), Of(x.C, go.C, i + 8), Of(x.D, go.D, i + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<double> Of(Vector256<double> x, Vector256<double> go, long i)
    {
        var g = _weight is null ? go : go * Vector256.Load(_weight + i);
        g *= _inverse; // last: zero stays zero however large the inverse
        if (!TFormula.Centers)
            return g - (x * _along);
        return g - _mean - ((x - _center) * _along);
    }
}
