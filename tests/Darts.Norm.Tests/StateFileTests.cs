using System.Text;

namespace Darts.Norm.Tests;

/// <summary>Damaged and hostile weights: a clear error, no memory for what is not there, the layer as it was.</summary>
[Collection(nameof(Alone))]
public sealed class StateFileTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly LayerNorm _layer = (LayerNorm)Layers.All["LayerNorm"].New();
    private readonly string _path = Path.GetTempFileName();

    /// <summary>Bytes that are no weights, the exception and what its text says.</summary>
    private static readonly Dictionary<string, (Action<BinaryWriter> write, Type exception, string says)> Hostile = new()
    {
        ["nothing"] = (_ => { }, typeof(EndOfStreamException), "number of entries"),
        ["fewer entries than said"] = (w => { w.Write7BitEncodedInt64(3); Entry(w, "weight"); Entry(w, "bias"); }, typeof(EndOfStreamException), "entry 3 of 3"),
        ["a gigantic number of entries"] = (w => { w.Write7BitEncodedInt64(long.MaxValue); Entry(w, "weight"); }, typeof(EndOfStreamException), "entry 2 of"),
        ["a negative number of entries"] = (w => w.Write7BitEncodedInt64(-1), typeof(InvalidDataException), "the number of entries from 0"),
        ["a number without end"] = (w => w.Write(Enumerable.Repeat((byte)0xFF, 20).ToArray()), typeof(InvalidDataException), "number of entries as a number"),
        ["a key twice"] = (w => { w.Write7BitEncodedInt64(2); Entry(w, "weight"); Entry(w, "weight"); }, typeof(InvalidDataException), "'weight' is there twice"),
        ["a key of 2 GB"] = (w => { w.Write7BitEncodedInt64(1); w.Write7BitEncodedInt64(int.MaxValue); }, typeof(InvalidDataException), "keys of at most"),
        ["a key longer than the file"] = (w => { w.Write7BitEncodedInt64(1); w.Write7BitEncodedInt64(60_000); w.Write((byte)'w'); }, typeof(EndOfStreamException), "the key of entry 1 of 1"),
        ["a key of negative length"] = (w => { w.Write7BitEncodedInt64(1); w.Write7BitEncodedInt64(-6); }, typeof(InvalidDataException), "length of the key"),
        ["a key that is no text"] = (w => { w.Write7BitEncodedInt64(1); w.Write7BitEncodedInt64(2); w.Write((byte)0xC0); w.Write((byte)0xFF); }, typeof(InvalidDataException), "UTF-8"),
        ["no such dtype"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", dtype: 99); }, typeof(InvalidDataException), "'weight' has number 99"),
        ["a quantised dtype"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", dtype: 12); }, typeof(InvalidDataException), "'weight' has number 12"),
        ["a gigantic dtype"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", dtype: (1L << 32) + 6); }, typeof(InvalidDataException), "the dtype of entry 1"),
        ["a dtype that is Float32 in its last byte"] = (w => { w.Write7BitEncodedInt64(2); Entry(w, "weight", dtype: 256 + 6); Entry(w, "bias"); }, typeof(InvalidDataException), "the dtype of entry 1"),
        ["a gigantic rank"] = (w => { w.Write7BitEncodedInt64(1); w.Write("weight"); w.Write7BitEncodedInt64(6); w.Write7BitEncodedInt64(1L << 40); }, typeof(InvalidDataException), "at most 64 dimensions"),
        ["a negative rank"] = (w => { w.Write7BitEncodedInt64(1); w.Write("weight"); w.Write7BitEncodedInt64(6); w.Write7BitEncodedInt64(-1); }, typeof(InvalidDataException), "number of dimensions"),
        ["a negative size"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", shape: [-4]); }, typeof(InvalidDataException), "the sizes of entry 1"),
        ["two negative sizes"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", shape: [-2, -2]); }, typeof(InvalidDataException), "the sizes of entry 1"),
        ["a size of terabytes"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", shape: [1L << 42]); }, typeof(EndOfStreamException), "bytes of entry 1 of 1, 'weight'"),
        ["sizes whose product overflows"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", shape: [1L << 32, 1L << 32]); }, typeof(InvalidDataException), "fit in memory"),
        ["sizes whose product overflows to 4"] = (w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", shape: [(1L << 62) + 1, 4]); }, typeof(InvalidDataException), "fit in memory"),
        ["another size than the layer's"] = (w => { w.Write7BitEncodedInt64(2); Entry(w, "weight", shape: [2, 2]); Entry(w, "bias"); }, typeof(InvalidOperationException), "size mismatch for weight"),
        ["no values"] = (w => { w.Write7BitEncodedInt64(2); Entry(w, "weight", shape: [0, 1L << 40]); Entry(w, "bias"); }, typeof(InvalidOperationException), "size mismatch for weight"),
        ["complex values"] = (w => { w.Write7BitEncodedInt64(2); Entry(w, "weight", dtype: 9, values: 32); Entry(w, "bias"); }, typeof(InvalidOperationException), "dtype mismatch for weight"),
        ["text"] = (w => w.Write(Encoding.UTF8.GetBytes("{ \"weight\": [1, 2, 3, 4] }")), typeof(EndOfStreamException), "save it again"),
    };

    public static TheoryData<string> HostileNames => [.. Hostile.Keys];

    public void Dispose()
    {
        _scope.Dispose();
        _layer.Dispose();
        File.Delete(_path);
    }

    [Theory]
    [MemberData(nameof(HostileNames))]
    public void Load_HostileBytes_IsAClearErrorAndLeavesTheLayer(string name)
    {
        var (write, exception, says) = Hostile[name];
        Refused(Written(write), exception).Should().AllSatisfy(text => text.Should().Contain(says).And.NotContain("frame #"));
    }

    [Fact]
    public void Load_FileCutShortAnywhere_IsAClearErrorAndLeavesTheLayer()
    {
        var bytes = Saved();
        for (var length = 0; length < bytes.Length; length++)
            Refused(bytes[..length], typeof(EndOfStreamException)).Should().AllSatisfy(text => text.Should().StartWith("Weights must be whole, but they end before"));
        _layer.load(new MemoryStream(bytes));
        Same(_layer, new LayerNorm(4)).Should().BeTrue("a failed load leaves the layer loadable");
    }

    [Fact]
    public void Load_AnyByteChanged_LoadsOrIsAClearErrorAndLeavesTheLayer()
    {
        var bytes = Saved();
        for (var at = 0; at < bytes.Length; at++)
        {
            foreach (var changed in (byte[])[0, 1, 0x7F, 0x80, 0xFF, (byte)(bytes[at] ^ 1)])
            {
                var damaged = (byte[])bytes.Clone();
                damaged[at] = changed;
                var layer = (LayerNorm)Layers.All["LayerNorm"].New();
                try
                {
                    layer.load(new MemoryStream(damaged));
                }
                catch (Exception error) when (error is InvalidDataException or EndOfStreamException or InvalidOperationException)
                {
                    Same(layer, _layer).Should().BeTrue();
                }
            }
        }
    }

    [Fact]
    public void Load_BytesAfterTheWeights_AreAnErrorInAFileAndStayUnreadInAStream()
    {
        var saved = new LayerNorm(4);
        var bytes = Saved();
        File.WriteAllBytes(_path, [.. bytes, 7]);
        _layer.Invoking(l => l.load(_path)).Should().Throw<InvalidDataException>().WithMessage("*must end with its last entry*");
        Same(_layer, (LayerNorm)Layers.All["LayerNorm"].New()).Should().BeTrue();
        var stream = new MemoryStream([.. bytes, 7]);
        _layer.load(new BinaryReader(stream));
        stream.ReadByte().Should().Be(7);
        Same(_layer, saved).Should().BeTrue();
    }

    [Fact]
    public void Load_WholeFile_FromAnySource_HasItsValues()
    {
        var saved = new LayerNorm(300_000);
        nn.init.normal_(saved.weight);
        saved.save(_path);
        foreach (var load in (Action<LayerNorm>[])[l => l.load(_path), l => l.load(new BinaryReader(new Drip(File.ReadAllBytes(_path)))), l => l.load(new MemoryStream(File.ReadAllBytes(_path)))])
        {
            var layer = new LayerNorm(300_000);
            load(layer);
            Same(layer, saved).Should().BeTrue();
        }
    }

    [Fact]
    public void Read_EveryDtypeOfAWeight_HasItsValues()
    {
        foreach (var dtype in Enum.GetValues<ScalarType>().Where(dtype => dtype is <= ScalarType.BFloat16 and not (ScalarType)8 && dtype.ToString().All(char.IsLetterOrDigit)))
        {
            if (dtype.ToString().StartsWith('Q') || dtype.ToString() == "ComplexFloat16")
                continue;
            var values = arange(6).reshape(2, 3).to(dtype);
            var stream = new MemoryStream();
            nn.Module.save_state_dict(new BinaryWriter(stream), new Dictionary<string, Tensor> { ["a"] = values, ["b"] = ones(1) });
            stream.Position = 0;
            var read = StateFile.Read(new BinaryReader(stream));
            (read["a"].dtype, read.Keys.Count, stream.Position).Should().Be((dtype, 2, stream.Length));
            read["a"].Equals(values).Should().BeTrue("{0}", dtype);
        }
    }

    [Fact]
    public void Load_StreamThatPromisesMore_IsAClearError()
    {
        var bytes = Saved();
        _layer.Invoking(l => l.load(new BinaryReader(new Promising(bytes[..^1])))).Should().Throw<EndOfStreamException>().WithMessage("Weights must be whole, but they end before the values of entry 2 of 2, 'bias'.*");
        Same(_layer, (LayerNorm)Layers.All["LayerNorm"].New()).Should().BeTrue();
    }

    [Theory]
    [InlineData("PK\u0003\u0004\0\0\b\b\0\0\0\0\0\0\0\0\0\0network/data.pkl")]
    [InlineData("@\0\0\0\0\0\0\0{\"g\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}        \0\0\0\0")]
    public void Load_AFileOfPyTorchsOrSafetensors_SaysWhereItsWeightsAreExported(string content)
    {
        File.WriteAllText(_path, content);
        _layer.Invoking(l => l.load(_path)).Should().Throw<Exception>().WithMessage("*.pt and .safetensors*export*docs/loading.md*");
    }

    [Fact]
    public void Load_NoSuchFile_IsDotNetsError()
    {
        _layer.Invoking(l => l.load(_path + ".none")).Should().Throw<FileNotFoundException>();
        foreach (var read in (Action[])[() => _layer.load(Path.GetTempPath()), () => StateFile.Read(Path.GetTempPath())])
            read.Should().Throw<IOException>().WithMessage($"*must be in a file*'{Path.GetTempPath()}' is a folder*Name the file*").WithInnerException<UnauthorizedAccessException>();
        FluentActions.Invoking(() => StateFile.Read((BinaryReader)null!)).Should().Throw<ArgumentNullException>().WithParameterName("reader");
        FluentActions.Invoking(() => StateFile.Read((string)null!)).Should().Throw<ArgumentNullException>().WithParameterName("location");
        _layer.Invoking(l => l.load((string)null!)).Should().Throw<ArgumentNullException>().WithParameterName("location");
        _layer.Invoking(l => l.load((BinaryReader)null!)).Should().Throw<ArgumentNullException>().WithParameterName("reader");
        _layer.Dispose();
        _layer.Invoking(l => l.load(_path + ".none")).Should().Throw<ObjectDisposedException>();
        _layer.Invoking(l => l.load((BinaryReader)null!)).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public void Read_LongestKeyAndMostDimensions_AreRead()
    {
        var key = new string('k', 1 << 16);
        var bytes = Written(w => { w.Write7BitEncodedInt64(1); Entry(w, key, shape: [.. Enumerable.Repeat(1L, 64)], values: 4); });
        StateFile.Read(new BinaryReader(new MemoryStream(bytes)))[key].dim().Should().Be(64);
        foreach (var (longer, rank) in new[] { (key + "k", 64), (key, 65) })
        {
            bytes = Written(w => { w.Write7BitEncodedInt64(1); Entry(w, longer, shape: [.. Enumerable.Repeat(1L, rank)], values: 4); });
            FluentActions.Invoking(() => StateFile.Read(new BinaryReader(new MemoryStream(bytes)))).Should().Throw<InvalidDataException>().WithMessage("*at most 6*");
        }
    }

    [Fact]
    public void Read_ValuesCutShort_SaysHowManyThereAre() =>
        FluentActions.Invoking(() => StateFile.Read(new BinaryReader(new MemoryStream(Saved()[..^1])))).Should().Throw<EndOfStreamException>()
            .WithMessage("Weights must be whole, but they end before the 16 bytes of entry 2 of 2, 'bias', of which there are 15. *");

    [Fact]
    public void Read_ThatFailsLate_LeavesNoTensor()
    {
        var bytes = Saved();
        File.WriteAllBytes(_path, [.. bytes, 0]);
        Alone.TensorsLeft(() =>
        {
            FluentActions.Invoking(() => StateFile.Read(_path)).Should().Throw<InvalidDataException>();
            FluentActions.Invoking(() => StateFile.Read(new BinaryReader(new MemoryStream(bytes[..^1])))).Should().Throw<EndOfStreamException>();
            FluentActions.Invoking(() => StateFile.Read(new BinaryReader(new Promising(bytes[..^1])))).Should().Throw<EndOfStreamException>();
        }).Should().Be(0);
    }

    [Fact]
    public void Read_SizesBeyondMemoryInAStreamThatPromisesThem_IsAClearError()
    {
        var bytes = Written(w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", shape: [1L << 60]); });
        FluentActions.Invoking(() => StateFile.Read(new BinaryReader(new Promising(bytes, long.MaxValue - bytes.Length)))).Should().Throw<InvalidDataException>()
            .WithMessage("Weights must fit in memory, but entry 1 of 1, 'weight' is said to have size *1152921504606846976]. *");
    }

    [Fact]
    public void Load_SizesBeyondTheFile_TakesNoMemory()
    {
        var bytes = Written(w => { w.Write7BitEncodedInt64(1); Entry(w, "weight", shape: [1L << 32]); });
        _layer.Invoking(l => l.load(new MemoryStream(bytes))).Should().Throw<EndOfStreamException>();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Alone.TensorsLeft(() =>
        {
            _layer.Invoking(l => l.load(new MemoryStream(bytes))).Should().Throw<EndOfStreamException>();
            _layer.Invoking(l => l.load(new BinaryReader(new Drip(bytes)))).Should().Throw<EndOfStreamException>();
        }).Should().Be(0);
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThan(4 << 20, "a chunk of the stream that cannot say its length, and the errors");
    }

    /// <summary>The texts that the bytes get from a file, a stream, and a stream that cannot say its length.</summary>
    private List<string> Refused(byte[] bytes, Type exception)
    {
        File.WriteAllBytes(_path, bytes);
        var before = (LayerNorm)Layers.All["LayerNorm"].New();
        return [.. new Action[] { () => _layer.load(_path), () => _layer.load(new MemoryStream(bytes)), () => _layer.load(new BinaryReader(new Drip(bytes))) }.Select(load =>
        {
            var thrown = load.Should().Throw<Exception>().Which;
            thrown.Should().BeOfType(exception);
            Same(_layer, before).Should().BeTrue();
            return thrown.Message;
        })];
    }

    private static bool Same(LayerNorm a, LayerNorm b) => Layers.SameBits(a.weight!, b.weight!) && Layers.SameBits(a.bias!, b.bias!);

    private static byte[] Saved()
    {
        var stream = new MemoryStream();
        new LayerNorm(4).save(stream);
        return stream.ToArray();
    }

    private static byte[] Written(Action<BinaryWriter> write)
    {
        var stream = new MemoryStream();
        write(new BinaryWriter(stream));
        return stream.ToArray();
    }

    private static void Entry(BinaryWriter writer, string key, long dtype = 6, long[]? shape = null, int values = 16)
    {
        writer.Write(key);
        writer.Write7BitEncodedInt64(dtype);
        shape ??= [4];
        writer.Write7BitEncodedInt64(shape.Length);
        foreach (var size in shape)
            writer.Write7BitEncodedInt64(size);
        writer.Write(new byte[shape.Contains(0) ? 0 : values]);
    }

    /// <summary>A stream that says it holds more than it gives.</summary>
    private sealed class Promising(byte[] bytes, long more = 1000) : MemoryStream(bytes)
    {
        public override long Length => base.Length + more;
    }

    /// <summary>A stream that cannot say its length and gives a few bytes at a time.</summary>
    private sealed class Drip(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, 5000));

        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, 5000)]);
    }
}
