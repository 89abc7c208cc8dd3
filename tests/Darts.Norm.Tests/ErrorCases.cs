using TorchSharp.Modules;

namespace Darts.Norm.Tests;

/// <summary>A use that a layer refuses: with which exception, and what its text must name (what must hold, what was received, the fix).</summary>
public sealed record ErrorCase(
    string Name, Func<NormModule> Make, Func<Tensor?> Input, Action<NormModule, Tensor> Use, Type Exception, params string[] Says)
{
    public override string ToString() => Name;
}

/// <summary>The table of errors, which feeds the tests of their texts and of what they leave behind.</summary>
public static class ErrorCases
{
    public static IReadOnlyDictionary<string, ErrorCase> All { get; } =
        Layers.All.Values.SelectMany(OfEveryLayer).Concat(OfShapes()).Concat(OfDtypes()).Concat(OfStatistics()).Concat(OfParameters()).ToDictionary(error => error.Name);

    public static IReadOnlyDictionary<string, (Func<object> make, Type exception, string[] says)> Constructors { get; } =
        new Dictionary<string, (Func<object>, Type, string[])>
        {
            ["RMSNorm of size 0"] = (() => new RMSNorm(0), typeof(ArgumentOutOfRangeException), ["dim", "at least 1", "is 0"]),
            ["RMSNorm of size -1"] = (() => new RMSNorm(-1), typeof(ArgumentOutOfRangeException), ["dim", "at least 1", "is -1"]),
            ["LayerNorm of size 0"] = (() => new LayerNorm(0), typeof(ArgumentOutOfRangeException), ["input_size", "at least 1", "is 0"]),
            ["LayerNorm of sizes 4, -2"] = (() => new LayerNorm([4, -2]), typeof(ArgumentOutOfRangeException), ["input_size", "at least 1", "is -2"]),
            ["LayerNorm of no axes"] = (() => new LayerNorm([]), typeof(ArgumentException), ["at least one axis", "empty", "Name the sizes"]),
            ["LayerNorm of null"] = (() => new LayerNorm(null!), typeof(ArgumentNullException), ["LayerNorm takes the sizes", "received null", "Name them"]),
            ["LayerNormNoBias of size 0"] = (() => new LayerNormNoBias(0), typeof(ArgumentOutOfRangeException), ["input_size", "at least 1", "is 0"]),
            ["LayerNormNoBias of no axes"] = (() => new LayerNormNoBias([]), typeof(ArgumentException), ["LayerNormNoBias", "at least one axis", "empty"]),
            ["RINorm of size 0"] = (() => new RINorm(0), typeof(ArgumentOutOfRangeException), ["input_dim", "at least 1", "is 0"]),
            ["RINorm not affine of size -3"] = (() => new RINorm(-3, affine: false), typeof(ArgumentOutOfRangeException), ["input_dim", "at least 1", "is -3"]),
            ["RMSNorm larger than memory"] = (() => new RMSNorm(1L << 60), typeof(InsufficientMemoryException), ["RMSNorm", "could not allocate", "[1152921504606846976]", "Float32"]),
            ["LayerNorm larger than a tensor can be"] = (() => new LayerNorm([long.MaxValue, 2]), typeof(InsufficientMemoryException), ["LayerNorm", "could not allocate"]),
            ["RMSNorm on a device that there is not"] = (() => new RMSNorm(4, device: new Device((DeviceType)12)), typeof(ArgumentException), ["RMSNorm", "a device that this libtorch has", "[4]"]),
            ["RMSNorm in Int64"] = (() => new RMSNorm(4, dtype: ScalarType.Int64), typeof(ArgumentException), ["Float16, BFloat16, Float32 or Float64", "Int64"]),
            ["LayerNorm in Bool"] = (() => new LayerNorm(4, dtype: ScalarType.Bool), typeof(ArgumentException), ["Float16, BFloat16, Float32 or Float64", "Bool"]),
            ["RINorm in ComplexFloat32"] = (() => new RINorm(4, dtype: ScalarType.ComplexFloat32), typeof(ArgumentException), ["Float16, BFloat16, Float32 or Float64", "ComplexFloat32"]),
            ["RMSNorm with eps NaN"] = (() => new RMSNorm(4, double.NaN), typeof(ArgumentOutOfRangeException), ["eps", "at least 0", "nan", "1e-5"]),
            ["RMSNorm with eps -1"] = (() => new RMSNorm(4, -1), typeof(ArgumentOutOfRangeException), ["eps", "at least 0", "-1.0", "1e-5"]),
            ["LayerNorm with eps NaN"] = (() => new LayerNorm(4, double.NaN), typeof(ArgumentOutOfRangeException), ["eps", "at least 0", "nan", "1e-5"]),
            ["LayerNorm with eps -1e-9"] = (() => new LayerNorm(4, -1e-9), typeof(ArgumentOutOfRangeException), ["eps", "at least 0", "-1e-09", "1e-5"]),
            ["LayerNormNoBias with eps infinite"] = (() => new LayerNormNoBias(4, double.PositiveInfinity), typeof(ArgumentOutOfRangeException), ["eps", "finite", "inf", "1e-5"]),
            ["RINorm with eps NaN"] = (() => new RINorm(4, double.NaN), typeof(ArgumentOutOfRangeException), ["eps", "at least 0", "nan", "1e-5"]),
            ["RINorm with eps -1"] = (() => new RINorm(4, -1), typeof(ArgumentOutOfRangeException), ["eps", "at least 0", "-1.0", "1e-5"]),
        };

    public static TheoryData<string> Names => [.. All.Keys];

    public static TheoryData<string> ConstructorNames => [.. Constructors.Keys];

    private static IEnumerable<ErrorCase> OfEveryLayer(LayerCase layer)
    {
        var shape = layer.Shapes[0];
        NormModule Make() => layer.New();
        string[] dtypes = ["Float16, BFloat16, Float32 or Float64", "Convert it first"];
        yield return new($"{layer}: null", Make, () => null, Forward, typeof(ArgumentNullException), "takes a tensor", "received null", "Pass the tensor");
        yield return new($"{layer}: a disposed tensor", Make, Disposed, Forward, typeof(ObjectDisposedException), "disposed tensor", "DisposeScope");
        yield return new($"{layer}: integers", Make, () => ones(shape, ScalarType.Int64), Forward, typeof(ArgumentException), [.. dtypes, "Int64"]);
        yield return new($"{layer}: bytes", Make, () => ones(shape, ScalarType.Byte), Forward, typeof(ArgumentException), [.. dtypes, "Byte"]);
        yield return new($"{layer}: truth values", Make, () => ones(shape, ScalarType.Bool), Forward, typeof(ArgumentException), [.. dtypes, "Bool"]);
        yield return new($"{layer}: complex numbers", Make, () => ones(shape, ScalarType.ComplexFloat32), Forward, typeof(ArgumentException), [.. dtypes, "ComplexFloat32", "input.real for the real part", "input.abs() for the magnitude"]);
        yield return new($"{layer}: quantized numbers", Make, () => quantize_per_tensor(ones(shape), 0.1, 0, ScalarType.QInt8), Forward, typeof(ArgumentException), [.. dtypes, "QInt8", "input.dequantize()"]);
        yield return new($"{layer}: a sparse tensor", Make, () => ones(shape).to_sparse(), Forward, typeof(ArgumentException), "dense tensors", "sparse one", "to_dense()");
        foreach (var layout in new[] { "x.to_sparse_csr()", "x.to_mkldnn()", "torch._efficientzerotensor(x.size())" })
            yield return new($"{layer}: {layout}", Make, () => Layers.Scripted(layout, ones(shape)), Forward, typeof(ArgumentException), "dense tensors", "of another layout", $"size [{string.Join(", ", shape)}]", "to_dense()");
        yield return new($"{layer}: after Dispose", () => Gone(layer.New()), () => layer.Input(), Forward, typeof(ObjectDisposedException), "before it is disposed", "Dispose was called", "make a new one");
        if (layer.State.Length == 0)
            yield break;
        foreach (var key in layer.Keys)
        {
            yield return new(
                $"{layer}: {key} disposed", () => Without(layer.New(), key), () => layer.Input(), Forward, typeof(ObjectDisposedException),
                "computes with its own parameters", "was disposed", "assign a new one");
            var size = layer.State.First(entry => entry.key == key).shape;
            string[] fits = [$"a dense {key} of size [{string.Join(", ", size)}]", $"layer.{key} = "];
            foreach (var registered in (long[][])[[7], [1, 1, .. size], [.. size, 1], [.. size[..^1], size[^1] + 1], []])
                yield return new(
                    $"{layer}: {key} registered with size [{string.Join(", ", registered)}]", () => Registered(layer.New(), key, ones(registered)), () => layer.Input(), Forward, typeof(InvalidOperationException),
                    [.. fits, $"has size [{string.Join(", ", registered)}]"]);
            yield return new($"{layer}: {key} registered with integers", () => Registered(layer.New(), key, ones(size, ScalarType.Int64)), () => layer.Input(), Forward, typeof(InvalidOperationException), "Float16, BFloat16, Float32 or Float64", $"{key} is Int64", "layer.to(");
            yield return new($"{layer}: {key} registered with complex numbers", () => Registered(layer.New(), key, ones(size, ScalarType.ComplexFloat32)), () => layer.Input(), Forward, typeof(InvalidOperationException), $"{key} is ComplexFloat32", "keeps the real part alone");
        }
        yield return new($"{layer}: an input on another device", Make, () => ones(shape, device: META), Forward, typeof(ArgumentException), "one device", "cpu", "meta", $"size [{string.Join(", ", shape)}], dtype Float32", "Move one");
        yield return new($"{layer}: the layer on another device", () => layer.Make(META, null), () => ones(shape), Forward, typeof(ArgumentException), "one device", "cpu", "meta", "has no values", "to_empty");
    }

    private static IEnumerable<ErrorCase> OfShapes()
    {
        (Func<NormModule> make, long[] wrong, string[] says)[] wrongs =
        [
            (() => new RMSNorm(4), [2, 3], ["last axis of size 4", "[2, 3]", "Make the layer with"]),
            (() => new RMSNorm(4), [4, 1], ["last axis of size 4", "[4, 1]", "Make the layer with"]),
            (() => new RMSNorm(1), [3, 2], ["last axis of size 1", "[3, 2]", "Make the layer with"]),
            (() => new RMSNorm(4), [], ["last axis of size 4", "[]", "Make the layer with"]),
            (() => new RMSNorm(4), [3, 0], ["last axis of size 4", "[3, 0]", "Make the layer with"]),
            (() => new LayerNorm(4), [2, 3], ["shape ends in [4]", "[2, 3]", "Make the layer with"]),
            (() => new LayerNorm(4), [], ["shape ends in [4]", "[]", "Make the layer with"]),
            (() => new LayerNorm([2, 4]), [4], ["shape ends in [2, 4]", "[4]", "Make the layer with"]),
            (() => new LayerNorm([2, 4]), [3, 4], ["shape ends in [2, 4]", "[3, 4]", "Make the layer with"]),
            (() => new LayerNorm([2, 4]), [4, 2], ["shape ends in [2, 4]", "[4, 2]", "Make the layer with"]),
            (() => new LayerNorm(1), [3, 2], ["shape ends in [1]", "[3, 2]", "Make the layer with"]),
            (() => new LayerNormNoBias([2, 4]), [1, 4], ["LayerNormNoBias((2, 4))", "shape ends in [2, 4]", "[1, 4]", "Make the layer with"]),
            (() => new RINorm(4), [], ["3 dimensions or more", "[]", "unsqueeze"]),
            (() => new RINorm(4), [4], ["3 dimensions or more", "[4]", "unsqueeze"]),
            (() => new RINorm(4), [5, 4], ["3 dimensions or more", "[5, 4]", "unsqueeze"]),
            (() => new RINorm(4, affine: false), [5, 4], ["3 dimensions or more", "[5, 4]", "unsqueeze"]),
            (() => new RINorm(4), [2, 5, 3], ["4 components on the last axis", "[2, 5, 3]", "Make the layer with"]),
            (() => new RINorm(4), [2, 4, 1], ["4 components on the last axis", "[2, 4, 1]", "Make the layer with"]),
            (() => new RINorm(4, affine: false), [2, 5, 1], ["4 components on the last axis", "[2, 5, 1]", "Make the layer with"]),
            (() => new RINorm(1), [2, 5, 4], ["1 components on the last axis", "[2, 5, 4]", "Make the layer with"]),
        ];
        return wrongs.Select((w, i) => new ErrorCase(
            $"shape {i}: {string.Join(", ", w.wrong)} for {w.make()}", w.make, () => ones(w.wrong), Forward, typeof(ArgumentException), [.. w.says, "Float32"]));
    }

    private static IEnumerable<ErrorCase> OfDtypes()
    {
        (ScalarType parameters, ScalarType input)[] refused =
        [
            (ScalarType.Float32, ScalarType.Float64), (ScalarType.Float64, ScalarType.Float32), (ScalarType.Float64, ScalarType.Float16),
            (ScalarType.Float16, ScalarType.Float32), (ScalarType.BFloat16, ScalarType.Float32), (ScalarType.Float16, ScalarType.BFloat16), (ScalarType.BFloat16, ScalarType.Float16),
        ];
        foreach (var (parameters, input) in refused)
        {
            foreach (var bias in new[] { true, false })
                yield return new(
                    $"LayerNorm in {parameters}, bias {bias}: {input}", () => new LayerNorm(4, bias: bias, dtype: parameters), () => ones([2, 4], input), Forward, typeof(ArgumentException),
                    "parameters' dtype", $"are {parameters}", $"received size [2, 4], dtype {input}", "Convert one");
        }
        foreach (var (weight, bias) in new[] { (ScalarType.Float32, ScalarType.Float16), (ScalarType.Float16, ScalarType.Float32) })
            yield return new(
                $"LayerNorm with weight in {weight} and bias in {bias}",
                () => new LayerNorm(4, dtype: weight) { bias = new Parameter(zeros(4, dtype: bias)) }, () => ones([2, 4], ScalarType.Float16), Forward,
                typeof(InvalidOperationException), "weight and bias of one dtype", $"{weight} and {bias}", "Convert both");
    }

    private static IEnumerable<ErrorCase> OfStatistics()
    {
        yield return new("transform before forward", () => new RINorm(4), () => ones(2, 5, 4), Transform, typeof(InvalidOperationException), "transform needs the statistics", "there was none", "Call forward");
        yield return new("inverse before forward", () => new RINorm(4), () => ones(2, 5, 4, 1), Inverse, typeof(InvalidOperationException), "inverse needs the statistics", "there was none", "Call forward");
        yield return Used("transform of another batch", () => ones(3, 5, 4), Transform, "batch 2", "[3, 5, 4]", "Call forward on");
        yield return Used("transform of a batch of one", () => ones(1, 5, 4), Transform, "batch 2", "[1, 5, 4]", "Call forward on");
        yield return Used("transform of other components", () => ones(2, 5, 3), Transform, "4 components", "[2, 5, 3]", "move them");
        yield return Used("transform of another axis", () => ones(2, 5, 3, 4), Transform, "3 dimensions", "[2, 5, 3, 4]", "Call forward on");
        yield return Used("transform without time", () => ones(2, 4), Transform, "3 dimensions or more", "[2, 4]", "unsqueeze");
        yield return Used("transform of integers", () => ones(2, 5, 4).to(ScalarType.Int32), Transform, "Float32", "Int32", "Convert it first");
        yield return Used("transform on another device", () => ones([2, 5, 4], device: META), Transform, "one device", "meta", "Move one");
        yield return Used("inverse without nr_params", () => ones(2, 5, 4), Inverse, "nr_params", "[2, 5, 4]", "unsqueeze(-1)");
        yield return Used("inverse of another batch", () => ones(3, 5, 4, 1), Inverse, "batch 2", "[3, 5, 4, 1]", "Call forward on");
        yield return Used("inverse of a batch of one", () => ones(1, 5, 4, 1), Inverse, "batch 2", "[1, 5, 4, 1]", "Call forward on");
        yield return Used("inverse of other components", () => ones(2, 5, 3, 1), Inverse, "4 components on the last axis but one", "[2, 5, 3, 1]", "Forecast each component of forward's input");
        yield return Used("inverse of one component", () => ones(2, 5, 1, 4), Inverse, "4 components on the last axis but one", "[2, 5, 1, 4]", "put them before nr_params");
        yield return Used("inverse of another axis", () => ones([2, 5, 3, 4, 1]), Inverse, "4 dimensions", "[2, 5, 3, 4, 1]", "Keep the axes");
        yield return Used("inverse of two dimensions", () => ones(2, 4), Inverse, "4 dimensions", "[2, 4]", "Keep the axes");
        yield return Used("inverse of integers", () => ones(2, 5, 4, 1).to(ScalarType.Int64), Inverse, "Float32", "Int64", "Convert it first");
        yield return Used("inverse on another device", () => ones([2, 5, 4, 1], device: META), Inverse, "one device", "meta", "Move one");
        yield return Used("forward of two dimensions after a good one", () => ones(5, 4), Forward, "3 dimensions or more", "[5, 4]", "unsqueeze");
        yield return Used("forward of other components after a good one", () => ones(2, 5, 3), Forward, "4 components", "[2, 5, 3]", "move them");
        yield return new("transform of null", RINormAfterForward, () => null, Transform, typeof(ArgumentNullException), "takes a tensor", "received null", "Pass the tensor");
        yield return new("inverse of null", RINormAfterForward, () => null, Inverse, typeof(ArgumentNullException), "takes a tensor", "received null", "Pass the tensor");
        yield return new("inverse of a disposed tensor", RINormAfterForward, Disposed, Inverse, typeof(ObjectDisposedException), "disposed tensor", "DisposeScope");
        yield return new("transform after Dispose", () => Gone(RINormAfterForward()), () => ones(2, 5, 4), Transform, typeof(ObjectDisposedException), "before it is disposed", "make a new one");
        yield return new("inverse after Dispose", () => Gone(RINormAfterForward()), () => ones(2, 5, 4, 1), Inverse, typeof(ObjectDisposedException), "before it is disposed", "make a new one");
        yield return new("mean after Dispose", () => Gone(RINormAfterForward()), () => null, (layer, _) => ((RINorm)layer).mean?.ToString(), typeof(ObjectDisposedException), "before it is disposed", "make a new one");
    }

    private static IEnumerable<ErrorCase> OfParameters()
    {
        yield return Assigned("g of another size", () => new RMSNorm(4), () => ones(3), (layer, p) => ((RMSNorm)layer).g = p, "RMSNorm.g must have size [4]", "[3]", "Make the layer");
        yield return Assigned("g of another rank", () => new RMSNorm(4), () => ones(1, 4), (layer, p) => ((RMSNorm)layer).g = p, "RMSNorm.g must have size [4]", "[1, 4]", "Make the layer");
        yield return Assigned("weight that would broadcast", () => new LayerNorm([2, 4]), () => ones(4), (layer, p) => ((LayerNorm)layer).weight = p, "LayerNorm.weight must have size [2, 4]", "[4]", "Make the layer");
        yield return Assigned("bias that would broadcast", () => new LayerNorm(4), () => ones(1), (layer, p) => ((LayerNorm)layer).bias = p, "LayerNorm.bias must have size [4]", "[1]", "Make the layer");
        yield return Assigned("weight of a LayerNormNoBias of another size", () => new LayerNormNoBias(4), () => ones(3), (layer, p) => ((LayerNorm)layer).weight = p, "must have size [4]", "[3]");
        yield return Assigned("affine_weight of another size", () => new RINorm(4), () => ones(1), (layer, p) => ((RINorm)layer).affine_weight = p, "RINorm.affine_weight must have size [4]", "[1]", "Make the layer");
        yield return Assigned("affine_bias of complex numbers", () => new RINorm(4), () => ones(4, dtype: ScalarType.ComplexFloat32), (layer, p) => ((RINorm)layer).affine_bias = p, "must be Float16, BFloat16, Float32 or Float64", "ComplexFloat32", "Convert it first", "real part");
        yield return Assigned("affine_bias of complex numbers in the place of one that is disposed", () => Without(new RINorm(4), "affine_bias"), () => ones(4, dtype: ScalarType.ComplexFloat32), (layer, p) => ((RINorm)layer).affine_bias = p, "must be Float16, BFloat16, Float32 or Float64", "ComplexFloat32", "Convert it first", "real part");
        yield return Assigned("bias that is sparse", () => new LayerNorm(4), () => ones(4).to_sparse(), (layer, p) => ((LayerNorm)layer).bias = p, "LayerNorm.bias must be dense", "sparse", "to_dense()");
        yield return new("bias that is disposed", () => new LayerNorm(4), Gone, (layer, p) => ((LayerNorm)layer).bias = (Parameter)p, typeof(ObjectDisposedException), "LayerNorm.bias must be a living parameter", "is disposed", "DisposeScope");
        yield return new("affine_weight where there is none", () => new RINorm(4, affine: false), () => nn.Parameter(ones(4)), (layer, x) => ((RINorm)layer).affine_weight = (Parameter)x, typeof(InvalidOperationException), "no affine_weight", "affine: false", "affine: true");
        yield return new("g of null", () => new RMSNorm(4), () => null, (layer, _) => ((RMSNorm)layer).g = null!, typeof(ArgumentNullException), "RMSNorm.g must be a parameter of size [4]", "received null", "ones or zeros");
        yield return new("affine_bias of null", () => new RINorm(4), () => null, (layer, _) => ((RINorm)layer).affine_bias = null, typeof(ArgumentNullException), "RINorm.affine_bias must be a parameter of size [4]", "received null", "ones or zeros");
        yield return new("g registered as null", () => Registered(new RMSNorm(4), "g", null), () => ones(2, 4), Forward, typeof(InvalidOperationException), "a parameter g of size [4]", "null", "layer.g = ");
        yield return new("missing of no value", () => new RINorm(4), () => null, (layer, _) => ((RINorm)layer).missing = (Missing)42, typeof(ArgumentOutOfRangeException), "None, Keep or Zero", "42");
        yield return new("min_stdev of -1", () => new RINorm(4), () => null, (layer, _) => ((RINorm)layer).min_stdev = -1, typeof(ArgumentOutOfRangeException), "min_stdev", "at least 0", "-1.0", "to eps");
        yield return new("eps of NaN", () => new RMSNorm(4), () => null, (layer, _) => ((RMSNorm)layer).eps = double.NaN, typeof(ArgumentOutOfRangeException), "eps", "at least 0", "nan", "1e-5");
        yield return new("eps of -1", () => new LayerNorm(4), () => null, (layer, _) => ((LayerNorm)layer).eps = -1, typeof(ArgumentOutOfRangeException), "eps", "at least 0", "-1.0", "1e-5");
        yield return new("bias on another device", () => new LayerNorm(4) { bias = new Parameter(ones(4, device: META)) }, () => ones(2, 4), Forward, typeof(ArgumentException), "one device", "meta", "cpu", "has no values", "to_empty");
        yield return new("affine_bias on another device", () => new RINorm(4) { affine_bias = new Parameter(ones(4, device: META)) }, () => ones(2, 5, 4), Forward, typeof(ArgumentException), "one device", "meta", "cpu", "has no values", "to_empty");
    }

    private static Parameter Gone()
    {
        var parameter = nn.Parameter(ones(4));
        parameter.Dispose();
        return parameter;
    }

    private static ErrorCase Used(string name, Func<Tensor> input, Action<NormModule, Tensor> use, params string[] says) =>
        new(name, RINormAfterForward, input, use, typeof(ArgumentException), says);

    private static ErrorCase Assigned(string name, Func<NormModule> make, Func<Tensor> value, Action<NormModule, Parameter> assign, params string[] says) =>
        new(name, make, () => nn.Parameter(value()), (layer, x) => assign(layer, (Parameter)x), typeof(ArgumentException), says);

    private static RINorm RINormAfterForward()
    {
        var rin = (RINorm)Layers.All["RINorm"].New();
        using var x = Layers.All["RINorm"].Input();
        rin.forward(x).Dispose();
        return rin;
    }

    private static Tensor Disposed()
    {
        var x = ones(2, 5, 4);
        x.Dispose();
        return x;
    }

    private static NormModule Gone(NormModule layer)
    {
        layer.Dispose();
        return layer;
    }

    private static NormModule Without(NormModule layer, string key)
    {
        layer.get_parameter(key).Dispose();
        return layer;
    }

    private static NormModule Registered(NormModule layer, string key, Tensor? value)
    {
        layer.pytorch().register_parameter(key, value is null ? null : nn.Parameter(value, requires_grad: is_floating_point(value.dtype)));
        return layer;
    }

    private static void Forward(NormModule layer, Tensor x) => layer.forward(x);

    private static void Transform(NormModule layer, Tensor x) => ((RINorm)layer).transform(x);

    private static void Inverse(NormModule layer, Tensor x) => ((RINorm)layer).inverse(x);
}
