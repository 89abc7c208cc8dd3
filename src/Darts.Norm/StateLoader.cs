namespace Darts.Norm;

/// <summary>Loads a state dictionary into a module with PyTorch's checks and texts, all or nothing.</summary>
internal static class StateLoader
{
    public static (IList<string> missing_keys, IList<string> unexpected_keys) Load(
        nn.Module module, Dictionary<string, Tensor> source, bool strict, IList<string>? skip)
    {
        var target = module.state_dict();
        var wanted = target.Keys.Where(key => skip?.Contains(key) != true).ToList();
        var missing = wanted.Where(key => !source.ContainsKey(key)).ToList();
        var unexpected = source.Keys.Where(key => !target.ContainsKey(key) && skip?.Contains(key) != true).ToList();
        var loaded = wanted.Where(source.ContainsKey).ToList();

        var errors = new List<string>();
        if (strict && missing.Count > 0)
            errors.Add($"Missing key(s) in state_dict: {Quote(missing)}. ");
        if (strict && unexpected.Count > 0)
            errors.Add($"Unexpected key(s) in state_dict: {Quote(unexpected)}. ");
        errors.AddRange(loaded.Select(key => Fault(key, source[key], target[key])).OfType<string>());
        if (errors.Count > 0)
            throw new InvalidOperationException(
                $"Error(s) in loading state_dict for {module.GetType().Name}:\n\t{string.Join("\n\t", errors)}");

        using var noGrad = no_grad();
        foreach (var key in loaded)
            target[key].copy_(source[key]);
        return (missing, unexpected);
    }

    private static string? Fault(string key, Tensor? value, Tensor target)
    {
        if (value is null || value.IsInvalid)
            return $"no value for {key}: the tensor is null or disposed.";
        if (!value.shape.AsSpan().SequenceEqual(target.shape))
            return $"size mismatch for {key}: copying a param with shape {TorchSize(value)} from checkpoint, "
                + $"the shape in current model is {TorchSize(target)}.";
        if (is_complex(value) && !is_complex(target))
            return $"dtype mismatch for {key}: a {value.dtype} value does not fit into a {target.dtype} parameter.";
        if ((value.device_type == DeviceType.META) != (target.device_type == DeviceType.META))
            return $"no values for {key}: it is on {value.device} in the dictionary and on {target.device} in this layer, and the meta device holds none.";
        return null;
    }

    private static string Quote(IEnumerable<string> keys) => string.Join(", ", keys.Select(key => $"\"{key}\""));

    private static string TorchSize(Tensor tensor) => $"torch.Size([{string.Join(", ", tensor.shape)}])";
}
