using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Thirty-two float32 values at a time.</summary>
public sealed class Float32x32Tests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 32)]
    [InlineData(32, 32)]
    [InlineData(33, 64)]
    public void Padded_OfALength_IsTheNextWholeGroup(long length, long expected) => Float32x32.Padded(length).Should().Be(expected);
}
