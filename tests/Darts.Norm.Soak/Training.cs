namespace Darts.Norm.Soak;

/// <summary>Forward and backward calls, as many as are asked for, over the same small tensors.</summary>
public static class Training
{
    private const int WarmUp = 20_000;

    public static Report Run(long calls)
    {
        var report = Report.OfAllThreads();
        using (NewDisposeScope())
        {
            var layers = new List<NormModule>();
            var cases = Enum.GetValues<Kind>().Select(kind => Case(kind, layers)).ToList();
            for (var call = 0; call < calls; call++)
            {
                cases[call % cases.Count]();
                report.Called();
                if (call == Math.Min(WarmUp, calls / 4))
                    report.WarmedUp();
            }
            layers.ForEach(layer => layer.Dispose());
        }
        return report.Ended();
    }

    private static Action Case(Kind kind, List<NormModule> layers)
    {
        var problem = Problem.Simple(kind, kind is Kind.RINorm or Kind.RINormNotAffine ? [2, 6, 8] : [6, 8]);
        var layer = problem.NewLayerWithParameters();
        layers.Add(layer);
        var x = problem.Input().requires_grad_();
        var gradient = problem.Gradient(x.shape);
        return () =>
        {
            using var scope = NewDisposeScope(); // reading grad makes a tensor each time
            var y = layer.forward(x);
            y.backward([gradient]);
            x.grad!.zero_();
            foreach (var parameter in layer.parameters())
                parameter.grad!.zero_();
        };
    }
}
