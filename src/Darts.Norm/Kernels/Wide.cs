using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Float64 values, as many as one of the machine's registers holds: what becomes of one does not depend on that.</summary>
/// <remarks>A few of these stay in registers where whole <see cref="Lanes"/> would not.</remarks>
internal unsafe interface IWide<TSelf>
    where TSelf : struct, IWide<TSelf>
{
    /// <summary>How many.</summary>
    public static abstract int Count { get; }

    public static abstract TSelf Create(double value);

    public static abstract TSelf Load(double* from);

    /// <summary>The same of float32.</summary>
    public static abstract TSelf Widen(float* from);

    public void Store(double* to);

    /// <summary>The same past the caches, to memory that is aligned for it.</summary>
    public void Stream(double* to);

    public static abstract TSelf operator +(TSelf x, TSelf y);

    public static abstract TSelf operator -(TSelf x, TSelf y);

    public static abstract TSelf operator *(TSelf x, TSelf y);

    public static abstract TSelf operator /(TSelf x, TSelf y);

    public static abstract TSelf Sqrt(TSelf x);

    /// <summary>As <see cref="Lanes.AddProduct(Lanes, Lanes, Lanes)"/>.</summary>
    public static abstract TSelf AddProduct(TSelf x, TSelf y, TSelf sum);

    /// <summary>As <see cref="Lanes.Loss(Lanes, Lanes, Lanes)"/>.</summary>
    public static abstract TSelf Loss(TSelf x, TSelf y, TSelf product);

    /// <summary>As <see cref="Lanes.Observed"/>.</summary>
    public TSelf Observed();

    /// <summary>As <see cref="Lanes.Tally(Lanes, Lanes)"/>.</summary>
    public static abstract TSelf Tally(TSelf x, TSelf y);

    public static abstract TSelf operator &(TSelf x, TSelf mask);

    /// <summary>All ones where a value is finite, else zero.</summary>
    public TSelf AreFinite();

    /// <summary>All ones where the first is less, else zero.</summary>
    public static abstract TSelf AreLess(TSelf x, TSelf y);

    /// <summary>The first where <paramref name="mask"/> is all ones, the other where it is zero.</summary>
    public static abstract TSelf Select(TSelf mask, TSelf x, TSelf other);

    /// <summary>Each value, or where it is NaN, the other.</summary>
    public static abstract TSelf Or(TSelf x, TSelf other);
}

/// <summary>Four values.</summary>
internal readonly unsafe struct FourWide(Vector256<double> values) : IWide<FourWide>
{
    private readonly Vector256<double> _values = values;

    public static int Count => Vector256<double>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Create(double value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Load(double* from) => new(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Widen(float* from) => new(Float32.WidenFour(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(double* to) => _values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(double* to) => _values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide operator +(FourWide x, FourWide y) => new(x._values + y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide operator -(FourWide x, FourWide y) => new(x._values - y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide operator *(FourWide x, FourWide y) => new(x._values * y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide operator /(FourWide x, FourWide y) => new(x._values / y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Sqrt(FourWide x) => new(Vector256.Sqrt(x._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide AddProduct(FourWide x, FourWide y, FourWide sum) => new(Lanes.AddProduct(x._values, y._values, sum._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Loss(FourWide x, FourWide y, FourWide product) => new(Lanes.Loss(x._values, y._values, product._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public FourWide Observed() => new(Vector256.Equals(_values, _values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Tally(FourWide x, FourWide y) => new((x._values.AsInt64() + y._values.AsInt64()).AsDouble());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide operator &(FourWide x, FourWide mask) => new(x._values & mask._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public FourWide AreFinite() => new(Vector256.Equals(_values - _values, Vector256<double>.Zero));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide AreLess(FourWide x, FourWide y) => new(Vector256.LessThan(x._values, y._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Select(FourWide mask, FourWide x, FourWide other) => new(Vector256.ConditionalSelect(mask._values, x._values, other._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWide Or(FourWide x, FourWide other) => new(Vector256.ConditionalSelect(Vector256.Equals(x._values, x._values), x._values, other._values));
}

/// <summary>Eight values.</summary>
internal readonly unsafe struct EightWide(Vector512<double> values) : IWide<EightWide>
{
    private readonly Vector512<double> _values = values;

    public static int Count => Vector512<double>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Create(double value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Load(double* from) => new(Vector512.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Widen(float* from) => new(Float32.WidenEight(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(double* to) => _values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stream(double* to) => _values.StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide operator +(EightWide x, EightWide y) => new(x._values + y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide operator -(EightWide x, EightWide y) => new(x._values - y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide operator *(EightWide x, EightWide y) => new(x._values * y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide operator /(EightWide x, EightWide y) => new(x._values / y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Sqrt(EightWide x) => new(Vector512.Sqrt(x._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide AddProduct(EightWide x, EightWide y, EightWide sum) => new(Lanes.AddProduct(x._values, y._values, sum._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Loss(EightWide x, EightWide y, EightWide product) => new(Lanes.Loss(x._values, y._values, product._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public EightWide Observed() => new(Vector512.Equals(_values, _values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Tally(EightWide x, EightWide y) => new((x._values.AsInt64() + y._values.AsInt64()).AsDouble());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide operator &(EightWide x, EightWide mask) => new(x._values & mask._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public EightWide AreFinite() => new(Vector512.Equals(_values - _values, Vector512<double>.Zero));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide AreLess(EightWide x, EightWide y) => new(Vector512.LessThan(x._values, y._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Select(EightWide mask, EightWide x, EightWide other) => new(Vector512.ConditionalSelect(mask._values, x._values, other._values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWide Or(EightWide x, EightWide other) => new(Vector512.ConditionalSelect(Vector512.Equals(x._values, x._values), x._values, other._values));
}
