namespace Darts.Norm.Soak;

/// <summary>The layers' formulas and gradients, written out in <see cref="Wide"/> numbers, from the values that a run got.</summary>
/// <remarks>Each result comes with the magnitude that its error is measured by: an output's the largest of its row or series, a gradient's the largest term of its formula.
/// A row or series that is divided by zero has no truth, nor has a sum over it.</remarks>
public sealed class Exact
{
    /// <summary>Below it the x̂ of double precision has fewer digits.</summary>
    private static readonly Wide LeastHat = Wide.PowerOfTwo(-1022);

    private readonly Problem _problem;
    private readonly Results _results;
    private readonly Dictionary<string, double[]> _parameters;
    private readonly Func<long[], Tensor> _gradient;
    private readonly List<(string name, double units)> _errors = [];

    private Exact(Problem problem, NormModule layer, Results results, Func<long[], Tensor> gradient)
    {
        (_problem, _results, _gradient) = (problem, results, gradient);
        _parameters = layer.named_parameters().ToDictionary(entry => entry.name, entry => Doubles(entry.parameter));
    }

    /// <summary>The largest error of each result, in units in the last place: infinite for NaN, or for an infinity where there is a number.</summary>
    public static IReadOnlyList<(string name, double units)> Errors(
        Problem problem, NormModule layer, Results results, Tensor x, Tensor? mask, Func<long[], Tensor> gradient)
    {
        using var scope = NewDisposeScope();
        var exact = new Exact(problem, layer, results, gradient);
        if (problem.IsOfSeries)
            exact.Series(x, mask);
        else
            exact.Rows(x);
        return exact._errors;
    }

    public static double[] Doubles(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return [.. tensor.detach().to(ScalarType.Float64).contiguous().data<double>()];
    }

    private void Rows(Tensor input)
    {
        var (x, go, width) = (Doubles(input), GradientOf("y"), (int)_problem.Width);
        var centers = _problem.Kind != Kind.RMSNorm;
        var weight = _parameters.GetValueOrDefault(centers ? "weight" : "g");
        var bias = _parameters.GetValueOrDefault("bias");
        var (y, largestY) = (new Wide[x.Length], new Wide[x.Length]);
        var (gx, largestGx) = (new Wide[x.Length], new Wide[x.Length]);
        var (gw, largestGw) = (new Wide[width], new Wide[width]);
        var (gb, largestGb) = (new Wide[width], new Wide[width]);
        var (hat, wgo) = (new Wide[width], new Wide[width]);
        var isDefined = new bool[x.Length];
        for (var start = 0; start < x.Length; start += width)
        {
            Wide mean = default, square = default;
            for (var i = 0; i < width && centers; i++)
                mean += x[start + i];
            mean = centers && IsConstant(x.AsSpan(start, width)) ? x[start] : mean / width;
            for (var i = 0; i < width; i++)
            {
                var v = x[start + i] - mean;
                square += v * v;
            }
            var scale = centers ? ((square / width) + _problem.Eps).Sqrt() : Wide.Max((square / width).Sqrt(), _problem.Eps);
            if (scale.CompareTo(0) == 0)
                continue;
            Array.Fill(isDefined, true, start, width);
            var flows = centers || !((square / width).Sqrt() < _problem.Eps);
            Wide largest = default, sum = default, along = default, largestTerm = default, largestAlong = default;
            for (var i = 0; i < width; i++)
            {
                hat[i] = (x[start + i] - mean) / scale;
                var w = weight?[i] ?? 1;
                var value = (hat[i] * w) + (bias?[i] ?? 0);
                y[start + i] = value;
                largest = Largest(largest, value, Term("y", hat[i] * w), Term("y", bias?[i] ?? 0));
                wgo[i] = (Wide)w * go[start + i];
                sum += wgo[i];
                along += wgo[i] * hat[i];
                largestTerm = Wide.Max(largestTerm, wgo[i].Abs());
                largestAlong = Wide.Max(largestAlong, (wgo[i] * hat[i]).Abs());
                var term = hat[i] * go[start + i];
                gw[i] += term;
                largestGw[i] = Largest(largestGw[i], term, LeastHat * go[start + i]);
                gb[i] += go[start + i];
                largestGb[i] = Wide.Max(largestGb[i], Math.Abs(go[start + i]));
            }
            if (!centers)
                (sum, largestTerm) = (default, default);
            if (!flows)
                (along, largestAlong) = (default, default);
            sum /= width;
            along /= width;
            for (var i = 0; i < width; i++)
            {
                largestY[start + i] = largest;
                gx[start + i] = (wgo[i] - sum - (hat[i] * along)) / scale;
                largestGx[start + i] = Largest(wgo[i] / scale, sum / scale, largestTerm / width / scale, hat[i] * along / scale, hat[i] * largestAlong / width / scale);
            }
        }
        Judge("y", y, largestY, isDefined);
        Judge("y: grad.x", gx, largestGx, isDefined);
        if (isDefined.Contains(false))
            return;
        Judge($"y: grad.{(centers ? "weight" : "g")}", gw, largestGw);
        Judge("y: grad.bias", gb, largestGb);
    }

    private void Series(Tensor input, Tensor? mask)
    {
        var (x, batch, components) = (Doubles(input), (int)input.size(0), (int)input.size(-1));
        var observed = mask is null ? null : mask.contiguous().data<bool>().ToArray();
        var steps = x.Length / batch / components;
        var stepsAtATime = steps / (int)input.size(1);
        var (mean, stdev, largestX) = (new Wide[batch * components], new Wide[batch * components], new Wide[batch * components]);
        for (var series = 0; series < batch; series++)
        {
            for (var c = 0; c < components; c++)
                Statistics(series, c);
        }
        if (stdev.Any(value => value.CompareTo(0) == 0))
            return;
        Map("y", x, "x", i => Is(i));
        if (!_results.ContainsKey("mean"))
            return;
        Judge("mean", mean, largestX);
        Judge("stdev", stdev, stdev);
        Map("y2", Doubles(_results["x2"]), "x2", _ => true);
        Inverse("inv", false);
        if (_problem.Parameters > 0)
            Inverse("likelihood", true);

        bool Is(int i) => !_problem.Holes || (!double.IsNaN(x[i]) && observed?[i] != false);

        void Statistics(int series, int c)
        {
            var own = Enumerable.Range(0, steps).Select(step => (step, i: (((series * steps) + step) * components) + c)).Where(value => Is(value.i)).ToList();
            var at = (series * components) + c;
            if (own.Count == 0)
            {
                stdev[at] = 1;
                return;
            }
            foreach (var (_, i) in own)
            {
                mean[at] += x[i];
                largestX[at] = Wide.Max(largestX[at], Math.Abs(x[i]));
            }
            mean[at] = IsConstant([.. own.Select(value => x[value.i])]) ? x[own[0].i] : mean[at] / own.Count;
            Wide square = default;
            foreach (var (_, i) in own)
                square += (x[i] - mean[at]) * (x[i] - mean[at]);
            stdev[at] = Wide.Max(((square / own.Count) + _problem.Eps).Sqrt(), _problem.MinStdev);
            if (!_problem.SubtractLast)
                return;
            var last = own.Where(value => value.step / stepsAtATime == own[^1].step / stepsAtATime).ToList();
            mean[at] = default;
            foreach (var (_, i) in last)
                mean[at] += x[i];
            mean[at] /= last.Count;
        }

        void Map(string name, double[] values, string inputName, Func<int, bool> isObserved)
        {
            var go = GradientOf(name);
            var (weight, bias) = (_parameters.GetValueOrDefault("affine_weight"), _parameters.GetValueOrDefault("affine_bias"));
            var (y, largestY, gx) = (new Wide[values.Length], new Wide[values.Length], new Wide[values.Length]);
            var (gw, largestGw, gb, largestGb) = (new Wide[components], new Wide[components], new Wide[components], new Wide[components]);
            var largest = new Wide[batch * components];
            var each = values.Length / batch / components;
            for (var i = 0; i < values.Length; i++)
            {
                var (c, at) = (i % components, At(i, each));
                if (!isObserved(i))
                    continue;
                var hat = (values[i] - mean[at]) / stdev[at];
                y[i] = (hat * (weight?[c] ?? 1)) + (bias?[c] ?? 0);
                largest[at] = Largest(largest[at], y[i], Term(name, hat * (weight?[c] ?? 1)), Term(name, bias?[c] ?? 0));
                gx[i] = (Wide)go[i] * (weight?[c] ?? 1) / stdev[at];
                Add(gw, largestGw, c, hat * go[i]);
                Add(gb, largestGb, c, go[i]);
            }
            for (var i = 0; i < values.Length; i++)
                largestY[i] = largest[At(i, each)];
            Judge(name, y, largestY);
            Judge($"{name}: grad.{inputName}", gx, gx);
            Judge($"{name}: grad.affine_weight", gw, largestGw);
            Judge($"{name}: grad.affine_bias", gb, largestGb);
        }

        void Inverse(string name, bool byLikelihood)
        {
            var (z, go, parameters) = (Doubles(_results["z"]), GradientOf(name), _problem.Parameters);
            var (weight, bias) = (_parameters.GetValueOrDefault("affine_weight"), _parameters.GetValueOrDefault("affine_bias"));
            var (y, largestY, gz) = (new Wide[z.Length], new Wide[z.Length], new Wide[z.Length]);
            var (gw, largestGw, gb, largestGb) = (new Wide[components], new Wide[components], new Wide[components], new Wide[components]);
            var largest = new Wide[batch * components * parameters];
            var each = z.Length / batch / components / parameters;
            for (var i = 0; i < z.Length; i++)
            {
                var (c, at) = (i / parameters % components, At(i / parameters, each));
                var divisor = weight is null ? 1 : weight[c] + ((Wide)_problem.Eps * _problem.Eps);
                if (divisor.CompareTo(0) == 0)
                    return;
                var factor = stdev[at] / divisor;
                var kind = byLikelihood ? _problem.Likelihood[i % parameters] : LikelihoodParameter.Location;
                var beside = default(Wide);
                switch (kind)
                {
                    case LikelihoodParameter.Location:
                        y[i] = ((z[i] - (Wide)(bias?[c] ?? 0)) * factor) + mean[at];
                        gz[i] = factor * go[i];
                        beside = Largest(Term(name, z[i] * factor), Term(name, (bias?[c] ?? 0) * factor), Term(name, mean[at]));
                        Add(gw, largestGw, c, -(gz[i] * (z[i] - (Wide)(bias?[c] ?? 0)) / divisor));
                        Add(gb, largestGb, c, -gz[i]);
                        break;
                    case LikelihoodParameter.Scale:
                        y[i] = factor.Abs() * z[i];
                        gz[i] = factor.Abs() * go[i];
                        Add(gw, largestGw, c, -(y[i] * go[i] / divisor));
                        break;
                    case LikelihoodParameter.Variance:
                        y[i] = factor * factor * z[i];
                        gz[i] = factor * factor * go[i];
                        Add(gw, largestGw, c, -((Wide)2 * y[i] * go[i] / divisor));
                        break;
                    case LikelihoodParameter.LogScale:
                        y[i] = z[i] + Log(factor.Abs());
                        gz[i] = go[i];
                        beside = Largest(Term(name, z[i]), Term(name, Log(factor.Abs())));
                        Add(gw, largestGw, c, -(go[i] / divisor));
                        break;
                    default:
                        y[i] = z[i];
                        gz[i] = go[i];
                        break;
                }
                var own = (at * parameters) + (i % parameters);
                largest[own] = Largest(largest[own], y[i], beside);
            }
            for (var i = 0; i < z.Length; i++)
                largestY[i] = largest[(At(i / parameters, each) * parameters) + (i % parameters)];
            Judge(name, y, largestY);
            Judge($"{name}: grad.z", gz, gz);
            Judge($"{name}: grad.affine_weight", gw, largestGw);
            Judge($"{name}: grad.affine_bias", gb, largestGb);
        }

        int At(int i, int each) => (i / components / each * components) + (i % components);
    }

    /// <summary>A term of an output, as far as double precision sees it: what cancels below a unit of float64, cancels in a truth of double precision too.</summary>
    private Wide Term(string name, Wide term) => term * Wide.PowerOfTwo(_results[name].dtype switch
    {
        ScalarType.Float16 => 10 - 52,
        ScalarType.BFloat16 => 7 - 52,
        ScalarType.Float32 => 23 - 52,
        _ => -40,
    });

    // Of double precision: what is rounded to fewer digits after it.
    private static Wide Log(Wide x) => Math.Log((x / Wide.PowerOfTwo(x.Exponent)).ToDouble()) + ((Wide)x.Exponent * Math.Log(2));

    /// <summary>Whether all values are one: its mean is that value, and a sum of 104 digits would not always say so.</summary>
    private static bool IsConstant(ReadOnlySpan<double> values) => !values.ContainsAnyExcept(values[0]);

    private static void Add(Wide[] sums, Wide[] largest, int at, Wide term)
    {
        sums[at] += term;
        largest[at] = Wide.Max(largest[at], term.Abs());
    }

    private static Wide Largest(params ReadOnlySpan<Wide> terms)
    {
        Wide largest = default;
        foreach (var term in terms)
            largest = Wide.Max(largest, term.Abs());
        return largest;
    }

    private double[] GradientOf(string name)
    {
        using var gradient = _gradient(_results[name].shape);
        return Doubles(gradient.to(_results[name].dtype));
    }

    private void Judge(string name, Wide[] truth, Wide[] largest, bool[]? isDefined = null)
    {
        if (!_results.TryGetValue(name, out var actual))
            return;
        var (values, worst) = (Doubles(actual), 0.0);
        for (var i = 0; i < values.Length; i++)
        {
            if (isDefined?[i] != false)
                worst = Math.Max(worst, Units(values[i], truth[i], Wide.Max(largest[i], truth[i].Abs()), actual.dtype));
        }
        _errors.Add((name, worst));
    }

    /// <summary>The error of a value in units in the last place of a magnitude.</summary>
    public static double Units(double value, Wide truth, Wide magnitude, ScalarType dtype)
    {
        var (digits, least, largest) = dtype switch
        {
            ScalarType.Float16 => (10, -14, 65504.0),
            ScalarType.BFloat16 => (7, -126, Math.ScaleB(255, 120)),
            ScalarType.Float32 => (23, -126, float.MaxValue),
            _ => (52, -1022, double.MaxValue),
        };
        var unit = Wide.PowerOfTwo(Math.Max(magnitude.Exponent, least) - digits);
        if (double.IsNaN(value))
            return double.PositiveInfinity;
        if (!double.IsInfinity(value))
            return ((value - truth) / unit).Abs().ToDouble();
        var nearest = (truth * Math.Sign(value)) + (unit * 4);
        return nearest.CompareTo(largest) > 0 ? 0 : double.PositiveInfinity;
    }
}
