namespace Darts.Norm;

/// <summary>Writes a network's state into a dictionary, with hooks and extra state, as PyTorch's <c>state_dict</c> does.</summary>
internal static class StateSaving
{
    public const string ExtraState = "_extra_state";

    public static TDestination Save<TDestination>(nn.Module module, TDestination destination, string prefix, bool keepVars)
        where TDestination : Dictionary<string, Tensor>
    {
        List<Tensor> made = [];
        try
        {
            Save(module, destination, prefix, keepVars, made, 0);
            return destination;
        }
        catch
        {
            foreach (var (key, _) in destination.Where(entry => made.Exists(tensor => ReferenceEquals(tensor, entry.Value))).ToList())
                destination.Remove(key);
            made.ForEach(tensor => tensor.Dispose());
            throw;
        }
    }

    /// <summary>PyTorch's <c>_version</c>: batch and instance normalisation count their batches since version 2.</summary>
    private static long Version(nn.Module module) => module is TorchSharp.Modules.NormBase ? 2 : 1;

    public static Tensor ExtraStateOf(IExtraState module) => module.get_extra_state() is { IsInvalid: false } state
        ? state
        : throw new InvalidOperationException(
            $"get_extra_state must answer a tensor, but that of {PythonText.ClassName((nn.Module)module)} answered null or a disposed one. Return a new tensor; one of size [0] where there is nothing to save.");

    private static void Save(nn.Module module, Dictionary<string, Tensor> destination, string prefix, bool keepVars, List<Tensor> made, int depth)
    {
        var localMetadata = new Dictionary<string, object> { ["version"] = Version(module) };
        if (destination is StateDict state)
            state.metadata[prefix.Length == 0 ? "" : prefix[..^1]] = localMetadata;
        foreach (var hook in ModuleRecord.Find(module)?.StateDictPreHooks.Hooks ?? [])
            hook(module, prefix, keepVars);
        foreach (var (name, parameter) in Registry.Parameters(module))
            destination[prefix + name] = Kept(parameter);
        foreach (var (name, buffer, _) in Registry.Buffers(module).Where(entry => entry.persistent))
            destination[prefix + name] = Kept(buffer);
        if (module is IExtraState extra)
        {
            var extraState = ExtraStateOf(extra);
            made.Add(extraState);
            destination[prefix + ExtraState] = extraState;
        }
        foreach (var (name, child) in Registry.Children(module, depth))
            Save(child, destination, $"{prefix}{name}.", keepVars, made, depth + 1);
        foreach (var hook in ModuleRecord.Find(module)?.StateDictPostHooks.Hooks ?? [])
            hook(module, destination, prefix, localMetadata);

        Tensor Kept(Tensor tensor)
        {
            if (keepVars)
                return tensor;
            made.Add(tensor.detach());
            return made[^1];
        }
    }
}
