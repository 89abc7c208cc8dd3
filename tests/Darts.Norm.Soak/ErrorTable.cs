using CsCheck;

namespace Darts.Norm.Soak;

/// <summary>The largest errors, in units in the last place, over the same random problems: of the layers, of the formula op by op, and of libtorch's layer_norm.</summary>
public static class ErrorTable
{
    private static readonly ScalarType[] Dtypes = [ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64];

    private static readonly (string name, Content content, double scale)[] Inputs =
        [("ordinary", Content.Ordinary, 1), ("far from zero", Content.FarFromZero, 1000), ("squares overflow", Content.SquaresOverflow, 1), ("squares vanish", Content.SquaresVanish, 1), ("constant", Content.Constant, 3)];

    public static IEnumerable<string> Lines(int problems)
    {
        yield return "| layer | dtype | input | output | op by op | layer_norm | gradient | op by op | layer_norm |";
        yield return "|---|---|---|---|---|---|---|---|---|";
        foreach (var kind in (Kind[])[Kind.RMSNorm, Kind.LayerNorm, Kind.LayerNormWithoutBias, Kind.RINorm])
        {
            foreach (var dtype in Dtypes)
            {
                foreach (var (name, content, scale) in Inputs)
                {
                    var worst = Worst(kind, dtype, content, scale, problems);
                    yield return $"| {Name(kind)} | {dtype} | {name} | {string.Join(" | ", worst)} |";
                }
            }
        }
    }

    /// <summary>Output and gradient of the layer, op by op, and of libtorch.</summary>
    public static (double output, double gradient)[] Errors(Problem problem)
    {
        using var scope = NewDisposeScope();
        using var layer = problem.NewLayerWithParameters();
        var x = problem.Input();
        var gradient = problem.Gradient(x.shape);
        using var ours = Results.Of(problem with { FrozenInput = false }, layer, x, null, problem.Gradient);
        using var opByOp = OpByOp.Of(layer, x, gradient);
        using var libtorch = OpByOp.LibTorch(layer, x, gradient);
        return [Of(ours), Of(opByOp), libtorch is null ? (double.NaN, double.NaN) : Of(libtorch)];

        (double, double) Of(Results results)
        {
            var errors = Exact.Errors(problem, layer, results, x, null, problem.Gradient).ToDictionary(error => error.name, error => error.units);
            return (errors["y"], errors["y: grad.x"]);
        }
    }

    private static string Name(Kind kind) => kind == Kind.LayerNormWithoutBias ? "LayerNorm(bias: false)" : $"{kind}";

    private static IEnumerable<string> Worst(Kind kind, ScalarType dtype, Content content, double scale, int problems)
    {
        var (worst, random) = (new (double output, double gradient)[3], new PCG(1, 7));
        for (var i = 0; i < problems; i++)
        {
            var problem = Problem.Simple(kind, kind == Kind.RINorm ? [2, 96, 7] : [8, 192]) with
            {
                Dtype = dtype,
                ParameterDtype = dtype,
                Content = content,
                Scale = scale,
                Seed = (int)random.Next(int.MaxValue),
            };
            worst = [.. worst.Zip(Errors(problem), (a, b) => (Math.Max(a.output, b.output), Math.Max(a.gradient, b.gradient)))];
        }
        return [.. worst.Select(error => Text(error.output)), .. worst.Select(error => Text(error.gradient))];
    }

    private static string Text(double units) => double.IsNaN(units) ? "" : double.IsInfinity(units) ? "NaN or infinite" : units < 1000 ? $"{units:0.##}" : $"{units:0.#e+0}";
}
