using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary><c>x̂ = (x - level) · inverse</c>; with hasRest also what the level and the inverse lost by rounding to float32, added last.</summary>
internal readonly unsafe struct Standardized<TFormula, TVector>
    where TFormula : IRowFormula
    where TVector : struct, IFloat32Vector<TVector>
{
    private readonly TVector _level, _inverse, _inverseLow, _shift;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Standardized(float level, float inverse) => (_level, _inverse) = (TVector.Create(level), TVector.Create(inverse));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Standardized(Float32Statistics* measured, int r)
    {
        (_level, _shift) = (TVector.Create(measured->Level[r]), TVector.Create(measured->Shift[r]));
        (_inverse, _inverseLow) = (TVector.Create(measured->InverseHigh[r]), TVector.Create(measured->InverseLow[r]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Of(TVector x, bool hasRest)
    {
        if (!TFormula.Centers)
            return x * _inverse;
        var v = x - _level;
        return hasRest ? (v * _inverse) + ((v * _inverseLow) + _shift) : v * _inverse;
    }
}
