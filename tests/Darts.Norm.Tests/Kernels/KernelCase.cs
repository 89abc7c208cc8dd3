using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>One operation on one input, with everything that a gradient can be asked for.</summary>
/// <remarks>The values come from integers alone, so that they are the same bits on every machine.</remarks>
internal sealed class KernelCase : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly MissingValues _gaps;

    public KernelCase(string operation, ScalarType dtype, long[] shape, double level = 0, bool isStrided = false)
    {
        var features = shape[^1];
        X = Leaf(Input(shape, dtype, level, isStrided));
        Weight = Leaf((Values([features], dtype, 77) + 1.5).to(dtype));
        Bias = Leaf(Values([features], dtype, 78).to(dtype));
        var options = new StatisticsOptions(1e-5);
        switch (operation)
        {
            case nameof(RMSNorm):
                (Operation, Bias) = (new RMSNormOperation(features, 1e-8), null);
                break;
            case nameof(LayerNorm):
                Operation = new LayerNormOperation([features], 1e-5);
                break;
            case "LayerNormSmallBias":
                Operation = new LayerNormOperation([features], 1e-5);
                (Weight, Bias) = (Leaf((1.5 + (Weight.detach().to(ScalarType.Float64) / 8)).to(dtype)), Leaf((Bias.detach().to(ScalarType.Float64) / 16).to(dtype)));
                break;
            case "LayerNormNoBias":
                (Operation, Weight, Bias) = (new LayerNormOperation([features], 1e-5), null, null);
                break;
            case "RINorm":
                Operation = new RINormOperation(RINormStatistics.Of(X, options, default), options, default);
                break;
            case "RINormGaps":
                _gaps = new(Missing.Zero, Values(shape, ScalarType.Float64, 5) > -0.5);
                Operation = new RINormOperation(RINormStatistics.Of(X, options, _gaps), options, _gaps);
                break;
            default:
                var statistics = RINormStatistics.Of(X, options, default);
                new RINormOperation(statistics, options, default).Apply(X.detach(), null, null).Dispose();
                LikelihoodParameter[] kinds = operation == "RINormInverse" ? [LikelihoodParameter.Location] : Enum.GetValues<LikelihoodParameter>();
                Operation = new RINormInverseOperation(statistics, 1e-5, kinds);
                X = Leaf(Input([.. shape, Math.Max(3, kinds.Length)], dtype, level, isStrided));
                break;
        }
        GradOutput = Strided(Values(X.shape, dtype, 123).to(dtype), isStrided);
    }

    public static string[] RowOperations => [nameof(RMSNorm), nameof(LayerNorm), "LayerNormSmallBias", "LayerNormNoBias"];

    public static string[] SeriesOperations => ["RINorm", "RINormGaps", "RINormInverse", "RINormInverseByKind"];

    public FusedOperation Operation { get; }

    public Tensor X { get; }

    public Tensor? Weight { get; }

    public Tensor? Bias { get; }

    public Tensor GradOutput { get; }

    /// <summary>The output and the gradients of x, weight and bias, by the kernels.</summary>
    public List<Tensor> ByKernels() => WithGradients(Operation.Apply(X, Weight, Bias));

    /// <summary>The wanted ones of the gradients of x, weight and bias, by the kernels.</summary>
    public Tensor?[] Backward(Wanted wanted)
    {
        using var kept = new Float64Buffer(Operation.Keeps(X));
        var inputs = new Inputs(X.detach(), Weight?.detach(), Bias?.detach(), Operation.Statistics, Operation.Mask, kept);
        Operation.Forward(inputs).Dispose();
        var gradients = Operation.Backward(inputs, GradOutput, wanted);
        return [gradients.X, gradients.Weight, gradients.Bias];
    }

    /// <summary>The output and the gradients by the formula, from the kernels' statistics.</summary>
    public List<Tensor> ByFormula() => WithGradients(Operation.Formula(new(X, Weight, Bias, Operation.Statistics, Operation.Mask)));

    /// <summary>The statistics by the kernels and by the formula; null where the operation has none to take.</summary>
    public (Tensor kernels, Tensor formula)? Statistics() =>
        Operation is RINormOperation ? (Operation.Statistics!, Formulas.SeriesStatistics(X, new(1e-5), _gaps)) : null;

    public void Dispose() => _scope.Dispose();

    private List<Tensor> WithGradients(Tensor output)
    {
        List<Tensor> asked = [.. new[] { X, Weight, Bias }.OfType<Tensor>()];
        return [output, .. autograd.grad([output], asked, [GradOutput])];
    }

    private static Tensor Leaf(Tensor tensor) => tensor.detach().requires_grad_();

    private static Tensor Input(long[] shape, ScalarType dtype, double level, bool isStrided) => Strided((Values(shape, dtype, 1) + level).to(dtype), isStrided);

    private static Tensor Strided(Tensor values, bool isStrided) => isStrided ? values.transpose(0, 1).contiguous().transpose(0, 1) : values;

    /// <summary>Numbers of 20 bits between -2 and 2, in float64.</summary>
    private static Tensor Values(long[] shape, ScalarType dtype, uint seed)
    {
        var state = (seed * 2654435761) + (uint)dtype;
        var values = new double[shape.Aggregate(1L, (a, b) => a * b)];
        for (var i = 0; i < values.Length; i++)
        {
            state = (state * 1664525) + 1013904223;
            values[i] = ((double)(state >> 12) / (1 << 18)) - 2;
        }
        return tensor(values).reshape(shape);
    }
}
