using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Float64 values beside tensors.</summary>
public sealed unsafe class Float64BufferTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<ScalarType, long> DtypesAndLengths => Combinations.Of(Layers.Dtypes, (long[])[1, 15, 16, 17, 32, 35]);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 16)]
    [InlineData(48, 48)]
    public void New_OfALength_IsInWholeGroupsAligned(long length, long expected)
    {
        using var doubles = new Float64Buffer(length);
        doubles.Length.Should().Be(expected);
        ((long)doubles.At % 64).Should().Be(0);
        new Span<double>(doubles.At, (int)expected).Fill(3);
    }

    [Theory]
    [MemberData(nameof(DtypesAndLengths))]
    public void Of_ATensor_HoldsItsValuesThenZerosAndWritesThemBack(ScalarType dtype, long length)
    {
        var tensor = Layers.Values([length, 2], dtype).narrow(1, 1, 1).squeeze(1); // every second value
        using var doubles = Float64Buffer.Of(tensor, length);
        doubles.Length.Should().Be(Lanes.Padded(length));
        new Span<double>(doubles.At, (int)doubles.Length).ToArray().Should().Equal([.. tensor.Doubles(), .. Enumerable.Repeat(0d, (int)(doubles.Length - length))]);

        var to = full(length + 1, 9, dtype);
        Float64Buffer.Write(doubles.At, to.narrow(0, 0, length));
        Layers.SameBits(to.narrow(0, 0, length), tensor).Should().BeTrue();
        to.Doubles()[^1].Should().Be(9, "what lies behind stays");
    }

    [Fact]
    public void Of_Nothing_IsNull()
    {
        using var none = Float64Buffer.Of(null, 5);
        (none.At == null).Should().BeTrue();
    }

    [Fact]
    public void AreFinite_WithOneThatIsNot_IsFalseWhereverItIs()
    {
        using var doubles = new Float64Buffer(32);
        for (var hurt = -1; hurt < 32; hurt++)
        {
            for (var i = 0; i < 32; i++)
                doubles.At[i] = i != hurt ? i : i % 2 == 0 ? double.NaN : double.NegativeInfinity;
            doubles.AreFinite().Should().Be(hurt < 0);
        }
    }

    [Fact]
    public void Padded_OfRunningSums_HasRoomForWhatFloat64Loses() =>
        (Float64Buffer.Padded<Float32>(17), Float64Buffer.Padded<Float64>(17), Float64Buffer.Padded<WithGaps<Float32>>(16)).Should().Be((32, 64, 16));
}
