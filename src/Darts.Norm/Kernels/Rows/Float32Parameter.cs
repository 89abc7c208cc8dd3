using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>A parameter's values in float32, in memory for whole groups.</summary>
internal readonly unsafe struct Float32Parameter : IDisposable
{
    private readonly Float64Buffer _room;

    /// <param name="values">The same values in float64, none of more digits than float32 has; none for a parameter that is not there.</param>
    /// <param name="length">How many, at least four.</param>
    /// <param name="unit">A power of two that they are multiplied by.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public Float32Parameter(Float64Buffer values, long length, float unit = 1)
    {
        (Fits, Least) = (true, 1);
        if (values.At is null)
            return;
        _room = new(Lanes.Padded(length) * sizeof(float) / sizeof(double));
        var (fits, least, largest) = (Vector256<double>.AllBitsSet, Vector256.Create(double.PositiveInfinity), Vector256<double>.Zero);
        var last = length - Vector256<double>.Count; // the last group overlaps the one before it
        for (var i = 0L; ; i = Math.Min(i + Vector256<double>.Count, last))
        {
            var value = Vector256.Load(values.At + i);
            var (rounded, magnitude) = (Float32.Narrow(value), Vector256.Abs(value));
            (rounded * unit).Store(At + i);
            var isPlain = Vector256.GreaterThan(magnitude, Vector256.Create(1e-18)) & Vector256.LessThan(magnitude, Vector256.Create(1e18));
            fits &= isPlain | Vector256.Equals(value, Vector256<double>.Zero);
            (least, largest) = (Vector256.Min(least, magnitude), Vector256.Max(largest, magnitude));
            if (i == last)
                break;
        }
        Fits = Vector256.EqualsAll(fits.AsInt64(), Vector256<long>.AllBitsSet);
        Least = Math.Min(Math.Min(least.GetElement(0), least.GetElement(1)), Math.Min(least.GetElement(2), least.GetElement(3)));
        Largest = Math.Max(Math.Max(largest.GetElement(0), largest.GetElement(1)), Math.Max(largest.GetElement(2), largest.GetElement(3)));
    }

    public float* At => (float*)_room.At;

    /// <summary>The least magnitude, one for a parameter that is not there.</summary>
    public double Least { get; }

    /// <summary>The largest magnitude, zero for a parameter that is not there.</summary>
    public double Largest { get; }

    /// <summary>Whether each value, and products with it, are in float32's range, or it is zero.</summary>
    public bool Fits { get; }

    /// <summary>The largest magnitude over the least; one for a parameter that is not there.</summary>
    public double Ratio => Math.Max(1, Largest / Least);

    /// <summary>For four rows, whether float32 has range to spare for their gradients times this weight, so that what underflows does not show beside the largest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<double> FitsGradients(Vector256<double> largest, Vector256<double> inverse, Vector256<double> mean, Vector256<double> along)
    {
        const double Room = 1L << 60;
        var areZero = Vector256.Equals(largest * Math.Max(Largest, Least), Vector256<double>.Zero); // the gradients, or the whole weight
        var (lost, losesNothing) = (Vector256.Abs(along), Vector256.Equals(along, Vector256<double>.Zero));
        return (areZero | Vector256.GreaterThan(largest * Least, Vector256.Create(1 / Room))) & Vector256.LessThan(largest * Math.Max(Largest, 1), Vector256.Create(Room))
            & Vector256.GreaterThan(inverse, Vector256.Create(1e-12)) & Vector256.LessThan(inverse, Vector256.Create(1e12))
            & Vector256.LessThan(Vector256.Abs(mean), Vector256.Create(1e30)) & (losesNothing | Vector256.GreaterThan(lost, Vector256.Create(1e-30))) & Vector256.LessThan(lost, Vector256.Create(1e20));
    }

    /// <summary>Whether all values are zero, or there is no parameter.</summary>
    public bool IsZero => Largest == 0;

    public void Dispose() => _room.Dispose();
}
