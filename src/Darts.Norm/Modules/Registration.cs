using System.Diagnostics.CodeAnalysis;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>Registers parameters, buffers and children with PyTorch's checks and texts.</summary>
[RequiresUnreferencedCode(Attributes.Why)]
internal static class Registration
{
    public static void Parameter(nn.Module module, string name, Parameter? parameter)
    {
        RequireName(name, "parameter");
        RequireFree(module, name, Attributes.HasParameter(module, name));
        RequireAlive(parameter, name);
        if (parameter is not null && !parameter.is_leaf)
            throw new ArgumentException(
                $"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To express '{name}' as a function of another Tensor, compute the value in the forward() method.");
        NativeTensors.RequireReplaceable(module, name, parameter);
        Placement.Parameter(module, name, parameter);
    }

    public static void Buffer(nn.Module module, string name, Tensor? tensor, bool persistent)
    {
        RequireName(name, "buffer");
        RequireFree(module, name, Registry.HasBuffer(module, name));
        RequireAlive(tensor, name);
        Placement.Buffer(module, name, tensor, persistent);
    }

    public static void Module(nn.Module module, string name, nn.Module? child)
    {
        if (name is null)
            throw new ArgumentTypeException("module name should be a string. Got NoneType");
        RequireFree(module, name, Registry.HasChild(module, name));
        if (name.Contains('.', StringComparison.Ordinal))
            throw new KeyNotFoundException($"module name can't contain \".\", got: {name}");
        if (name.Length == 0)
            throw new KeyNotFoundException("module name can't be empty string \"\"");
        Placement.Child(module, name, child);
    }

    public static void Submodule(nn.Module module, string target, nn.Module child, bool strict)
    {
        if (target.Length == 0)
            throw new ArgumentException("Cannot set the submodule without a target name!");
        if (child is null)
            throw new ArgumentException("`module` is not an nn.Module, found <class 'NoneType'>");
        var dot = target.LastIndexOf('.');
        var (parent, name) = (Lookup.Submodule(module, dot < 0 ? "" : target[..dot]), target[(dot + 1)..]);
        if (strict)
            Lookup.RequireAttribute(parent, name);
        if (Attributes.Has(parent, name) && !Registry.Children(parent).Exists(entry => entry.name == name))
            throw new MissingMemberException($"`{name}` is not an nn.Module");
        Placement.Child(parent, name, child);
    }

    private static void RequireName(string name, string kind)
    {
        if (name is null)
            throw new ArgumentTypeException($"{kind} name should be a string. Got NoneType");
        if (name.Contains('.', StringComparison.Ordinal))
            throw new KeyNotFoundException($"{kind} name can't contain \".\"");
        if (name.Length == 0)
            throw new KeyNotFoundException($"{kind} name can't be empty string \"\"");
    }

    private static void RequireFree(nn.Module module, string name, bool hasSuch)
    {
        if (!hasSuch && Attributes.Has(module, name))
            throw new KeyNotFoundException($"attribute '{name}' already exists");
    }

    private static void RequireAlive(Tensor? tensor, string name)
    {
        if (tensor?.IsInvalid == true)
            throw new ObjectDisposedException(name, $"The tensor to register as '{name}' is disposed. Register it outside of the DisposeScope that ended.");
    }
}
