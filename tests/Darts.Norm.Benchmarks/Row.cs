using TorchSharp.Modules;

namespace Darts.Norm.Benchmarks;

public enum Pass
{
    Forward,
    ForwardAndBackward,
}

/// <summary>A row of the table: what is computed on which input, and how many copies it may cost.</summary>
public sealed record Row(string Layer, Pass Pass, double Copies, double LayerNorms, params long[] Shape)
{
    /// <summary>Every row. A bound of infinity is none.</summary>
    public static IReadOnlyList<Row> All { get; } =
    [
        .. Rows(1.15, 3.3, 1, ["RMSNorm", "LayerNorm", "LayerNormNoBias"], [64, 720, 512], [32, 192, 512]),
        .. Rows(1.5, 5, double.PositiveInfinity, ["RMSNorm", "LayerNorm", "LayerNormNoBias"], [32, 96, 512], [32, 96, 96]),
        .. Rows(1.3, 3.5, double.PositiveInfinity, ["RINorm", "RINorm.transform", "RINorm.inverse"], [32, 336, 862]),
        .. Rows(3, 7, double.PositiveInfinity, ["RINorm", "RINorm.transform", "RINorm.inverse"], [32, 96, 321]),
        .. Rows(6, 15, double.PositiveInfinity, ["RINorm", "RINorm.transform", "RINorm.inverse"], [32, 512, 7]),
        .. Rows(double.PositiveInfinity, double.PositiveInfinity, 1, ["RMSNorm", "LayerNorm", "LayerNormNoBias", "RINorm", "RINorm.transform", "RINorm.inverse"], [1, 96, 64]),
    ];

    /// <summary>The size of the input, in bytes.</summary>
    public long Bytes => Shape.Aggregate(4L, (product, size) => product * size);

    public override string ToString() => $"{Layer} [{string.Join(", ", Shape)}] {(Pass == Pass.Forward ? "forward" : "forward and backward")}";

    private static IEnumerable<Row> Rows(double forward, double both, double layerNorms, string[] layers, params long[][] shapes) =>
        from shape in shapes
        from layer in layers
        from pass in (Pass[])[Pass.Forward, Pass.ForwardAndBackward]
        select new Row(layer, pass, pass == Pass.Forward ? forward : both, pass == Pass.Forward || shape[0] > 1 ? layerNorms : 1.3 * layerNorms, shape);
}

/// <summary>The tensors of a row, and what is timed on them.</summary>
public sealed class Contest : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Pass _pass;
    private readonly Tensor _x;
    private readonly Tensor _gradOutput;
    private readonly Parameter _weight;
    private readonly Parameter _bias;
    private readonly long[] _normalized_shape;
    private readonly nn.Module<Tensor, Tensor> _layer;
    private readonly Func<Tensor> _fused;
    private readonly Func<Tensor> _opByOp;

    public Contest(Row row, ScalarType dtype = ScalarType.Float32)
    {
        _pass = row.Pass;
        var differentiate = row.Pass == Pass.ForwardAndBackward;
        long[] shape = row.Layer == "RINorm.inverse" ? [.. row.Shape, 1] : row.Shape;
        _x = randn(shape, dtype, requires_grad: differentiate);
        _gradOutput = randn(shape, dtype);
        _normalized_shape = [row.Shape[^1]];
        _weight = nn.Parameter(ones(_normalized_shape, dtype), differentiate);
        _bias = nn.Parameter(zeros(_normalized_shape, dtype), differentiate);
        var of = randn(row.Shape, dtype);
        var (mean, stdev) = (of.mean([1L], keepdim: true), of.std(1, keepdim: true));
        var noBias = row.Layer == nameof(LayerNormNoBias);
        _layer = row.Layer switch
        {
            nameof(RMSNorm) => new RMSNorm(row.Shape[^1], dtype: dtype),
            nameof(LayerNorm) => new LayerNorm(row.Shape[^1], dtype: dtype),
            nameof(LayerNormNoBias) => new LayerNormNoBias(row.Shape[^1], dtype: dtype),
            _ => new RINorm(row.Shape[^1], dtype: dtype),
        };
        _fused = () => _layer.forward(_x);
        _opByOp = row.Layer switch
        {
            nameof(RMSNorm) => () => Benchmarks.OpByOp.RMSNorm(_x, _weight),
            nameof(LayerNorm) or nameof(LayerNormNoBias) => () => Benchmarks.OpByOp.LayerNorm(_x, noBias ? null : _weight, noBias ? null : _bias),
            nameof(RINorm) => () => Benchmarks.OpByOp.RINorm(_x, _weight, _bias),
            "RINorm.transform" => () => Benchmarks.OpByOp.Transform(_x, mean, stdev, _weight, _bias),
            _ => () => Benchmarks.OpByOp.Inverse(_x, mean, stdev, _weight, _bias),
        };
        if (_layer is not RINorm rin || row.Layer == nameof(RINorm))
            return;
        rin.forward(of);
        _fused = row.Layer == "RINorm.inverse" ? () => rin.inverse(_x) : () => rin.transform(_x);
    }

    public void Clone()
    {
        using var noGrad = no_grad();
        _x.clone().Dispose();
    }

    public void Fused() => Run(_fused);

    public void OpByOp() => Run(_opByOp);

    /// <summary>libtorch's own normalisation of rows, whatever the row's layer.</summary>
    public void LayerNormOfLibtorch() => Run(() => nn.functional.layer_norm(_x.dim() > 3 ? _x.squeeze(-1) : _x, _normalized_shape, _weight, _bias));

    public void Dispose()
    {
        _layer.Dispose();
        _scope.Dispose();
    }

    private void Run(Func<Tensor> forward)
    {
        using var scope = NewDisposeScope();
        if (_pass == Pass.Forward)
        {
            using var noGrad = no_grad();
            forward();
            return;
        }
        var y = forward();
        y.backward([_gradOutput.view(y.shape)]);
        foreach (var leaf in (Tensor[])[_x, _weight, _bias, .. _layer.parameters()])
            leaf.grad = null;
    }
}
