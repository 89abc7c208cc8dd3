using System.Globalization;
using CsCheck;

namespace Darts.Norm.Soak;

/// <summary>Which layer, and in which form.</summary>
public enum Kind
{
    RMSNorm,
    LayerNorm,
    LayerNormWithoutBias,
    LayerNormNotAffine,
    LayerNormNoBias,
    LayerNormOfTwoAxes,
    RINorm,
    RINormNotAffine,
}

/// <summary>What a row or series holds.</summary>
public enum Content
{
    Ordinary,
    FarFromZero,
    Constant,
    Zeros,
    OneOutlier,
    AnyMagnitude,
    SquaresOverflow,
    SquaresVanish,
    Subnormal,
    LargestValues,
    FewIntegers,
    Mixed,
}

/// <summary>How a tensor lies in memory.</summary>
public enum Layout
{
    Contiguous,
    Transposed,
    LastAxesSwapped,
    EverySecondRow,
    EverySecondValue,
    Offset,
    RepeatedRows,
    RepeatedValues,
}

/// <summary>A layer and what it is given. The same numbers make the same problem, everywhere.</summary>
public sealed record Problem(
    Kind Kind,
    long[] Shape,
    ScalarType Dtype,
    ScalarType ParameterDtype,
    Content Content,
    double Scale,
    double ParameterScale,
    double GradScale,
    double Eps,
    Layout Layout,
    Layout GradLayout,
    bool FrozenInput,
    bool FrozenParameters,
    int Parameters,
    bool SubtractLast,
    double MinStdev,
    bool Holes,
    bool Masked,
    int Seed)
{
    private static readonly long[] LastAxes = [1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 129, 255, 256, 321, 1024, 4097];

    private static readonly ScalarType[] Dtypes = [ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64];

    /// <summary>Problems of up to so many values.</summary>
    public static Gen<Problem> Upto(long values) =>
        from kind in Gen.Enum<Kind>()
        from dtype in OneOf(Dtypes)
        from problem in Of(kind, dtype, values)
        select problem;

    /// <summary>Problems of one layer and dtype.</summary>
    public static Gen<Problem> Of(Kind kind, ScalarType dtype, long values) =>
        from rank in Gen.Int[kind is Kind.LayerNormOfTwoAxes ? 2 : IsSeries(kind) ? 3 : 1, 5]
        from last in OneOf(LastAxes)
        from sizes in Gen.Long[1, 40].Array[4]
        from mix in Gen.Int[0, 9]
        from other in OneOf(Dtypes)
        from content in Gen.Enum<Content>()
        from scale in Gen.Double[-1, 1]
        from parameterScale in Gen.Double[-1, 1]
        from gradScale in Gen.Double[-1, 1]
        from eps in OneOf(1e-5, 1e-5, 1e-8, 1e-3, 0.0, 1e-12, 1e-30, 1e-300)
        from layouts in Gen.Select(Gen.Enum<Layout>(), Gen.Enum<Layout>())
        from frozen in Gen.Select(Gen.Int[0, 4], Gen.Int[0, 4])
        from littleTrained in Gen.Int[0, 2]
        from series in Gen.Select(Gen.Int[1, 3], Gen.Int[0, 3], OneOf(0.0, 0, 0, 1e-3, 2), Gen.Int[0, 3], Gen.Bool)
        from seed in Gen.Int
        select new Problem(
            kind,
            Fitted([.. sizes.Take(rank - 1), last], values),
            dtype,
            mix == 0 ? Mixed(kind, dtype, other) : dtype,
            content,
            PowerOf(dtype, scale, content is Content.Ordinary or Content.Mixed ? 0.9 : 0.3),
            PowerOf(dtype, parameterScale, 0.1),
            PowerOf(dtype, gradScale, 0.2),
            eps,
            layouts.Item1,
            layouts.Item2,
            frozen.Item1 == 0,
            frozen.Item2 == 0,
            series.Item1,
            series.Item2 == 0,
            series.Item3,
            series.Item4 == 0,
            series.Item5,
            seed)
        {
            LittleTrained = littleTrained == 0,
        };

    /// <summary>Whether the parameters are still near those of a new layer, but for their scale: weights alike and a bias that is small beside them.</summary>
    public bool LittleTrained { get; init; }

    /// <summary>An ordinary one, in float32.</summary>
    public static Problem Simple(Kind kind, long[] shape) => new(
        kind, shape, ScalarType.Float32, ScalarType.Float32, Content.Ordinary, 1, 1, 1, 1e-5, Layout.Contiguous, Layout.Contiguous, false, false, 1, false, 0, false, false, 1);

    public bool IsOfSeries => IsSeries(Kind);

    /// <summary>How many values a row or series' time step has.</summary>
    public long Width => Kind == Kind.LayerNormOfTwoAxes ? Shape[^1] * Shape[^2] : Shape[^1];

    public long Values => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>The layer, new.</summary>
    public NormModule NewLayer()
    {
        var layer = Made();
        Report.Made(layer);
        return layer;
    }

    private NormModule Made() => Kind switch
    {
        Kind.RMSNorm => new RMSNorm(Shape[^1], Eps, dtype: ParameterDtype),
        Kind.LayerNorm => new LayerNorm(Shape[^1], Eps, dtype: ParameterDtype),
        Kind.LayerNormWithoutBias => new LayerNorm(Shape[^1], Eps, bias: false, dtype: ParameterDtype),
        Kind.LayerNormNotAffine => new LayerNorm(Shape[^1], Eps, elementwise_affine: false, dtype: ParameterDtype),
        Kind.LayerNormNoBias => new LayerNormNoBias(Shape[^1], Eps, dtype: ParameterDtype),
        Kind.LayerNormOfTwoAxes => new LayerNorm([Shape[^2], Shape[^1]], Eps, dtype: ParameterDtype),
        Kind.RINorm or Kind.RINormNotAffine => new RINorm(Shape[^1], Eps, Kind == Kind.RINorm, dtype: ParameterDtype)
        {
            subtract_last = SubtractLast,
            min_stdev = MinStdev,
            missing = Holes ? Missing.Zero : Missing.None,
        },
        _ => throw new ArgumentOutOfRangeException(nameof(Kind)),
    };

    /// <summary>What each of a forecast's parameters is, of all kinds in turn.</summary>
    public LikelihoodParameter[] Likelihood
    {
        get
        {
            var kinds = Enum.GetValues<LikelihoodParameter>();
            return [.. Enumerable.Range(0, Parameters).Select(parameter => kinds[(int)(((uint)Seed + parameter) % kinds.Length)])];
        }
    }

    /// <summary>The layer with irregular parameters.</summary>
    public NormModule NewLayerWithParameters()
    {
        var layer = NewLayer();
        var random = new Random(Seed + 1);
        using var noGrad = no_grad();
        foreach (var (name, parameter) in layer.named_parameters())
        {
            var (level, spread) = !LittleTrained ? (0, 1) : name.EndsWith("bias", StringComparison.Ordinal) ? (0, 0.02) : (1, 0.1);
            using var values = Rounded([.. Enumerable.Range(0, (int)parameter.numel()).Select(_ => (level + (spread * Normal(random))) * ParameterScale)], parameter.shape, ParameterDtype);
            parameter.copy_(values);
            parameter.requires_grad = !FrozenParameters;
        }
        return layer;
    }

    /// <summary>The input, contiguous. NaN where a series has a hole that no mask tells of.</summary>
    public Tensor Input() => Input(Seed, Shape);

    /// <summary>An input of RINorm's <c>inverse</c>.</summary>
    public Tensor Forecast() => Gradient(Seed + 2, [Shape[0], (Shape[1] + 1) / 2, .. Shape[2..], Parameters]);

    /// <summary>The gradient of a loss with respect to an output.</summary>
    public Tensor Gradient(long[] shape) => Gradient(Seed + 3, shape);

    private Tensor Gradient(int seed, long[] shape)
    {
        var random = new Random(seed);
        return Rounded([.. Enumerable.Range(0, (int)Product(shape)).Select(_ => Normal(random) * GradScale)], shape, Dtype);
    }

    /// <summary>Where the input has values; null where a mask would say nothing, or nothing more than NaN.</summary>
    public Tensor? Mask()
    {
        if (!IsOfSeries || !Holes || !Masked)
            return null;
        var random = new Random(Seed + 4);
        return tensor(Enumerable.Range(0, (int)Values).Select(_ => random.Next(4) != 0).ToArray(), Shape);
    }

    /// <summary>Whether the results are held to the truth whatever the numbers: in RINorm, float64 has nothing wider behind it.</summary>
    public bool HasTruth => !IsOfSeries || (Dtype != ScalarType.Float64 && ParameterDtype != ScalarType.Float64);

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Kind} [{string.Join(", ", Shape)}] {Dtype}, parameters {ParameterDtype} x {ParameterScale:g3}{(LittleTrained ? ", little trained" : "")}, {Content} x {Scale:g17}, gradient x {GradScale:g3}, eps {Eps:g3}, {Layout}, gradient {GradLayout}, "
        + $"frozen {FrozenInput} {FrozenParameters}, nr_params {Parameters}, subtract_last {SubtractLast}, min_stdev {MinStdev}, holes {Holes}, masked {Masked}, seed {Seed}");

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static bool IsSeries(Kind kind) => kind is Kind.RINorm or Kind.RINormNotAffine;

    private static long Product(long[] shape) => shape.Aggregate(1L, (product, size) => product * size);

    // The first axes become smaller until all fit.
    private static long[] Fitted(long[] shape, long values)
    {
        while (Product(shape) > values)
        {
            var largest = Array.IndexOf(shape[..^1], shape[..^1].DefaultIfEmpty().Max());
            if (largest < 0 || shape[largest] == 1)
                shape[^1] = Math.Max(1, shape[^1] / 2);
            else
                shape[largest] = (shape[largest] + 1) / 2;
        }
        return shape;
    }

    private static ScalarType Mixed(Kind kind, ScalarType dtype, ScalarType other) =>
        kind == Kind.RMSNorm || IsSeries(kind) ? other
        : dtype is ScalarType.Float16 or ScalarType.BFloat16 ? ScalarType.Float32
        : dtype;

    private static double PowerOf(ScalarType dtype, double share, double most) => Math.ScaleB(1, (int)Math.Round(share * most * Exponents(dtype)));

    private static double Exponents(ScalarType dtype) => dtype switch { ScalarType.Float16 => 14, ScalarType.Float64 => 1000, _ => 120 };

    private static double Largest(ScalarType dtype) => dtype switch
    {
        ScalarType.Float16 => 65504,
        ScalarType.BFloat16 => Math.ScaleB(255, 120),
        ScalarType.Float32 => float.MaxValue,
        _ => double.MaxValue,
    };

    // Nearly normal, of variance 1, by operations that every machine rounds alike.
    private static double Normal(Random random) => (random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 2;

    private Tensor Input(int seed, long[] shape)
    {
        var random = new Random(seed);
        var values = new double[Product(shape)];
        var width = IsOfSeries ? Shape[^1] : Width;
        if (IsOfSeries)
        {
            var steps = values.Length / shape[0] / width;
            for (long series = 0; series < shape[0]; series++)
            {
                for (long component = 0; component < width; component++)
                    Fill(random, step => (((series * steps) + step) * width) + component, steps, values);
            }
        }
        else
        {
            for (long row = 0; row < values.Length / width; row++)
                Fill(random, i => (row * width) + i, width, values);
        }
        for (var i = 0; IsOfSeries && Holes && !Masked && i < values.Length; i++)
            values[i] = random.Next(4) == 0 ? double.NaN : values[i];
        return Rounded(values, shape, Dtype);
    }

    private void Fill(Random random, Func<long, long> at, long count, double[] values)
    {
        var content = Content == Content.Mixed ? (Content)random.Next((int)Content.Mixed) : Content;
        var (exponents, largest) = (Exponents(Dtype), Largest(Dtype));
        var outlier = random.NextInt64(count);
        var level = Normal(random) * Scale;
        for (long i = 0; i < count; i++)
        {
            values[at(i)] = content switch
            {
                Content.FarFromZero => level + (random.Next(-2, 3) * Math.Abs(level) * 1e-5),
                Content.Constant => level,
                Content.Zeros => 0,
                Content.OneOutlier => i == outlier ? level * Math.ScaleB(1, (int)exponents / 3) : Normal(random) * Scale,
                Content.AnyMagnitude => Normal(random) * Math.ScaleB(1, random.Next(-(int)exponents, (int)exponents)),
                Content.SquaresOverflow => Normal(random) * Math.ScaleB(1, (int)exponents * 9 / 10),
                Content.SquaresVanish => Normal(random) * Math.ScaleB(1, -(int)exponents * 9 / 10),
                Content.Subnormal => random.Next(-40, 41) * (Dtype switch { ScalarType.Float16 => Math.ScaleB(1, -24), ScalarType.BFloat16 => Math.ScaleB(1, -133), ScalarType.Float32 => float.Epsilon, _ => double.Epsilon }),
                Content.LargestValues => (random.Next(2) == 0 ? -1 : 1) * largest * (random.Next(3) == 0 ? 0.5 : 1),
                Content.FewIntegers => random.Next(-3, 4),
                _ => Normal(random) * Scale,
            };
        }
    }

    private static Tensor Rounded(double[] values, long[] shape, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var largest = Largest(dtype);
        return tensor(values, ScalarType.Float64).clamp(-largest, largest).reshape(shape).to(dtype).MoveToOuterDisposeScope();
    }
}
