using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>The gradients of a few rows of float32 values, in float32. Rows whose gradients come near the ends of its range are left to float64.</summary>
internal static unsafe class Float32Gradients<TFormula>
    where TFormula : IRowFormula
{
    /// <summary>From this length on, rows are faster in float32.</summary>
    public const long Shortest = 64;

    /// <summary>2⁴⁰, by which the weight is multiplied and the inverse divided: gradients times a small weight stay above float32's least number.</summary>
    public const float WeightUnit = 1L << 40;

    /// <summary>As <see cref="RowGradients{TFormula}.WriteRow"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(GradientRows rows, float* to, GradientStatistics* statistics, double* weight, Float32Parameter singleWeight, Destination destination)
    {
        if (Vector512.IsHardwareAccelerated)
            Write<Float32x16>(rows, to, statistics, weight, singleWeight, destination);
        else
            Write<Float32x8>(rows, to, statistics, weight, singleWeight, destination);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write<TVector>(GradientRows rows, float* to, GradientStatistics* statistics, double* weight, Float32Parameter singleWeight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        Float32GradientStatistics single;
        var (unit, fitting) = (singleWeight.At is null ? 1.0 : 1.0 / WeightUnit, 0UL);
        for (var r = 0; r < rows.Count; r += Vector256<double>.Count)
        {
            var (inverse, along, mean) = (Vector256.Load(statistics->Inverse + r), Vector256.Load(statistics->Along + r), TFormula.Centers ? Vector256.Load(statistics->Mean + r) : Vector256<double>.Zero);
            var fits = singleWeight.FitsGradients(Float32.Widen(Vector128.Load(statistics->Largest + r)), inverse, mean, along);
            if (TFormula.Centers)
            {
                var center = Vector256.Load(statistics->Center + r);
                var level = Float32.Narrow(center);
                level.Store(single.Level + r);
                mean -= (center - Float32.Widen(level) + Vector256.Load(statistics->CenterLow + r)) * along; // what the center is beyond its float32 is subtracted with the mean
                Float32.Narrow(mean).Store(single.Mean + r);
            }
            Float32.Narrow(along).Store(single.Along + r);
            Float32.Narrow(inverse * unit).Store(single.Inverse + r);
            fitting |= (ulong)fits.ExtractMostSignificantBits() << r;
        }
        if (singleWeight.At is null)
            WritePlain<TVector>(rows, to, fitting, &single, destination);
        else
            WriteScaled<TVector>(rows, to, fitting, &single, singleWeight.At, destination);
        for (var left = ~fitting & ((1UL << rows.Count) - 1); left != 0; left &= left - 1)
        {
            var r = BitOperations.TrailingZeroCount(left);
            var row = to + (r * rows.Length);
            RowGradients<TFormula>.WriteRow(rows.X(r), rows.GradOutput(r), new((byte*)row, rows.Length, (byte*)(row + rows.Length)), statistics, r, weight); // within the row
        }
    }

    // A method for each set of parameters, as in Float32Rows.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TVector>(GradientRows rows, float* to, ulong fitting, Float32GradientStatistics* statistics, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteWhole<TVector>(rows, to, fitting, statistics, null, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteScaled<TVector>(GradientRows rows, float* to, ulong fitting, Float32GradientStatistics* statistics, float* weight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteWhole<TVector>(rows, to, fitting, statistics, weight, destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteWhole<TVector>(GradientRows rows, float* to, ulong fitting, Float32GradientStatistics* statistics, float* weight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        var ahead = rows.Count * rows.Length;
        for (var r = 0; r < rows.Count; r++, to += rows.Length)
        {
            if ((fitting >> r & 1) != 0)
                WriteRow((float*)rows.X(r).Start, (float*)rows.GradOutput(r).Start, to, rows.Length, new Float32Gradient<TVector>(statistics, r), weight, destination, ahead);
        }
    }

    /// <summary>Writes a row's gradients, in the vectors that <see cref="Float32Rows{TFormula}"/> writes a row in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteRow<TVector>(float* x, float* go, float* to, long length, Float32Gradient<TVector> row, float* weight, Destination destination, long ahead)
        where TVector : struct, IFloat32Vector<TVector>
    {
        if (length % TVector.Count != 0)
        {
            var last = length - TVector.Count;
            for (long i = 0, next = Float32.UntilAligned(to, TVector.Count); ; i = Math.Min(next, last), next += TVector.Count)
            {
                row.Of(x, go, weight, i).Store(to + i);
                if (i >= last)
                    return;
            }
        }
        if (destination == Destination.Memory)
        {
            for (var i = 0L; i < length; i += TVector.Count)
            {
                TensorMemory.Prefetch(x + i + ahead);
                TensorMemory.Prefetch(go + i + ahead);
                row.Of(x, go, weight, i).Stream(to + i);
            }
        }
        else if (destination == Destination.Caches)
        {
            for (var i = 0L; i < length; i += TVector.Count)
            {
                TensorMemory.PrefetchResult(to + i);
                row.Of(x, go, weight, i).Store(to + i);
            }
        }
        else
        {
            for (var i = 0L; i < length; i += TVector.Count)
                row.Of(x, go, weight, i).Store(to + i);
        }
    }

    private struct Float32GradientStatistics
    {
        public fixed float Level[GradientStatistics.Most];
        public fixed float Inverse[GradientStatistics.Most];
        public fixed float Mean[GradientStatistics.Most];
        public fixed float Along[GradientStatistics.Most];
    }

    /// <summary><see cref="RowGradient{TFormula}"/> in float32.</summary>
    private readonly struct Float32Gradient<TVector>
        where TVector : struct, IFloat32Vector<TVector>
    {
        private readonly TVector _level, _inverse, _mean, _along;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Float32Gradient(Float32GradientStatistics* statistics, int row)
        {
            (_level, _inverse) = (TVector.Create(statistics->Level[row]), TVector.Create(statistics->Inverse[row]));
            (_mean, _along) = (TVector.Create(statistics->Mean[row]), TVector.Create(statistics->Along[row]));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Of(float* x, float* go, float* weight, long i)
        {
            var (v, g) = (TVector.Load(x + i), TVector.Load(go + i));
            if (weight is not null)
                g *= TVector.Load(weight + i);
            return TFormula.Centers ? (g * _inverse) - _mean - ((v - _level) * _along) : (g * _inverse) - (v * _along);
        }
    }
}
