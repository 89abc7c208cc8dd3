using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Darts.Norm.Kernels;

/// <summary>Sixteen float64 values that are computed with together.</summary>
/// <remarks>
/// The number is part of the result: lane l sums the elements l, l + 16, l + 32, ... of a row, on every machine. Neither the runtime nor this code fuses a multiplication
/// and an addition, except where that changes no bit (<see cref="AddProduct(Lanes, Lanes, Lanes)"/>) and to get a rounding error (<see cref="Loss(Lanes, Lanes, Lanes)"/>).
/// </remarks>
internal readonly unsafe struct Lanes(Vector256<double> a, Vector256<double> b, Vector256<double> c, Vector256<double> d)
{
    public const int Count = 16;

    public readonly Vector256<double> A = a, B = b, C = c, D = d;

    /// <summary>How many float64 values hold <paramref name="length"/> in whole groups of lanes.</summary>
    public static long Padded(long length) => (length + Count - 1) / Count * Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Load(double* from) =>
        new(Vector256.Load(from), Vector256.Load(from + 4), Vector256.Load(from + 8), Vector256.Load(from + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(double* to)
    {
        A.Store(to);
        B.Store(to + 4);
        C.Store(to + 8);
        D.Store(to + 12);
    }

    /// <summary>All ones in the lanes that are not NaN, zero in the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes Observed() => new(Vector256.Equals(A, A), Vector256.Equals(B, B), Vector256.Equals(C, C), Vector256.Equals(D, D));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator &(Lanes x, Lanes mask) => new(x.A & mask.A, x.B & mask.B, x.C & mask.C, x.D & mask.D);

    /// <summary>Adds masks as integers. All ones is -1: a sum of masks is minus how often each lane was set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Tally(Lanes x, Lanes y) => new(Tally(x.A, y.A), Tally(x.B, y.B), Tally(x.C, y.C), Tally(x.D, y.D));

    /// <summary>The first lanes; zero from <paramref name="count"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Lanes First(long count)
    {
        var mask = (double*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Masks)) + Count - count;
        return new(A & Vector256.Load(mask), B & Vector256.Load(mask + 4), C & Vector256.Load(mask + 8), D & Vector256.Load(mask + 12));
    }

    /// <summary>The sum of the lanes, in one order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public double Sum() => Sum((A + B) + (C + D));

    /// <summary>The sum of four values, in one order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Sum(Vector256<double> v) => (v.GetElement(0) + v.GetElement(1)) + (v.GetElement(2) + v.GetElement(3));

    /// <summary>The sums of four values each, in the order of <see cref="Sum(Vector256{double})"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Sums(Vector256<double> a, Vector256<double> b, Vector256<double> c, Vector256<double> d)
    {
        if (!Avx.IsSupported)
            return Vector256.Create(Sum(a), Sum(b), Sum(c), Sum(d));
        var (ab, cd) = (Avx.UnpackLow(a, b) + Avx.UnpackHigh(a, b), Avx.UnpackLow(c, d) + Avx.UnpackHigh(c, d));
        return Avx.Permute2x128(ab, cd, 0x20) + Avx.Permute2x128(ab, cd, 0x31);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator +(Lanes x, Lanes y) => new(x.A + y.A, x.B + y.B, x.C + y.C, x.D + y.D);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator -(Lanes x, Lanes y) => new(x.A - y.A, x.B - y.B, x.C - y.C, x.D - y.D);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator *(Lanes x, Lanes y) => new(x.A * y.A, x.B * y.B, x.C * y.C, x.D * y.D);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator *(Lanes x, Vector256<double> y) => new(x.A * y, x.B * y, x.C * y, x.D * y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator *(Lanes x, double y) => x * Vector256.Create(y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator -(Lanes x, Vector256<double> y) => new(x.A - y, x.B - y, x.C - y, x.D - y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator -(Lanes x, double y) => x - Vector256.Create(y);

    /// <summary>x · y + sum, of x and y with no more digits than float32 has. Their product is exact, so that fused or not, only the addition rounds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes AddProduct(Lanes x, Lanes y, Lanes sum) =>
        new(AddProduct(x.A, y.A, sum.A), AddProduct(x.B, y.B, sum.B), AddProduct(x.C, y.C, sum.C), AddProduct(x.D, y.D, sum.D));

    /// <inheritdoc cref="AddProduct(Lanes, Lanes, Lanes)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> AddProduct(Vector512<double> x, Vector512<double> y, Vector512<double> sum) =>
        Avx512F.IsSupported ? Avx512F.FusedMultiplyAdd(x, y, sum) : (x * y) + sum;

    /// <inheritdoc cref="AddProduct(Lanes, Lanes, Lanes)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> AddProduct(Vector256<double> x, Vector256<double> y, Vector256<double> sum) => Fma.IsSupported ? Fma.MultiplyAdd(x, y, sum) : (x * y) + sum;

    /// <summary>What rounding <paramref name="product"/> lost of x · y. It is exact, so the same with a fused instruction as without.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Loss(Lanes x, Lanes y, Lanes product) =>
        new(Loss(x.A, y.A, product.A), Loss(x.B, y.B, product.B), Loss(x.C, y.C, product.C), Loss(x.D, y.D, product.D));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Tally(Vector256<double> x, Vector256<double> y) => (x.AsInt64() + y.AsInt64()).AsDouble();

    /// <inheritdoc cref="Loss(Lanes, Lanes, Lanes)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Loss(Vector512<double> x, Vector512<double> y, Vector512<double> product) => Avx512F.IsSupported
        ? Avx512F.FusedMultiplySubtract(x, y, product)
        : Vector512.Create(Loss(x.GetLower(), y.GetLower(), product.GetLower()), Loss(x.GetUpper(), y.GetUpper(), product.GetUpper()));

    /// <inheritdoc cref="Loss(Lanes, Lanes, Lanes)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Loss(Vector256<double> x, Vector256<double> y, Vector256<double> product) =>
        Fma.IsSupported ? Fma.MultiplySubtract(x, y, product) : LossOneByOne(x, y, product);

    /// <summary><see cref="Loss(Vector256{double}, Vector256{double}, Vector256{double})"/> on a machine without a fused instruction for vectors.</summary>
    public static Vector256<double> LossOneByOne(Vector256<double> x, Vector256<double> y, Vector256<double> product)
    {
        var loss = product;
        for (var i = 0; i < Vector256<double>.Count; i++)
            loss = loss.WithElement(i, Math.FusedMultiplyAdd(x.GetElement(i), y.GetElement(i), -product.GetElement(i)));
        return loss;
    }

    // Sixteen lanes of all ones, then sixteen of zeros: the address says how many are kept.
    private static ReadOnlySpan<long> Masks =>
    [
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
}
