namespace Darts.Norm.Soak;

/// <summary>Random calls of the public API, most of them wrong: each ends in a documented exception or a right result, and changes nothing by half.</summary>
public static class BadCalls
{
    private const int LeftByAConstructor = 10; // modules: TorchSharp keeps 700 bytes of one that nobody could dispose

    private static readonly ScalarType[] Dtypes = Enum.GetValues<ScalarType>();

    private static readonly double[] Numbers = [1e-5, 0, -1, 1e300, double.NaN, double.PositiveInfinity, double.NegativeInfinity, double.MaxValue, double.Epsilon];

    private static readonly long[] Sizes = [4, 4, 4, 4, 1, 2, 3, 5, 0, 7, -1, long.MinValue, long.MaxValue, 1L << 45];

    private static readonly string[] Norms = [nameof(RMSNorm), nameof(LayerNorm), nameof(LayerNormNoBias), nameof(RINorm)];

    private static readonly string?[] Names = ["g", "weight", "bias", "affine_weight", "affine_bias", "", ".", "a.b", "mean", null, "\0", "état"];

    public static Report Run(long calls, int seed)
    {
        var report = Report.OfThisThread();
        var random = new Random(seed);
        for (long call = 0; call < calls; call++)
        {
            using var scope = NewDisposeScope();
            One(random, report);
            report.Called();
            if (call == calls / 4)
                report.WarmedUp();
        }
        return report.Ended();
    }

    private static void One(Random random, Report report)
    {
        if (random.Next(8) == 0)
        {
            var hasThrown = Documented("a constructor", () => Constructed(random)?.Dispose(), report);
            Report.MadeModules(hasThrown ? LeftByAConstructor : 1);
            return;
        }
        using var layer = Layer(random);
        using var twin = Layers(layer);
        Report.MadeModules(2);
        var good = ones(2, 3, 4);
        if (layer is RINorm rin)
            rin.forward(good);
        var isGone = random.Next(12) == 0;
        if (isGone)
            layer.Dispose();
        var parameters = isGone ? [] : layer.parameters().ToList();
        List<RINormStatistics> statistics = [];
        var (name, call) = Call(layer, random, statistics);
        var isRefused = Documented($"{layer.GetType().Name}.{name}", call, report);
        statistics.ForEach(made => made.Dispose());
        if (isGone)
            return;
        foreach (var replaced in parameters.Except(layer.parameters(), ReferenceEqualityComparer.Instance).Cast<Tensor>())
            replaced.Dispose();
        if (!isRefused)
            return;

        // It was refused: the layer is as it was.
        if (!layer.state_dict().Keys.SequenceEqual(twin.state_dict().Keys)
            || !layer.parameters().Zip(twin.parameters()).All(pair => Results.Bits(pair.First).SequenceEqual(Results.Bits(pair.Second)))
            || !Results.Bits(layer.forward(good)).SequenceEqual(Results.Bits(twin.forward(good))))
            report.Failed($"{layer.GetType().Name}.{name} was refused, but changed the layer");
    }

    /// <summary>Whether it was refused.</summary>
    private static bool Documented(string name, Action call, Report report)
    {
        try
        {
            call();
            return false;
        }
        catch (Exception error) when (IsDocumented(error))
        {
            report.Broken();
            return true;
        }
        catch (Exception error)
        {
            report.Broken();
            report.Failed($"{name}: {error.GetType().Name}: {error.Message.Split('\n')[0]} at {string.Join(" < ", error.StackTrace!.Split('\n').Take(3).Select(line => line.Trim()))}");
            return true;
        }
    }

    private static bool IsDocumented(Exception error) =>
        error is ArgumentException or InvalidOperationException or MissingMemberException or InvalidDataException or IOException or UnauthorizedAccessException
            or NotSupportedException or InsufficientMemoryException
        && !error.Message.Contains("frame #", StringComparison.Ordinal);

    private static nn.Module<Tensor, Tensor>? Constructed(Random random)
    {
        var (size, eps, dtype) = (Any(random, Sizes), Any(random, Numbers), random.Next(3) == 0 ? Any(random, Dtypes) : (ScalarType?)null);
        var sizes = random.Next(9) == 0 ? null! : Enumerable.Range(0, random.Next(4)).Select(_ => Any(random, Sizes)).ToArray();
        var device = random.Next(8) == 0 ? META : null;
        return random.Next(7) switch
        {
            0 => new RMSNorm(size, eps, device, dtype),
            1 => new LayerNorm(size, eps, random.Next(2) == 0, random.Next(2) == 0, device, dtype),
            2 => new LayerNorm(sizes, eps, random.Next(2) == 0, random.Next(2) == 0, device, dtype),
            3 => new LayerNormNoBias(size, eps, device, dtype),
            4 => new LayerNormNoBias(sizes, eps, device, dtype),
            5 => new NormType(random.Next(3) == 0 ? Any(random, Names)! : Any(random, Norms)).make(sizes),
            _ => new RINorm(size, eps, random.Next(2) == 0, device, dtype),
        };
    }

    private static NormModule Layer(Random random) => random.Next(5) switch
    {
        0 => new RMSNorm(4),
        1 => new LayerNorm(4),
        2 => new LayerNorm([3, 4]),
        3 => new LayerNormNoBias(4),
        _ => new RINorm(4, affine: random.Next(2) == 0) { missing = (Missing)random.Next(3) },
    };

    private static NormModule Layers(NormModule like) => like switch
    {
        RMSNorm => new RMSNorm(4),
        LayerNormNoBias => new LayerNormNoBias(4),
        LayerNorm norm => new LayerNorm(norm.normalized_shape),
        RINorm rin => new RINorm(4, affine: rin.affine) { missing = rin.missing },
        _ => throw new ArgumentException("no such layer", nameof(like)),
    };

    private static (string name, Action call) Call(NormModule layer, Random random, List<RINormStatistics> statistics)
    {
        var (x, other, number, text) = (Input(random), Input(random), Any(random, Numbers), Any(random, Names));
        var normalized = layer is RMSNorm ? 1 : 0; // every input is of ones
        List<(string, Action)> calls =
        [
            ("forward", () => Right(layer.forward(x!), x!, normalized)),
            ("forward", () => Right(layer.forward(x!), x!, normalized)),
            ("call", () => Right(layer.call(x!), x!, normalized)),
            ("get_parameter", () => layer.get_parameter(text!)),
            ("get_buffer", () => layer.get_buffer(text!)),
            ("load_state_dict", () => layer.load_state_dict(Dictionary(layer, random)!, random.Next(2) == 0, random.Next(3) == 0 ? [text!] : null)),
            ("load of bytes", () => layer.load(new BinaryReader(new MemoryStream(Bytes(layer, random))), random.Next(2) == 0)),
            ("load of a file", () => layer.load(text!)),
            ("load of null", () => layer.load((BinaryReader)null!)),
            ("to of a dtype", () => layer.to(random.Next(2) == 0 ? Any(random, Dtypes) : (ScalarType)random.Next(-5, 99))),
            ("to of a device", () => layer.to(random.Next(2) == 0 ? META : new Device(DeviceType.CUDA, random.Next(-1, 3)))),
            ("state_dict", () => layer.state_dict(prefix: text)),
        ];
        switch (layer)
        {
            case RMSNorm norm:
                calls.AddRange([("g", () => norm.g = Parameter(random)!), ("eps", () => norm.eps = number)]);
                break;
            case LayerNorm norm:
                calls.AddRange([("weight", () => norm.weight = Parameter(random)), ("bias", () => norm.bias = Parameter(random)), ("eps", () => norm.eps = number)]);
                break;
            case RINorm rin:
                LikelihoodParameter[]? likelihood = random.Next(6) == 0 ? null : [.. Enumerable.Range(0, random.Next(4)).Select(_ => (LikelihoodParameter)random.Next(-1, 8))];
                calls.AddRange(
                [
                    ("transform", () => Right(rin.transform(x!), x!, normalized)),
                    ("inverse", () => Right(rin.inverse(x!), x!, 1)),
                    ("inverse by likelihood", () => Right(rin.inverse(x!, likelihood!), x!, null)),
                    ("normalize", () => Normalized(rin.normalize(x!, other), x!)),
                    ("transform by statistics", () => rin.transform(x!, Statistics(random, statistics)!, other)),
                    ("inverse by statistics", () => rin.inverse(x!, Statistics(random, statistics)!, likelihood!)),
                    ("statistics", () => Use(Statistics(random, statistics), random)),
                    ("affine_weight", () => rin.affine_weight = Parameter(random)),
                    ("affine_bias", () => rin.affine_bias = Parameter(random)),
                    ("eps", () => rin.eps = number),
                    ("min_stdev", () => rin.min_stdev = number),
                ]);
                break;
        }
        return Any(random, [.. calls]);
    }

    private static void Normalized((Tensor normalized, RINormStatistics statistics) result, Tensor x)
    {
        using (result.statistics)
            Right(result.normalized, x, 0);
    }

    private static void Right(Tensor y, Tensor x, double? value)
    {
        if (!y.shape.SequenceEqual(x.shape) || !is_floating_point(y))
            throw new InvalidCastException($"a result of size [{string.Join(", ", y.shape)}], {y.dtype}, for an input of size [{string.Join(", ", x.shape)}], {x.dtype}");
        if (value is { } expected && y.device_type == DeviceType.CPU && y.numel() > 0 && (y.to(ScalarType.Float64) - expected).abs().max().item<double>() is var off && !(off < 0.01))
            throw new InvalidCastException($"a result that is off by {off} for an input of size [{string.Join(", ", x.shape)}], {x.dtype}");
    }

    private static RINormStatistics? Statistics(Random random, List<RINormStatistics> made)
    {
        if (random.Next(6) == 0)
            return null;
        using var rin = new RINorm(random.Next(2) == 0 ? 4 : 3);
        var (_, statistics) = rin.normalize(ones(random.Next(1, 4), 3, rin.input_dim));
        made.Add(statistics);
        if (random.Next(2) == 0)
            statistics.Dispose();
        return statistics;
    }

    private static void Use(RINormStatistics? statistics, Random random)
    {
        if (statistics is null)
            return;
        switch (random.Next(4))
        {
            case 0:
                statistics.narrow(Any(random, Sizes), Any(random, Sizes)).Dispose();
                break;
            case 1:
                statistics[random.Next(-3, 9) is var start && start < 0 ? ^-start.. : start..].Dispose();
                break;
            case 2:
                statistics.to(Any(random, Dtypes)).Dispose();
                break;
            default:
                _ = statistics.mean;
                break;
        }
    }

    private static Tensor? Input(Random random)
    {
        switch (random.Next(12))
        {
            case 0:
                return null;
            case 1:
                var gone = ones(2, 3, 4);
                gone.Dispose();
                return gone;
            case 2:
                return ones([2, 3, 4], device: META);
            case 3:
                return ones(2, 3, 4).to_sparse();
            case 4:
                return ones(1).expand(1L << 35, 3, 4); // more than there is memory for
            case 5:
                return ones([2, 3, 4], ScalarType.Bool);
        }
        var dtype = random.Next(3) > 0 ? ScalarType.Float32 : Any(random, [.. Dtypes.Where(dtype => dtype is not (ScalarType.QInt8 or ScalarType.QUInt8 or ScalarType.QInt32))]);
        long[] shape = random.Next(2) == 0 ? [2, 3, 4, .. random.Next(2) == 0 ? new long[] { random.Next(1, 3) } : []] : [.. Enumerable.Range(0, random.Next(7)).Select(_ => (long)random.Next(6))];
        var x = ones(shape, dtype);
        return random.Next(4) == 0 && shape.Length > 1 ? x.transpose(0, -1) : x;
    }

    private static TorchSharp.Modules.Parameter? Parameter(Random random)
    {
        if (random.Next(8) == 0)
            return null;
        long[] shape = random.Next(2) == 0 ? [4] : [.. Enumerable.Range(0, random.Next(3)).Select(_ => (long)random.Next(6))];
        var parameter = nn.Parameter(ones(shape, Any(random, [ScalarType.Float32, ScalarType.Float64, ScalarType.ComplexFloat32, ScalarType.Float16])), true);
        if (random.Next(8) == 0)
            parameter.Dispose();
        return parameter;
    }

    private static Dictionary<string, Tensor>? Dictionary(NormModule layer, Random random)
    {
        if (random.Next(8) == 0)
            return null;
        var dictionary = layer.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());
        foreach (var key in dictionary.Keys.Concat(Names.OfType<string>()).Where(_ => random.Next(3) == 0).ToList())
            dictionary[key] = Input(random)!;
        return dictionary;
    }

    private static byte[] Bytes(NormModule layer, Random random)
    {
        var stream = new MemoryStream();
        layer.save(stream);
        var bytes = stream.ToArray();
        for (var i = random.Next(4); i > 0; i--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return bytes[..random.Next(bytes.Length + 1)];
    }

    private static T Any<T>(Random random, T[] values) => values[random.Next(values.Length)];
}
