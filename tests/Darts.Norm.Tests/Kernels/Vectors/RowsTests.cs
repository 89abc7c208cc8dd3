using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Rows of strided tensors: their values, where their memory ends, and which lie side by side.</summary>
public sealed unsafe class RowsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    private static readonly Dictionary<string, (Func<Tensor> make, long length)> Cases = new()
    {
        ["contiguous"] = (() => Numbers(2, 3, 4), 4),
        ["contiguous, of two axes"] = (() => Numbers(2, 3, 4), 12),
        ["every second"] = (() => Numbers(6, 8).slice(0, 0, 6, 2), 8),
        ["a part of an inner axis"] = (() => Numbers(4, 6, 8).narrow(1, 1, 3), 8),
        ["a part of the rows' values"] = (() => Numbers(2, 3, 4, 8).narrow(-1, 2, 4), 4),
        ["axes of size 1"] = (() => Numbers(2, 3, 4).narrow(1, 2, 1), 4),
        ["rows of one value"] = (() => Numbers(5, 3).narrow(1, 1, 1), 1),
        ["repeated"] = (() => Numbers(1, 4).expand(3, 4), 4),
        ["outer axes swapped"] = (() => Numbers(2, 3, 4).transpose(0, 1), 4),
        ["swapped within the rows"] = (() => Numbers(2, 3, 4).transpose(0, 1), 8),
        ["last axes swapped"] = (() => Numbers(3, 4).transpose(0, 1), 3),
        ["last axes swapped, and repeated"] = (() => Numbers(4, 3).transpose(0, 1).unsqueeze(0).expand(5, 3, 4), 4),
        ["repeated within the rows"] = (() => Numbers(2, 1, 4).expand(2, 3, 4), 12),
        ["every second value"] = (() => Numbers(16).slice(0, 1, 16, 2), 8),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Rows_OfAnyStrides_HoldTheTensorsValues(string name)
    {
        foreach (var dtype in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            var (make, length) = Cases[name];
            var tensor = dtype == ScalarType.Float32 ? make() : InDtype(make(), ScalarType.Float64);
            var expected = tensor.reshape(-1, length);
            var rows = new Rows(ref tensor, length);
            (rows.Count, rows.Length).Should().Be((expected.size(0), length));
            for (var row = 0L; row < rows.Count; row++)
            {
                for (var i = 0L; i < length; i++)
                    Read(rows[row], i, tensor.dtype).Should().Be(expected[row, i].to(ScalarType.Float64).item<double>(), "row {0}, value {1}", row, i);
            }
            var last = tensor.shape.Zip(tensor.stride(), (size, stride) => (size - 1) * stride).Sum();
            ((long)(rows.End - rows[0])).Should().Be((last + 1) * tensor.element_size(), "the memory ends with the last value");
        }
    }

    /// <summary>Those of half precision are widened, and nothing is written beyond the room for them.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Read_OfAnyDtypeAndStrides_GivesTheTensorsValues(string name)
    {
        const int Guard = 5, Together = 2;
        var values = stackalloc byte*[Together];
        foreach (var dtype in new[] { ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32 })
        {
            var (make, length) = Cases[name];
            var tensor = InDtype(make(), dtype);
            var expected = tensor.to(ScalarType.Float32).reshape(-1, length);
            var rows = new Rows(ref tensor, length);
            (rows.IsHalf, rows.Half).Should().Be(dtype == ScalarType.Float32 ? (false, default) : (true, dtype));
            for (var first = 0L; first < rows.Count; first++)
            {
                var count = (int)Math.Min(Together, rows.Count - first);
                var room = new float[(count * length) + Lanes.Count + Guard];
                fixed (float* widened = room)
                {
                    var end = rows.Read(first, count, values, widened);
                    for (var i = 0L; i < count * length; i++)
                        ((float*)values[i / length])[i % length].Should().Be(expected[first + (i / length), i % length].item<float>());
                    ((nint)end).Should().Be(rows.IsHalf ? (nint)(widened + (count * length) + Lanes.Count) : (nint)rows.End);
                }
                room[^(Lanes.Count + Guard)..].Should().OnlyContain(value => value == 0);
            }
        }
    }

    [Fact]
    public void Rows_ThatHaveToBePacked_GoOnRepeatingWhatIsRepeated()
    {
        var tensor = Cases["last axes swapped, and repeated"].make();
        _ = new Rows(ref tensor, 4);
        tensor.stride().Should().Equal(0, 4, 1);
        var plain = Numbers(2, 3, 4).transpose(0, 1);
        var same = plain;
        _ = new Rows(ref same, 4);
        same.Should().BeSameAs(plain, "its rows are side by side");
    }

    [Theory]
    [InlineData("every second", 1, true)]
    [InlineData("every second", 3, false)]
    [InlineData("contiguous", 6, true)]
    [InlineData("repeated", 3, false)]
    [InlineData("a part of an inner axis", 3, true)]
    [InlineData("a part of an inner axis", 2, false)]
    [InlineData("a part of an inner axis", 6, false)]
    [InlineData("a part of the rows' values", 4, false)]
    [InlineData("outer axes swapped", 2, false)]
    public void LieTogether_OfStridedRows_IsWhetherTheyFollowInMemory(string name, long count, bool expected)
    {
        var (make, length) = Cases[name];
        var tensor = make();
        new Rows(ref tensor, length).LieTogether(count).Should().Be(expected);
    }

    private static double Read(byte* row, long i, ScalarType dtype) => dtype == ScalarType.Float64 ? ((double*)row)[i] : ((float*)row)[i];

    private static Tensor Numbers(params long[] shape) => arange(shape.Aggregate(1L, (product, size) => product * size), ScalarType.Float32).reshape(shape);

    /// <summary>In another dtype, with the same strides, which a conversion would not keep.</summary>
    private static Tensor InDtype(Tensor tensor, ScalarType dtype)
    {
        long[] all = [tensor.shape.Zip(tensor.stride(), (size, stride) => (size - 1) * stride).Sum() + 1];
        return tensor.as_strided(all, [1L], tensor.storage_offset()).to(dtype).as_strided(tensor.shape, tensor.stride());
    }
}
