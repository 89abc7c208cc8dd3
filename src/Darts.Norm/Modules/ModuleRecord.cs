using System.Runtime.CompilerServices;

namespace Darts.Norm;

/// <summary>What PyTorch remembers of a module and TorchSharp does not: its hooks, and names registered without a value. It lives and dies with the module.</summary>
internal sealed class ModuleRecord
{
    private static readonly ConditionalWeakTable<nn.Module, ModuleRecord> Records = new();

    // Names that were registered without a value, in order.
    public List<string> NullParameters { get; } = [];

    public List<string> NullBuffers { get; } = [];

    public List<string> NullModules { get; } = [];

    public HookList<Action<nn.Module, string, bool>> StateDictPreHooks { get; } = new();

    public HookList<StateDictPostHook> StateDictPostHooks { get; } = new();

    public HookList<LoadStateDictPreHook> LoadStateDictPreHooks { get; } = new();

    public HookList<Action<nn.Module, IncompatibleKeys>> LoadStateDictPostHooks { get; } = new();

    public HookList<ForwardPreHook> ForwardPreHooks { get; } = new();

    public HookList<ForwardHook> ForwardHooks { get; } = new();

    public HookList<BackwardPreHook> BackwardPreHooks { get; } = new();

    public HookList<BackwardHook> BackwardHooks { get; } = new();

    /// <summary>Whether the backward hooks are full ones; null before the first.</summary>
    public bool? HasFullBackwardHooks { get; set; }

    public static ModuleRecord Of(nn.Module module) => Records.GetOrCreateValue(module);

    /// <summary>The record if anything was ever remembered of the module.</summary>
    public static ModuleRecord? Find(nn.Module module) => Records.TryGetValue(module, out var record) ? record : null;
}
