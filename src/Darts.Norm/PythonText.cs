using System.Globalization;

namespace Darts.Norm;

/// <summary>Numbers and tuples as Python prints them.</summary>
internal static class PythonText
{
    /// <summary>Python's <c>repr(float)</c>: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e16.</summary>
    public static string Float(double value)
    {
        if (!double.IsFinite(value))
            return double.IsNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        var sign = double.IsNegative(value) ? "-" : "";
        if (value == 0)
            return sign + "0.0";

        var parts = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture).Split('E');
        var whole = parts[0].Split('.')[0];
        var all = parts[0].Replace(".", "", StringComparison.Ordinal);
        var leadingZeros = all.Length - all.TrimStart('0').Length;
        var digits = all.Trim('0');
        var exponent = whole.Length - 1 - leadingZeros + (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);

        if (exponent is < -4 or >= 16)
            return $"{sign}{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        if (exponent < 0)
            return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        var padded = digits.PadRight(exponent + 2, '0');
        return $"{sign}{padded[..(exponent + 1)]}.{padded[(exponent + 1)..]}";
    }

    /// <summary>Python's <c>repr(tuple)</c>: one element keeps its comma.</summary>
    public static string Tuple(ReadOnlySpan<long> values) =>
        values.Length == 1 ? $"({values[0]},)" : $"({string.Join(", ", values.ToArray())})";

    /// <summary>Python's <c>repr(list)</c> of plain words.</summary>
    public static string List(IEnumerable<string> words) => $"[{string.Join(", ", words.Select(word => $"'{word}'"))}]";

    /// <summary>PyTorch's text of a tensor's shape.</summary>
    public static string TorchSize(Tensor tensor) => $"torch.Size([{string.Join(", ", tensor.shape)}])";

    /// <summary>Python's <c>type(module).__name__</c>: without the number of .NET's type parameters.</summary>
    public static string ClassName(nn.Module module) => module.GetType().Name.Split('`')[0];

    /// <summary>PyTorch's name of a dtype, <c>torch.float32</c> say.</summary>
    public static string Dtype(ScalarType dtype) => "torch." + dtype switch
    {
        ScalarType.Byte => "uint8",
        ScalarType.ComplexFloat32 => "complex64",
        ScalarType.ComplexFloat64 => "complex128",
        _ => dtype.ToString().ToLowerInvariant(),
    };

    /// <summary>PyTorch's <c>tensor.type()</c>, <c>torch.FloatTensor</c> say.</summary>
    public static string TensorType(Tensor tensor) => (tensor.device_type == DeviceType.CUDA ? "torch.cuda." : "torch.") + tensor.dtype switch
    {
        ScalarType.Int8 => "Char",
        ScalarType.Int16 => "Short",
        ScalarType.Int32 => "Int",
        ScalarType.Int64 => "Long",
        ScalarType.Float16 => "Half",
        ScalarType.Float32 => "Float",
        ScalarType.Float64 => "Double",
        ScalarType.ComplexFloat32 => "ComplexFloat",
        ScalarType.ComplexFloat64 => "ComplexDouble",
        var other => $"{other}",
    } + "Tensor";

    /// <summary>Python's <c>repr(bool)</c>.</summary>
    public static string Bool(bool value) => value ? "True" : "False";
}
