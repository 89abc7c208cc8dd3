using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Float32 values in float64, as many as the machine's registers hold: what becomes of one does not depend on that.</summary>
/// <remarks>A few of these stay in registers where whole <see cref="Lanes"/> would not.</remarks>
internal unsafe interface IWidened<TSelf>
    where TSelf : struct, IWidened<TSelf>
{
    /// <summary>How many.</summary>
    public static abstract int Count { get; }

    public static abstract TSelf Load(double* from);

    public static abstract TSelf Widen(float* from);

    public void Store(double* to);

    public static abstract TSelf operator +(TSelf x, TSelf y);

    public static abstract TSelf operator -(TSelf x, TSelf y);

    public static abstract TSelf operator *(TSelf x, TSelf y);

    /// <summary>As <see cref="Lanes.AddProduct(Lanes, Lanes, Lanes)"/>.</summary>
    public static abstract TSelf AddProduct(TSelf x, TSelf y, TSelf sum);
}

/// <summary>Four values.</summary>
internal readonly unsafe struct FourWidened(Vector256<double> values) : IWidened<FourWidened>
{
    private readonly Vector256<double> _values = values;

    public static int Count => Vector256<double>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWidened Load(double* from) => new(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWidened Widen(float* from) => new(Float32.WidenFour(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(double* to) => _values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWidened operator +(FourWidened x, FourWidened y) => new(x._values + y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWidened operator -(FourWidened x, FourWidened y) => new(x._values - y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWidened operator *(FourWidened x, FourWidened y) => new(x._values * y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWidened AddProduct(FourWidened x, FourWidened y, FourWidened sum) => new(Lanes.AddProduct(x._values, y._values, sum._values));
}

/// <summary>Eight values.</summary>
internal readonly unsafe struct EightWidened(Vector512<double> values) : IWidened<EightWidened>
{
    private readonly Vector512<double> _values = values;

    public static int Count => Vector512<double>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWidened Load(double* from) => new(Vector512.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWidened Widen(float* from) => new(Float32.WidenEight(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(double* to) => _values.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWidened operator +(EightWidened x, EightWidened y) => new(x._values + y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWidened operator -(EightWidened x, EightWidened y) => new(x._values - y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWidened operator *(EightWidened x, EightWidened y) => new(x._values * y._values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightWidened AddProduct(EightWidened x, EightWidened y, EightWidened sum) => new(Lanes.AddProduct(x._values, y._values, sum._values));
}
