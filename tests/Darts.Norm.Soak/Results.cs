namespace Darts.Norm.Soak;

/// <summary>What a layer answers to a problem, by name: outputs, statistics and every gradient.</summary>
public sealed class Results : Dictionary<string, Tensor>, IDisposable
{
    /// <summary>Runs a problem once.</summary>
    /// <param name="problem">What to run.</param>
    /// <param name="layer">Its layer.</param>
    /// <param name="x">The input, however it lies.</param>
    /// <param name="mask">Where it has values; null for everywhere.</param>
    /// <param name="gradient">The gradient of an output of this shape.</param>
    public static Results Of(Problem problem, NormModule layer, Tensor x, Tensor? mask, Func<long[], Tensor> gradient)
    {
        using var scope = NewDisposeScope();
        var results = new Results();
        x = Leaf(x, !problem.FrozenInput);
        if (layer is not RINorm rin)
        {
            results.Take("y", layer.forward(x), layer, x, "x", gradient);
            return results;
        }
        var (y, statistics) = rin.normalize(x, mask);
        using (statistics)
        {
            results.Take("y", y, layer, x, "x", gradient);
            results.Keep("mean", statistics.mean);
            results.Keep("stdev", statistics.stdev);
            x = Leaf(gradient([x.size(0), 3, .. x.shape[2..]]), !problem.FrozenInput);
            results.Keep("x2", x);
            results.Take("y2", rin.transform(x, statistics), layer, x, "x2", gradient);
            var z = Leaf(gradient([.. x.shape, problem.Parameters]), !problem.FrozenInput);
            results.Keep("z", z);
            results.Take("inv", rin.inverse(z, statistics), layer, z, "z", gradient);
            results.Take("likelihood", rin.inverse(z, statistics, problem.Likelihood), layer, z, "z", gradient);
        }
        return results;
    }

    /// <summary>The first name whose dtype, shape or bits differ; null where all are the same.</summary>
    public string? Difference(Results other)
    {
        using var scope = NewDisposeScope();
        if (!Keys.SequenceEqual(other.Keys))
            return "the names";
        return Keys.FirstOrDefault(name => this[name].dtype != other[name].dtype || !this[name].shape.SequenceEqual(other[name].shape) || !Bits(this[name]).SequenceEqual(Bits(other[name])));
    }

    /// <summary>The bytes of a tensor, NaN as one NaN.</summary>
    public static byte[] Bits(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var bytes = tensor.detach().contiguous().bytes.ToArray();
        var isNaN = tensor.isnan().contiguous().bytes;
        var size = (int)tensor.element_size();
        for (var i = 0; i < isNaN.Length; i++)
        {
            if (isNaN[i] != 0)
                bytes.AsSpan(i * size, size).Fill(byte.MaxValue);
        }
        return bytes;
    }

    public void Dispose()
    {
        foreach (var tensor in Values)
            tensor.Dispose();
    }

    private static Tensor Leaf(Tensor tensor, bool requiresGrad) => tensor.detach().requires_grad_(requiresGrad);

    private void Take(string name, Tensor output, NormModule layer, Tensor input, string inputName, Func<long[], Tensor> gradient)
    {
        Keep(name, output);
        if (!output.requires_grad)
            return;
        var leaves = layer.named_parameters().Where(leaf => leaf.parameter.requires_grad).Select(leaf => (leaf.name, (Tensor)leaf.parameter)).ToList();
        if (input.requires_grad)
            leaves.Add((inputName, input));
        if (leaves.Count == 0)
            return;
        var gradients = autograd.grad([output], [.. leaves.Select(leaf => leaf.Item2)], [gradient(output.shape).to(output.dtype)]);
        foreach (var (leaf, value) in leaves.Zip(gradients))
            Keep($"{name}: grad.{leaf.name}", value);
    }

    private void Keep(string name, Tensor value) => Add(name, value.detach().clone().DetachFromDisposeScope());
}
