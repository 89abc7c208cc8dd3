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
    public static void Write(GradientRows rows, float* to, float* toEnd, GradientStatistics* statistics, double* weight, Float32Parameter singleWeight, Destination destination)
    {
        if (Vector512.IsHardwareAccelerated)
            Write<Float32x16>(rows, to, toEnd, statistics, weight, singleWeight, destination);
        else
            Write<Float32x8>(rows, to, toEnd, statistics, weight, singleWeight, destination);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write<TVector>(GradientRows rows, float* to, float* toEnd, GradientStatistics* statistics, double* weight, Float32Parameter singleWeight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        Float32GradientStatistics single;
        var (unit, allFit) = (singleWeight.At is null ? 1.0 : 1.0 / WeightUnit, true);
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
            Float32.Narrow(Vector256.ConditionalSelect(fits, inverse * unit, Vector256.Create(double.NaN))).Store(single.Inverse + r);
        }
        for (var r = 0; r < rows.Count; r++)
            allFit &= !float.IsNaN(single.Inverse[r]);
        if (!allFit || (rows.Length % TVector.Count != 0 && !HasRoom(rows, to, toEnd)))
            WriteEach<TVector>(rows, to, toEnd, statistics, &single, weight, singleWeight.At, destination);
        else if (singleWeight.At is null)
            WritePlain<TVector>(rows, to, &single, destination);
        else
            WriteScaled<TVector>(rows, to, &single, singleWeight.At, destination);
    }

    /// <summary>Whether the last group of each row may be read and written beyond its end. The next row overwrites what lies there.</summary>
    private static bool HasRoom(GradientRows rows, float* to, float* toEnd)
    {
        var padded = Lanes.Padded(rows.Length);
        var hasRoom = to + ((rows.Count - 1) * rows.Length) + padded <= toEnd;
        for (var r = 0; r < rows.Count; r++)
            hasRoom &= (float*)rows.X(r).Start + padded <= (float*)rows.X(r).End && (float*)rows.GradOutput(r).Start + padded <= (float*)rows.GradOutput(r).End;
        return hasRoom;
    }

    // A method for each set of parameters, as in Float32Rows.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WritePlain<TVector>(GradientRows rows, float* to, Float32GradientStatistics* statistics, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteWhole<TVector>(rows, to, statistics, null, destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteScaled<TVector>(GradientRows rows, float* to, Float32GradientStatistics* statistics, float* weight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector> => WriteWhole<TVector>(rows, to, statistics, weight, destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteWhole<TVector>(GradientRows rows, float* to, Float32GradientStatistics* statistics, float* weight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        var ahead = rows.Count * rows.Length;
        for (var r = 0; r < rows.Count; r++, to += rows.Length)
            WriteGroups((float*)rows.X(r).Start, (float*)rows.GradOutput(r).Start, to, rows.Length, new Float32Gradient<TVector>(statistics, r), weight, destination, ahead);
    }

    /// <summary>Writes rows of which some are left to float64, or end where memory may not be touched.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteEach<TVector>(
        GradientRows rows, float* to, float* toEnd, GradientStatistics* statistics, Float32GradientStatistics* single, double* weight, float* singleWeight, Destination destination)
        where TVector : struct, IFloat32Vector<TVector>
    {
        var whole = rows.Length & -TVector.Count;
        for (var r = 0; r < rows.Count; r++, to += rows.Length)
        {
            var (x, go) = (rows.X(r), rows.GradOutput(r));
            if (float.IsNaN(single->Inverse[r]))
            {
                RowGradients<TFormula>.WriteRow(x, go, new((byte*)to, rows.Length, (byte*)toEnd), statistics, r, weight);
                continue;
            }
            WriteGroups((float*)x.Start, (float*)go.Start, to, whole, new Float32Gradient<TVector>(single, r), singleWeight, destination, rows.Count * rows.Length);
            if (whole < rows.Length)
                WriteTail(new((float*)x.Start, rows.Length, (float*)x.End), new((float*)go.Start, rows.Length, (float*)go.End), new(to, rows.Length, toEnd), single, r, singleWeight);
        }
    }

    /// <summary>Writes <paramref name="count"/> gradients of a row, in whole vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteGroups<TVector>(float* x, float* go, float* to, long count, Float32Gradient<TVector> row, float* weight, Destination destination, long ahead)
        where TVector : struct, IFloat32Vector<TVector>
    {
        if (destination == Destination.Memory)
        {
            for (var i = 0L; i < count; i += TVector.Count)
            {
                TensorMemory.Prefetch(x + i + ahead);
                TensorMemory.Prefetch(go + i + ahead);
                row.Of(x, go, weight, i).Stream(to + i);
            }
        }
        else if (destination == Destination.Caches)
        {
            for (var i = 0L; i < count; i += TVector.Count)
            {
                TensorMemory.PrefetchResult(to + i);
                row.Of(x, go, weight, i).Store(to + i);
            }
        }
        else
        {
            for (var i = 0L; i < count; i += TVector.Count)
                row.Of(x, go, weight, i).Store(to + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void WriteTail(Float32Row x, Float32Row go, Float32Row to, Float32GradientStatistics* single, int r, float* weight)
    {
        var row = new Float32Gradient<Float32x8>(single, r);
        for (var i = x.Whole; i < x.Length; i += Float32x8.Count)
            to.SetPart(i, row.Of(new Float32x8(x.Part(i)), new Float32x8(go.Part(i)), weight, i).Values);
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
        public TVector Of(float* x, float* go, float* weight, long i) => Of(TVector.Load(x + i), TVector.Load(go + i), weight, i);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Of(TVector x, TVector go, float* weight, long i)
        {
            if (weight is not null)
                go *= TVector.Load(weight + i);
            return TFormula.Centers ? (go * _inverse) - _mean - ((x - _level) * _along) : (go * _inverse) - (x * _along);
        }
    }
}
