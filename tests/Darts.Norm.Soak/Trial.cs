namespace Darts.Norm.Soak;

/// <summary>Everything that must hold of a problem.</summary>
public static class Trial
{
    /// <summary>An output's error, in units in the last place of its row's or series' largest value.</summary>
    public const double OutputUnits = 4;

    /// <summary>A gradient's error, in units in the last place of its formula's largest term.</summary>
    public const double GradientUnits = 8;

    private static readonly string[] Own = ["y", "mean", "stdev", "y: grad.x"];

    /// <summary>What does not hold, in words; nothing where all is well.</summary>
    /// <remarks>Right against <see cref="Exact"/>; and the same bits however the tensors lie, with any number of threads, again, and alone as in a batch.</remarks>
    /// <param name="problem">What to run.</param>
    /// <param name="threads">On how many threads, besides on one.</param>
    /// <param name="isJudged">Whether to compare with the truth, which takes its time; null for where the problem says so.</param>
    public static List<string> Faults(Problem problem, int threads, bool? isJudged = null)
    {
        using var scope = NewDisposeScope();
        using var layer = problem.NewLayerWithParameters();
        var (x, mask) = (problem.Input().As(problem.Layout), problem.Mask());
        var faults = new List<string>();
        using var results = Run(x.Packed(), mask, Layout.Contiguous);
        if (isJudged ?? problem.HasTruth)
            faults.AddRange(Errors(problem, layer, results, x, mask).Where(error => !(error.units <= Bound(error.name))).Select(error => $"{error.name} is off by {error.units:g4} units"));

        var before = get_num_threads();
        try
        {
            set_num_threads(threads);
            using var laid = Run(x, mask?.As(problem.Layout is Layout.RepeatedRows or Layout.RepeatedValues ? Layout.LastAxesSwapped : problem.Layout), problem.GradLayout);
            Compare("its copy, all on one thread", laid, problem.GradLayout is Layout.RepeatedRows or Layout.RepeatedValues ? Run(x.Packed(), mask, problem.GradLayout, packed: true) : null);
        }
        finally
        {
            set_num_threads(before);
        }
        if (problem.Shape[0] > 1 && problem.Shape.Length > (problem.Kind == Kind.LayerNormOfTwoAxes ? 2 : 1))
            Alone();
        return faults;

        Results Run(Tensor input, Tensor? observed, Layout gradLayout, bool packed = false) => Results.Of(problem, layer, input, observed, shape =>
        {
            var gradient = problem.Gradient(shape).As(gradLayout);
            return packed ? gradient.Packed() : gradient;
        });

        void Compare(string with, Results laid, Results? other)
        {
            using (other)
            {
                if ((other ?? results).Difference(laid) is { } name)
                    faults.Add($"{name} of {problem.Layout} tensors on {threads} threads differs from that of {with}");
            }
        }

        void Alone()
        {
            var last = problem.Shape[0] - 1;
            using var alone = Results.Of(problem, layer, x.narrow(0, last, 1), mask?.narrow(0, last, 1), shape => problem.Gradient([problem.Shape[0], .. shape[1..]]).narrow(0, last, 1));
            foreach (var name in Own.Where(results.ContainsKey))
            {
                if (!Results.Bits(results[name].narrow(0, last, 1)).SequenceEqual(Results.Bits(alone[name])))
                    faults.Add($"{name} alone differs from that in a batch");
            }
        }
    }

    public static IReadOnlyList<(string name, double units)> Errors(Problem problem, NormModule layer, Results results, Tensor x, Tensor? mask) =>
        Exact.Errors(problem, layer, results, x, mask, problem.Gradient);

    private static double Bound(string name) => name.Contains("grad", StringComparison.Ordinal) ? GradientUnits : OutputUnits;
}
