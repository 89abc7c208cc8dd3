namespace Darts.Norm.Tests;

/// <summary>A layer as every contract test gets it: how to make it, inputs that fit, and what PyTorch says of it.</summary>
public sealed record LayerCase(
    string Name, Func<Device?, ScalarType?, NormModule> Make, string Text, (string key, long[] shape)[] State, params long[][] Shapes)
{
    public IEnumerable<string> Keys => State.Select(entry => entry.key);

    /// <summary>The layer in this dtype, with parameters that are neither ones nor zeros.</summary>
    public NormModule New(ScalarType dtype = ScalarType.Float32, Device? device = null)
    {
        var layer = Make(device, dtype);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (parameter, i) in layer.parameters().Select((parameter, i) => (parameter, i)))
            parameter.copy_(Layers.Values(parameter.shape, dtype, start: 10 * (i + 1)).abs() + 0.5);
        return layer;
    }

    /// <summary>An input of the first shape that fits.</summary>
    public Tensor Input(ScalarType dtype = ScalarType.Float32) => Layers.Values(Shapes[0], dtype);

    public override string ToString() => Name;
}

/// <summary>The table of cases that feeds the tests of all four layers.</summary>
public static class Layers
{
    public static readonly ScalarType[] Dtypes = [ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64];

    private static readonly (string, long[])[] None = [];

    public static IReadOnlyDictionary<string, LayerCase> All { get; } = new LayerCase[]
    {
        new("RMSNorm", (device, dtype) => new RMSNorm(4, device: device, dtype: dtype), "RMSNorm()", [("g", [4])], [3, 4], [4], [1, 4], [2, 3, 4], [2, 1, 3, 4], [0, 4], [2, 0, 4]),
        new("RMSNorm of one feature", (device, dtype) => new RMSNorm(1, device: device, dtype: dtype), "RMSNorm()", [("g", [1])], [3, 1], [1]),
        new("LayerNorm", (device, dtype) => new LayerNorm(4, device: device, dtype: dtype), "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)", [("weight", [4]), ("bias", [4])], [3, 4], [4], [1, 4], [2, 3, 4], [2, 1, 3, 4], [0, 4], [2, 0, 4]),
        new("LayerNorm of one feature", (device, dtype) => new LayerNorm(1, device: device, dtype: dtype), "LayerNorm((1,), eps=1e-05, elementwise_affine=True, bias=True)", [("weight", [1]), ("bias", [1])], [3, 1], [1]),
        new("LayerNorm of two axes", (device, dtype) => new LayerNorm([3, 4], 1e-3, device: device, dtype: dtype), "LayerNorm((3, 4), eps=0.001, elementwise_affine=True, bias=True)", [("weight", [3, 4]), ("bias", [3, 4])], [2, 3, 4], [3, 4], [2, 2, 3, 4], [0, 3, 4]),
        new("LayerNorm without bias", (device, dtype) => new LayerNorm(4, bias: false, device: device, dtype: dtype), "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=False)", [("weight", [4])], [3, 4], [2, 3, 4], [0, 4]),
        new("LayerNorm not affine", (device, dtype) => new LayerNorm(4, elementwise_affine: false, device: device, dtype: dtype), "LayerNorm((4,), eps=1e-05, elementwise_affine=False, bias=False)", None, [3, 4], [2, 3, 4], [0, 4]),
        new("LayerNormNoBias", (device, dtype) => new LayerNormNoBias(4, device: device, dtype: dtype), "LayerNormNoBias((4,), eps=1e-05, elementwise_affine=False, bias=False)", None, [3, 4], [4], [2, 3, 4], [0, 4]),
        new("LayerNormNoBias of two axes", (device, dtype) => new LayerNormNoBias([2, 4], device: device, dtype: dtype), "LayerNormNoBias((2, 4), eps=1e-05, elementwise_affine=False, bias=False)", None, [3, 2, 4], [2, 4]),
        new("RINorm", (device, dtype) => new RINorm(4, device: device, dtype: dtype), "RINorm()", [("affine_weight", [4]), ("affine_bias", [4])], [2, 5, 4], [1, 1, 4], [2, 1, 4], [2, 3, 2, 4], [1, 2, 3, 2, 4], [0, 5, 4], [2, 0, 4]),
        new("RINorm of one component", (device, dtype) => new RINorm(1, device: device, dtype: dtype), "RINorm()", [("affine_weight", [1]), ("affine_bias", [1])], [2, 5, 1], [1, 1, 1]),
        new("RINorm not affine", (device, dtype) => new RINorm(4, affine: false, device: device, dtype: dtype), "RINorm()", None, [2, 5, 4], [2, 3, 2, 4], [0, 5, 4]),
    }.ToDictionary(layer => layer.Name);

    public static TheoryData<string> Names => [.. All.Keys];

    public static TheoryData<string> NamesWithParameters => [.. All.Values.Where(layer => layer.State.Length > 0).Select(layer => layer.Name)];

    public static TheoryData<string, ScalarType> NamesAndDtypes => Combinations.Of(All.Keys, Dtypes);

    /// <summary>Values that look irregular and are the same everywhere, between -2 and 2.</summary>
    public static Tensor Values(long[] shape, ScalarType dtype = ScalarType.Float32, double start = 0)
    {
        using var scope = NewDisposeScope();
        var count = shape.Aggregate(1L, (a, b) => a * b);
        using Scalar stop = count, offset = start, factor = 0.37, two = 2; // held: the collector may free a number that a call still reads
        var at = arange(stop, dtype: ScalarType.Float64).add(offset);
        return (at.mul(at).mul(factor) + at).sin().mul(two).reshape(shape).to(dtype).MoveToOuterDisposeScope();
    }

    /// <summary>What a TorchScript expression of x gives: TorchSharp has no name for all of torch's functions.</summary>
    public static Tensor Scripted(string expression, Tensor x)
    {
        using var script = jit.compile($"def f(x):\n  return {expression}\n");
        return (Tensor)script.invoke("f", x);
    }

    /// <summary>The same values, where memory holds them with the other sign.</summary>
    public static Tensor Negated(Tensor x) => Scripted("torch._neg_view(x.neg())", x);

    public static Tensor Of(params double[] values) => tensor(values, ScalarType.Float64);

    /// <summary>Same dtype, shape and bits; NaN equals NaN.</summary>
    public static bool SameBits(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return a.dtype == b.dtype && a.shape.SequenceEqual(b.shape)
            && (a.eq(b) | (a.isnan() & b.isnan())).all().item<bool>();
    }

    public static double[] Doubles(this Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return [.. tensor.detach().to(ScalarType.Float64).contiguous().data<double>()];
    }
}
