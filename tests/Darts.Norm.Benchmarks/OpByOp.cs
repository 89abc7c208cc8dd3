namespace Darts.Norm.Benchmarks;

/// <summary>The layers as Darts writes them, an operation after the other in the input's dtype.</summary>
public static class OpByOp
{
    public static Tensor RMSNorm(Tensor x, Tensor g)
    {
        using var scope = NewDisposeScope();
        var rms = linalg.vector_norm(x, dims: [-1L], keepdim: true) * Math.Pow(x.size(-1), -0.5);
        return (x / rms.clamp_min(1e-8) * g).MoveToOuterDisposeScope();
    }

    public static Tensor LayerNorm(Tensor x, Tensor? weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        var mean = x.mean([-1L], keepdim: true);
        var y = (x - mean) / (x.var(-1, unbiased: false, keepdim: true) + 1e-5).sqrt();
        return (weight is null ? y : (y * weight) + bias!).MoveToOuterDisposeScope();
    }

    public static Tensor RINorm(Tensor x, Tensor weight, Tensor bias)
    {
        using var scope = NewDisposeScope();
        var mean = x.mean([1L], keepdim: true).detach();
        var stdev = (x.var(1, unbiased: false, keepdim: true) + 1e-5).sqrt().detach();
        return Transform(x, mean, stdev, weight, bias).MoveToOuterDisposeScope();
    }

    public static Tensor Transform(Tensor x, Tensor mean, Tensor stdev, Tensor weight, Tensor bias)
    {
        using var scope = NewDisposeScope();
        return (((x - mean) / stdev * weight) + bias).MoveToOuterDisposeScope();
    }

    public static Tensor Inverse(Tensor z, Tensor mean, Tensor stdev, Tensor weight, Tensor bias)
    {
        using var scope = NewDisposeScope();
        var y = (z - bias.unsqueeze(-1)) / (weight + 1e-10).unsqueeze(-1);
        return ((y * stdev.unsqueeze(-1)) + mean.unsqueeze(-1)).MoveToOuterDisposeScope();
    }
}
