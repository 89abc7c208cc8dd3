using System.Numerics;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Lanes as arrays, and float64 values as numbers of any length.</summary>
internal static unsafe class Numbers
{
    /// <summary>The value in units of the least float64.</summary>
    public static BigInteger Exact(double value)
    {
        var bits = BitConverter.DoubleToInt64Bits(value);
        var exponent = (int)((bits >> 52) & 0x7FF);
        var mantissa = (bits & ((1L << 52) - 1)) | (exponent == 0 ? 0 : 1L << 52);
        return (bits < 0 ? -(BigInteger)mantissa : mantissa) << Math.Max(exponent - 1, 0);
    }

    public static T[] Each<T>(Func<int, T> value) => [.. Enumerable.Range(0, Lanes.Count).Select(value)];

    public static Lanes Of(Func<int, double> value)
    {
        fixed (double* values = Each(value))
            return Lanes.Load(values);
    }

    public static double[] Values(Lanes lanes)
    {
        var values = new double[Lanes.Count];
        fixed (double* to = values)
            lanes.Store(to);
        return values;
    }
}
