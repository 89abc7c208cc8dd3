using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>As many float64 values as one of the machine's registers holds. The result for each is the same, however many that are.</summary>
/// <remarks>A few of these stay in registers where whole <see cref="Lanes"/> would not.</remarks>
internal unsafe interface IFloat64Vector<TSelf>
    where TSelf : struct, IFloat64Vector<TSelf>
{
    /// <summary>How many.</summary>
    public static abstract int Count { get; }

    public static abstract TSelf Create(double value);

    public static abstract TSelf Load(double* from);

    /// <summary>Reads as many float32 values.</summary>
    public static abstract TSelf Widen(float* from);

    public void Store(double* to);

    /// <summary>Stores past the caches. The address must be a multiple of the vector's size.</summary>
    public void Stream(double* to);

    public static abstract TSelf operator +(TSelf x, TSelf y);

    public static abstract TSelf operator -(TSelf x, TSelf y);

    public static abstract TSelf operator *(TSelf x, TSelf y);

    /// <summary>As <see cref="Lanes.AddProduct(Lanes, Lanes, Lanes)"/>.</summary>
    public static abstract TSelf AddProduct(TSelf x, TSelf y, TSelf sum);

    /// <summary>As <see cref="Lanes.Loss(Lanes, Lanes, Lanes)"/>.</summary>
    public static abstract TSelf Loss(TSelf x, TSelf y, TSelf product);

    /// <summary>As <see cref="Lanes.Observed"/>.</summary>
    public TSelf Observed();

    /// <summary>As <see cref="Lanes.Tally(Lanes, Lanes)"/>.</summary>
    public static abstract TSelf Tally(TSelf x, TSelf y);

    public static abstract TSelf operator &(TSelf x, TSelf mask);

    /// <summary>Each value, or where it is NaN, the other.</summary>
    public static abstract TSelf Or(TSelf x, TSelf other);
}

/// <summary>Four values.</summary>
internal readonly unsafe struct Float64x4(Vector256<double> values) : IFloat64Vector<Float64x4>
{
    private readonly Vector256<double> _values = values;

    public static int Count => Vector256<double>.Count;

    public double First => _values.ToScalar();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Create(double value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Load(double* from) => new(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Widen(float* from) => new(Float32.WidenFour(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(double* to) => _values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(double* to) => _values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 operator +(Float64x4 x, Float64x4 y) => new(x._values + y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 operator -(Float64x4 x, Float64x4 y) => new(x._values - y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 operator *(Float64x4 x, Float64x4 y) => new(x._values * y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 operator /(Float64x4 x, Float64x4 y) => new(x._values / y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Sqrt(Float64x4 x) => new(Vector256.Sqrt(x._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 AddProduct(Float64x4 x, Float64x4 y, Float64x4 sum) => new(Lanes.AddProduct(x._values, y._values, sum._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Loss(Float64x4 x, Float64x4 y, Float64x4 product) => new(Lanes.Loss(x._values, y._values, product._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Float64x4 Observed() => new(Vector256.Equals(_values, _values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Tally(Float64x4 x, Float64x4 y) => new((x._values.AsInt64() + y._values.AsInt64()).AsDouble());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 operator &(Float64x4 x, Float64x4 mask) => new(x._values & mask._values);

    /// <summary>All ones where a value is finite, else zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Float64x4 AreFinite() => new(Vector256.Equals(_values - _values, Vector256<double>.Zero));

    /// <summary>All ones where the first is less, else zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 AreLess(Float64x4 x, Float64x4 y) => new(Vector256.LessThan(x._values, y._values));

    /// <summary>The first where <paramref name="mask"/> is all ones, the other where it is zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Select(Float64x4 mask, Float64x4 x, Float64x4 other) => new(Vector256.ConditionalSelect(mask._values, x._values, other._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x4 Or(Float64x4 x, Float64x4 other) => new(Vector256.ConditionalSelect(Vector256.Equals(x._values, x._values), x._values, other._values));
}

/// <summary>Eight values.</summary>
internal readonly unsafe struct Float64x8(Vector512<double> values) : IFloat64Vector<Float64x8>
{
    private readonly Vector512<double> _values = values;

    public static int Count => Vector512<double>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 Create(double value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 Load(double* from) => new(Vector512.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 Widen(float* from) => new(Float32.WidenEight(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(double* to) => _values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(double* to) => _values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 operator +(Float64x8 x, Float64x8 y) => new(x._values + y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 operator -(Float64x8 x, Float64x8 y) => new(x._values - y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 operator *(Float64x8 x, Float64x8 y) => new(x._values * y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 AddProduct(Float64x8 x, Float64x8 y, Float64x8 sum) => new(Lanes.AddProduct(x._values, y._values, sum._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 Loss(Float64x8 x, Float64x8 y, Float64x8 product) => new(Lanes.Loss(x._values, y._values, product._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Float64x8 Observed() => new(Vector512.Equals(_values, _values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 Tally(Float64x8 x, Float64x8 y) => new((x._values.AsInt64() + y._values.AsInt64()).AsDouble());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 operator &(Float64x8 x, Float64x8 mask) => new(x._values & mask._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64x8 Or(Float64x8 x, Float64x8 other) => new(Vector512.ConditionalSelect(Vector512.Equals(x._values, x._values), x._values, other._values));
}
