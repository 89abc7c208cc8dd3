using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Where tensors lie, and those that are made for results.</summary>
public sealed unsafe class TensorMemoryTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Start_OfAnyStrides_IsItsFirstValue()
    {
        var whole = arange(24, ScalarType.Float32).reshape(2, 3, 4);
        foreach (var part in (Tensor[])[whole, whole[1], whole.narrow(1, 1, 2), whole.transpose(0, 2), whole.slice(2, 1, 4, 2), whole[1, 2, 3], whole[1, 2, 3].expand(5)])
            (*(float*)TensorMemory.Start(part)).Should().Be(part.flatten()[0].item<float>());
    }

    /// <summary>Larger than a span can be; nothing is written, so it takes no memory.</summary>
    [Theory]
    [InlineData(1L << 31, ScalarType.Int8)]
    [InlineData(1L << 28, ScalarType.Float64)]
    public void Start_OfALargeTensor_IsItsFirstValue(long size, ScalarType dtype)
    {
        var large = empty(size, dtype);
        (TensorMemory.Start(large) == TensorMemory.Start(large.narrow(0, 0, 1))).Should().BeTrue();
    }

    [Fact]
    public void Like_OfAnyStrides_IsContiguousOfItsShapeAndDtype()
    {
        foreach (var dtype in Layers.Dtypes)
        {
            foreach (var tensor in (Tensor[])[zeros([2, 3], dtype), zeros([3, 2], dtype).transpose(0, 1), zeros([1, 3], dtype).expand(2, 3)])
            {
                var like = TensorMemory.Like(tensor);
                like.shape.Should().Equal(2, 3);
                (like.dtype, like.is_contiguous()).Should().Be((dtype, true));
                (TensorMemory.Start(like) == TensorMemory.Start(tensor)).Should().BeFalse();
            }
        }
        var made = TensorMemory.New([4, 5], ScalarType.Float64);
        made.shape.Should().Equal(4, 5);
        made.dtype.Should().Be(ScalarType.Float64);
    }

    [Fact]
    public void New_BeyondMemory_SaysWhatDoesNotFit()
    {
        var huge = zeros(1).expand(1L << 50);
        foreach (var make in (Action[])[() => TensorMemory.Like(huge), () => TensorMemory.New([1L << 50], ScalarType.Float32)])
            make.Should().Throw<InsufficientMemoryException>().WithMessage("*size [1125899906842624], dtype Float32*Pass the batch in parts.");
    }

    [Theory]
    [InlineData(0, 512, 4096, false, Destination.Memory)]
    [InlineData(0, 512, 4095, false, Destination.Caches)] // they might keep it
    [InlineData(0, 512, 1536, true, Destination.Memory)] // much else passes through them before it is read
    [InlineData(0, 512, 1535, true, Destination.Caches)]
    [InlineData(32, 512, 4096, true, Destination.Caches)]
    [InlineData(0, 520, 4096, true, Destination.Caches)] // rows that begin amid a line
    [InlineData(0, 500, 500, false, Destination.Caches)]
    [InlineData(0, 500, 499, true, Destination.NearCaches)]
    public void DestinationOf_AResult_IsWhereItFits(int start, long length, long rows, bool isTraining, object expected) =>
        TensorMemory.DestinationOf((byte*)start, length * sizeof(float), rows, isTraining).Should().Be((Destination)expected);
}
