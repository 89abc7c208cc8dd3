namespace Darts.Norm.Tests.Reference;

/// <summary>A value in double precision, and for each element the largest term that its formula adds up (a sum may cancel to nothing).</summary>
public sealed record Truth(Tensor Value, Tensor LargestTerm);

/// <summary>The layers' formulas in double precision, gradients written out, from a case's recorded inputs.</summary>
public sealed class Truths
{
    private readonly ReferenceCase _case;
    private readonly Dictionary<string, Truth> _byRole = [];

    public Truths(ReferenceCase reference)
    {
        _case = reference;
        switch (reference.Layer)
        {
            case nameof(RMSNorm):
                RMSNormTruths();
                break;
            case nameof(RINorm):
                RINormTruths();
                break;
            default:
                LayerNormTruths();
                break;
        }
    }

    public Truth this[string role] => _byRole[role];

    public IEnumerable<string> Roles => _byRole.Keys;

    private void RMSNormTruths()
    {
        var (x, g, go) = (In("x"), In("param.g"), In("grad_out"));
        var n = x.size(-1);
        var norm = x.norm(-1, keepdim: true) / Math.Sqrt(n);
        var rms = norm.clamp_min(_case.Eps);
        Add("y", x / rms * g);
        var direct = g * go / rms;
        var through = where(norm > _case.Eps, x / rms.pow(3) / n, zeros_like(x));
        var lost = through * (g * go * x).sum(-1L, keepdim: true);
        Add("grad.x", direct - lost, Largest(direct, lost, through * LargestAlong(g * go * x, -1)));
        AddSum("grad.g", go * x / rms, x.dim() - 1);
    }

    private void LayerNormTruths()
    {
        var (x, go) = (In("x"), In("grad_out"));
        var weight = _case["param.weight"] is null ? ones(_case.Size, dtype: ScalarType.Float64) : In("param.weight");
        var axes = Enumerable.Range(1, _case.Size.Length).Select(i => (long)-i).ToArray();
        var mean = x.mean(axes, keepdim: true);
        var rstd = ((x - mean).pow(2).mean(axes, keepdim: true) + _case.Eps).rsqrt();
        var xhat = (x - mean) * rstd;
        var wgo = weight * go;
        var bias = _case["param.bias"] is null ? zeros_like(weight) : In("param.bias");
        Add("y", (xhat * weight) + bias, Largest(x * rstd * weight, (mean * rstd * weight).expand_as(x), bias.expand_as(x)));
        var n = (double)_case.Size.Aggregate(1L, (a, b) => a * b);
        var (mean1, mean2) = (wgo.mean(axes, keepdim: true), xhat * (wgo * xhat).mean(axes, keepdim: true));
        Add(
            "grad.x",
            rstd * (wgo - mean1 - mean2),
            Largest(rstd * wgo, (rstd * mean1).expand_as(x), rstd * mean2, (rstd * LargestAlong(wgo, axes) / n).expand_as(x), rstd * Largest(x, mean.expand_as(x)) * rstd * LargestAlong(wgo * xhat, axes) / n));
        var batchAxes = x.dim() - _case.Size.Length;
        if (_case["param.weight"] is not null)
            AddSum("grad.weight", go * xhat, batchAxes, go * rstd * Largest(x, mean.expand_as(x)));
        if (_case["param.bias"] is not null)
            AddSum("grad.bias", go, batchAxes);
    }

    private void RINormTruths()
    {
        var (x, x2, go, z, gi) = (In("x"), In("x2"), In("grad_out"), In("z"), In("grad_inv"));
        var affine = _case["param.affine_weight"] is not null;
        var w = affine ? In("param.affine_weight") : ones(_case.Size, dtype: ScalarType.Float64);
        var b = affine ? In("param.affine_bias") : zeros(_case.Size, dtype: ScalarType.Float64);
        var pooled = Enumerable.Range(1, (int)x.dim() - 2).Select(axis => (long)axis).ToArray();
        var mean = x.mean(pooled, keepdim: true);
        var stdev = ((x - mean).pow(2).mean(pooled, keepdim: true) + _case.Eps).sqrt();
        Add("mean", mean, LargestAlong(x, pooled));
        Add("stdev", stdev, Largest(LargestAlong(x, pooled), stdev));
        Add("y", ((x - mean) / stdev * w) + b, Largest(x / stdev * w, (mean / stdev * w).expand_as(x), b.expand_as(x)));
        Add("y2", ((x2 - mean) / stdev * w) + b, Largest(x2 / stdev * w, (mean / stdev * w).expand_as(x2), b.expand_as(x2)));
        Add("grad.x", go * w / stdev);

        var divisor = affine ? (w + (_case.Eps * _case.Eps)).unsqueeze(-1) : ones(1, dtype: ScalarType.Float64);
        var (shift, level, scale) = (b.unsqueeze(-1), mean.unsqueeze(-1), stdev.unsqueeze(-1));
        Add("inv", ((z - shift) / divisor * scale) + level, Largest(z / divisor * scale, (shift / divisor * scale).expand_as(z), level.expand_as(z)));
        Add("grad_inv.z", gi / divisor * scale);
        if (!affine)
            return;
        AddSum("grad.affine_weight", go * (x - mean) / stdev, x.dim() - 1, go * Largest(x, mean.expand_as(x)) / stdev);
        AddSum("grad.affine_bias", go, x.dim() - 1);
        var perParameter = new[] { z.dim() - 1 };
        AddSum("grad_inv.affine_weight", -gi * (z - shift) / divisor.pow(2) * scale, z.dim() - 2, gi * Largest(z, shift.expand_as(z)) / divisor.pow(2) * scale, perParameter);
        AddSum("grad_inv.affine_bias", -gi / divisor * scale, z.dim() - 2, null, perParameter);
    }

    private Tensor In(string role) => _case[role]!.detach().to(ScalarType.Float64);

    private void Add(string role, Tensor value, Tensor? largest = null) => _byRole.Add(role, new(value, (largest ?? value).abs()));

    private void AddSum(string role, Tensor terms, long leading, Tensor? largest = null, long[]? more = null)
    {
        long[] axes = [.. Enumerable.Range(0, (int)leading).Select(axis => (long)axis), .. more ?? []];
        Add(role, axes.Length == 0 ? terms : terms.sum(axes), axes.Length == 0 ? largest ?? terms : LargestAlong(largest ?? terms, axes, keepdim: false));
    }

    private static Tensor Largest(params Tensor[] terms) => terms.Select(term => term.abs()).Aggregate((a, b) => a.maximum(b));

    private static Tensor LargestAlong(Tensor terms, long axis) => LargestAlong(terms, [axis]);

    private static Tensor LargestAlong(Tensor terms, long[] axes, bool keepdim = true) =>
        terms.numel() == 0 ? terms.sum(axes, keepdim) : terms.abs().amax(axes, keepdim);
}
