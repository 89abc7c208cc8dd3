using System.Runtime.InteropServices;
using System.Text;
using Darts.Norm.Kernels;

namespace Darts.Norm;

/// <summary>Reads the form that <c>Module.save</c> writes: a number of entries, then of each the key, dtype, sizes and values.</summary>
/// <remarks>
/// Whatever the bytes say, no more memory is taken than there are bytes to fill it, and what cannot have been saved is an error:
/// <see cref="EndOfStreamException"/> where they end too early, <see cref="InvalidDataException"/> for all else.
/// <example>
/// <code>
/// var tensors = StateFile.Read("weights.dat");
/// </code>
/// </example>
/// </remarks>
public static unsafe class StateFile
{
    private const int LongestKey = 1 << 16;
    private const int MostDimensions = 64; // libtorch's own limit
    private const int Chunk = 1 << 20;

    private const string Advice = "The file is damaged, or of another form than save's, as .pt and .safetensors are: save it again with save, copy it again, or export it as docs/loading.md says.";

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads the entries, and leaves what follows them unread.</summary>
    /// <param name="reader">Where to read from.</param>
    /// <returns>The tensors by key; they belong to the caller's scope.</returns>
    /// <exception cref="EndOfStreamException">The bytes end within an entry.</exception>
    /// <exception cref="InvalidDataException">The bytes are no entries.</exception>
    public static Dictionary<string, Tensor> Read(BinaryReader reader)
    {
        Require.NotNull(reader, "a reader of the file", caller: "StateFile.Read");
        var tensors = new Dictionary<string, Tensor>();
        try
        {
            var count = Number(reader, "the number of entries");
            for (long entry = 1; entry <= count; entry++)
            {
                var key = Key(reader, $"the key of entry {entry} of {count}");
                if (tensors.ContainsKey(key))
                    throw new InvalidDataException($"Weights must name each key once, but '{key}' is there twice. {Advice}");
                tensors.Add(key, Values(reader, $"entry {entry} of {count}, '{key}'"));
            }
            return tensors;
        }
        catch
        {
            foreach (var tensor in tensors.Values)
                tensor.Dispose();
            throw;
        }
    }

    /// <summary>Reads a file, in which nothing may follow the entries.</summary>
    /// <param name="location">Its path.</param>
    /// <returns>The tensors by key; they belong to the caller's scope.</returns>
    /// <exception cref="IOException">The file cannot be read, or ends within an entry.</exception>
    /// <exception cref="InvalidDataException">The file holds no entries, or more than them.</exception>
    public static Dictionary<string, Tensor> Read(string location)
    {
        Require.NotNull(location, "the path of a file", caller: "StateFile.Read");
        using var reader = new BinaryReader(Opened(location));
        var tensors = Read(reader);
        if (reader.BaseStream.ReadByte() < 0)
            return tensors;
        foreach (var tensor in tensors.Values)
            tensor.Dispose();
        throw new InvalidDataException($"A file of weights must end with its last entry, but more bytes follow. {Advice}");
    }

    private static FileStream Opened(string location)
    {
        try
        {
            return File.OpenRead(location);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new IOException($"Weights must be in a file that may be read, but '{location}' is a folder, or not to be read by this user. Name the file, or change its permissions.", error);
        }
    }

    private static string Key(BinaryReader reader, string what)
    {
        var length = Number(reader, $"the length of {what}");
        if (length > LongestKey)
            throw new InvalidDataException($"Weights must have keys of at most {LongestKey} bytes, but {what} is said to have {length}. {Advice}");
        var bytes = reader.ReadBytes((int)length);
        if (bytes.Length < length)
            throw Ended(what);
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException error)
        {
            throw new InvalidDataException($"Weights must have keys in UTF-8, but {what} is not. {Advice}", error);
        }
    }

    private static Tensor Values(BinaryReader reader, string what)
    {
        var dtype = (ScalarType)Number(reader, $"the dtype of {what}", sbyte.MaxValue); // a ScalarType holds no more
        var size = Size(dtype);
        if (size == 0)
            throw new InvalidDataException($"Weights must have a dtype that TorchSharp knows, but {what} has number {(int)dtype}. {Advice}");
        var dimensions = Number(reader, $"the number of dimensions of {what}");
        if (dimensions > MostDimensions)
            throw new InvalidDataException($"Weights must have at most {MostDimensions} dimensions, but {what} is said to have {dimensions}. {Advice}");
        var shape = new long[dimensions];
        for (var axis = 0; axis < shape.Length; axis++)
            shape[axis] = Number(reader, $"the sizes of {what}");
        var bytes = Product(shape.Append(size));
        if (bytes is null)
            throw TooLarge(shape, what);
        return Filled(reader, shape, dtype, bytes.Value, what);
    }

    private static Tensor Filled(BinaryReader reader, long[] shape, ScalarType dtype, long bytes, string what)
    {
        var stream = reader.BaseStream;
        if (stream.CanSeek && stream.Length - stream.Position < bytes)
            throw Ended($"the {bytes} bytes of {what}, of which there are {stream.Length - stream.Position}");

        // A stream that does not know its length is read before memory is taken for the tensor.
        var chunks = stream.CanSeek ? null : Chunks(reader, bytes, what);
        var tensor = Empty(shape, dtype, what);
        try
        {
            var to = bytes == 0 ? null : TensorMemory.Start(tensor);
            for (long done = 0; done < bytes; done += Chunk)
            {
                var part = new Span<byte>(to + done, (int)Math.Min(Chunk, bytes - done));
                if (chunks is null)
                    Fill(reader, part, what);
                else
                    chunks[(int)(done / Chunk)].CopyTo(part);
            }
            GC.KeepAlive(tensor);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    private static Tensor Empty(long[] shape, ScalarType dtype, string what)
    {
        try
        {
            return empty(shape, dtype, CPU);
        }
        catch (ExternalException error)
        {
            throw TooLarge(shape, what, error);
        }
    }

    private static List<byte[]> Chunks(BinaryReader reader, long bytes, string what)
    {
        var chunks = new List<byte[]>();
        for (long done = 0; done < bytes; done += Chunk)
        {
            chunks.Add(reader.ReadBytes((int)Math.Min(Chunk, bytes - done)));
            if (chunks[^1].Length < Math.Min(Chunk, bytes - done))
                throw Ended($"the {bytes} bytes of {what}");
        }
        return chunks;
    }

    private static void Fill(BinaryReader reader, Span<byte> part, string what)
    {
        while (part.Length > 0)
        {
            var read = reader.Read(part);
            if (read == 0)
                throw Ended($"the values of {what}");
            part = part[read..];
        }
    }

    private static long Number(BinaryReader reader, string what, long most = long.MaxValue)
    {
        long number;
        try
        {
            number = reader.Read7BitEncodedInt64();
        }
        catch (EndOfStreamException)
        {
            throw Ended(what);
        }
        catch (FormatException error)
        {
            throw new InvalidDataException($"Weights must have {what} as a number, but its bytes are none. {Advice}", error);
        }
        return number >= 0 && number <= most
            ? number
            : throw new InvalidDataException($"Weights must have {what} from 0 to {most}, but it is {number}. {Advice}");
    }

    private static InvalidDataException TooLarge(long[] shape, string what, Exception? error = null) =>
        new($"Weights must fit in memory, but {what} is said to have size {Require.Size(shape)}. {Advice}", error);

    private static EndOfStreamException Ended(string what) => new($"Weights must be whole, but they end before {what}. {Advice}");

    /// <summary>The product of the factors; null where it overflows, even if another factor is 0.</summary>
    private static long? Product(IEnumerable<long> factors)
    {
        try
        {
            var values = factors.Where(factor => factor != 0).Aggregate(1L, (product, factor) => checked(product * factor)); // as strides are computed, where a size of 0 counts as 1
            return factors.Contains(0) ? 0 : values;
        }
        catch (OverflowException)
        {
            return null;
        }
    }

    /// <summary>The bytes of a value of this dtype; 0 where no weight has it.</summary>
    private static int Size(ScalarType dtype) => dtype switch
    {
        ScalarType.Bool or ScalarType.Byte or ScalarType.Int8 => 1,
        ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Int16 => 2,
        ScalarType.Float32 or ScalarType.Int32 => 4,
        ScalarType.Float64 or ScalarType.Int64 or ScalarType.ComplexFloat32 => 8,
        ScalarType.ComplexFloat64 => 16,
        _ => 0,
    };
}
