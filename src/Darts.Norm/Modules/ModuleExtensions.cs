using System.Diagnostics.CodeAnalysis;

namespace Darts.Norm;

/// <summary>The members of PyTorch's <c>nn.Module</c> that TorchSharp lacks, on every module, and <see cref="pytorch"/> for all of them.</summary>
/// <remarks>
/// TorchSharp's own members keep their names and meaning: <c>net.load_state_dict(...)</c> is TorchSharp's, <c>net.pytorch().load_state_dict(...)</c> PyTorch's.
/// <example>
/// <code>
/// var net = nn.Sequential(new RMSNorm(4), nn.Linear(4, 4)).requires_grad_(false);
/// Console.WriteLine(net.pytorch().text());
/// </code>
/// </example>
/// </remarks>
[RequiresUnreferencedCode(Attributes.Why)]
[RequiresDynamicCode(ForwardHooks.Why)]
public static class ModuleExtensions
{
    /// <summary>The module with all members of PyTorch's <c>nn.Module</c>, those that TorchSharp has otherwise included.</summary>
    /// <typeparam name="T">The module's type.</typeparam>
    /// <param name="module">The module.</param>
    /// <returns>A view of it.</returns>
    public static PyTorchModule<T> pytorch<T>(this T module)
        where T : nn.Module => new(module);

    /// <inheritdoc cref="PyTorchModule{T}.requires_grad_"/>
    public static T requires_grad_<T>(this T module, bool requires_grad = true)
        where T : nn.Module => module.pytorch().requires_grad_(requires_grad);

    /// <inheritdoc cref="PyTorchModule{T}.get_submodule"/>
    public static nn.Module get_submodule(this nn.Module module, string target) => module.pytorch().get_submodule(target);

    /// <inheritdoc cref="PyTorchModule{T}.set_submodule"/>
    public static void set_submodule(this nn.Module parent, string target, nn.Module module, bool strict = false) =>
        Require.NotNull(parent, "a module").pytorch().set_submodule(target, module, strict);

    /// <inheritdoc cref="PyTorchModule{T}.get_extra_state"/>
    public static Tensor get_extra_state(this nn.Module module) => module.pytorch().get_extra_state();

    /// <inheritdoc cref="PyTorchModule{T}.set_extra_state"/>
    public static void set_extra_state(this nn.Module module, Tensor state) => module.pytorch().set_extra_state(state);

    /// <inheritdoc cref="PyTorchModule{T}.register_state_dict_pre_hook"/>
    public static RemovableHandle register_state_dict_pre_hook(this nn.Module module, Action<nn.Module, string, bool> hook) =>
        module.pytorch().register_state_dict_pre_hook(hook);

    /// <inheritdoc cref="PyTorchModule{T}.register_state_dict_post_hook"/>
    public static RemovableHandle register_state_dict_post_hook(this nn.Module module, StateDictPostHook hook) =>
        module.pytorch().register_state_dict_post_hook(hook);

    /// <inheritdoc cref="PyTorchModule{T}.register_load_state_dict_pre_hook"/>
    public static RemovableHandle register_load_state_dict_pre_hook(this nn.Module module, LoadStateDictPreHook hook) =>
        module.pytorch().register_load_state_dict_pre_hook(hook);

    /// <inheritdoc cref="PyTorchModule{T}.register_load_state_dict_post_hook"/>
    public static RemovableHandle register_load_state_dict_post_hook(this nn.Module module, Action<nn.Module, IncompatibleKeys> hook) =>
        module.pytorch().register_load_state_dict_post_hook(hook);

    /// <inheritdoc cref="PyTorchModule{T}.ipu"/>
    public static T ipu<T>(this T module, int? device = null)
        where T : nn.Module => module.pytorch().ipu(device);

    /// <inheritdoc cref="PyTorchModule{T}.mtia"/>
    public static T mtia<T>(this T module, int? device = null)
        where T : nn.Module => module.pytorch().mtia(device);

    /// <inheritdoc cref="PyTorchModule{T}.xpu"/>
    public static T xpu<T>(this T module, int? device = null)
        where T : nn.Module => module.pytorch().xpu(device);

    /// <inheritdoc cref="PyTorchModule{T}.to_empty"/>
    public static T to_empty<T>(this T module, Device? device, bool recurse = true)
        where T : nn.Module => module.pytorch().to_empty(device, recurse);

    /// <inheritdoc cref="PyTorchModule{T}.type(ScalarType)"/>
    public static T type<T>(this T module, ScalarType dst_type)
        where T : nn.Module => module.pytorch().type(dst_type);

    /// <inheritdoc cref="PyTorchModule{T}.type(string)"/>
    public static T type<T>(this T module, string dst_type)
        where T : nn.Module => module.pytorch().type(dst_type);

    /// <inheritdoc cref="PyTorchModule{T}.share_memory"/>
    public static T share_memory<T>(this T module)
        where T : nn.Module => module.pytorch().share_memory();

    /// <inheritdoc cref="PyTorchModule{T}.compile"/>
    public static void compile(this nn.Module module, params object?[] args) => module.pytorch().compile(args);

    /// <inheritdoc cref="PyTorchModule{T}.T_destination"/>
    public static Type T_destination(this nn.Module module) => module.pytorch().T_destination();

    /// <inheritdoc cref="PyTorchModule{T}.register_full_backward_pre_hook(Action{nn.Module, Tensor?[]}, bool)"/>
    public static RemovableHandle register_full_backward_pre_hook(this nn.Module module, Action<nn.Module, Tensor?[]> hook, bool prepend = false) =>
        module.pytorch().register_full_backward_pre_hook(hook, prepend);

    /// <inheritdoc cref="PyTorchModule{T}.register_full_backward_pre_hook(BackwardPreHook, bool)"/>
    public static RemovableHandle register_full_backward_pre_hook(this nn.Module module, BackwardPreHook hook, bool prepend = false) =>
        module.pytorch().register_full_backward_pre_hook(hook, prepend);

    /// <inheritdoc cref="PyTorchModule{T}.register_full_backward_hook(Action{nn.Module, Tensor?[], Tensor?[]}, bool)"/>
    public static RemovableHandle register_full_backward_hook(this nn.Module module, Action<nn.Module, Tensor?[], Tensor?[]> hook, bool prepend = false) =>
        module.pytorch().register_full_backward_hook(hook, prepend);

    /// <inheritdoc cref="PyTorchModule{T}.register_full_backward_hook(BackwardHook, bool)"/>
    public static RemovableHandle register_full_backward_hook(this nn.Module module, BackwardHook hook, bool prepend = false) =>
        module.pytorch().register_full_backward_hook(hook, prepend);

    /// <inheritdoc cref="PyTorchModule{T}.register_backward_hook(Action{nn.Module, Tensor?[], Tensor?[]})"/>
    public static RemovableHandle register_backward_hook(this nn.Module module, Action<nn.Module, Tensor?[], Tensor?[]> hook) =>
        module.pytorch().register_backward_hook(hook);

    /// <inheritdoc cref="PyTorchModule{T}.register_backward_hook(BackwardHook)"/>
    public static RemovableHandle register_backward_hook(this nn.Module module, BackwardHook hook) => module.pytorch().register_backward_hook(hook);

    /// <inheritdoc cref="PyTorchModule{T}.extra_repr"/>
    public static string extra_repr(this nn.Module module) => module.pytorch().extra_repr();
}
