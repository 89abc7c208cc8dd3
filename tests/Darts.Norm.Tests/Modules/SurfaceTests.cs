using System.Linq.Expressions;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using TorchSharp.Modules;

namespace Darts.Norm.Tests.Modules;

/// <summary>Every documented member is there, on the four layers and on any module, and docs/modules.md tells of each with a test that exists.</summary>
public sealed partial class SurfaceTests
{
    /// <summary>What the documentation of Darts lists for each layer as inherited from PyTorch's nn.Module.</summary>
    private static readonly string[] Documented =
    [
        "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward",
        "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules", "named_parameters",
        "parameters", "register_backward_hook", "register_buffer", "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook", "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook", "register_load_state_dict_pre_hook", "register_module", "register_parameter", "register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_",
        "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train", "training", "type", "xpu", "zero_grad",
    ];

    private static readonly Type[] FourLayers = [typeof(RMSNorm), typeof(LayerNorm), typeof(LayerNormNoBias), typeof(RINorm)];

    private const BindingFlags Public = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.FlattenHierarchy;

    [Fact]
    public void DocumentedNames_OnEachLayer_AreMembersOrExtensionMethods()
    {
        var extensions = new[] { typeof(ModuleExtensions), typeof(ModuleExtensionMethods) }
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static))
            .Where(method => method.IsDefined(typeof(ExtensionAttribute)))
            .ToList();
        foreach (var layer in FourLayers)
        {
            foreach (var name in Documented)
            {
                var isMember = layer.GetMember(name, Public).Length > 0;
                var isExtension = extensions.Exists(method => method.Name == name && Takes(method.GetParameters()[0].ParameterType, layer));
                (isMember || isExtension).Should().BeTrue("{0}.{1}", layer.Name, name);
            }
        }

        static bool Takes(Type parameter, Type layer) =>
            parameter.IsGenericParameter ? parameter.GetGenericParameterConstraints().All(constraint => constraint.IsAssignableFrom(layer)) : parameter.IsAssignableFrom(layer);
    }

    [Fact]
    public void DocumentedNames_OfTheView_AreItsMembers() =>
        typeof(PyTorchModule<nn.Module>).GetMembers(Public).Select(member => member.Name).Should().Contain(Documented.Except(["forward"]));

    [Fact]
    public void Extensions_AreMethodsAlone() =>
        typeof(ModuleExtensions).GetMembers(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly).Should().OnlyContain(member => member is MethodInfo && member.IsDefined(typeof(ExtensionAttribute)));

    [Fact]
    public void Table_OfThePage_NamesEveryMemberAndTestsThatExist()
    {
        var rows = Table().ToList();
        var members = rows.SelectMany(row => Quoted().Matches(row[0]).Select(match => match.Groups[1].Value)).ToList();
        members.Should().OnlyHaveUniqueItems().And.Contain(Documented);
        var known = FourLayers.Append(typeof(PyTorchModule<nn.Module>)).SelectMany(type => type.GetMembers(Public)).Select(member => member.Name).ToHashSet();
        members.Should().OnlyContain(name => known.Contains(name));
        typeof(PyTorchModule<nn.Module>).GetMembers(Public | BindingFlags.DeclaredOnly).Where(member => member is PropertyInfo or MethodInfo { IsSpecialName: false })
            .Select(member => member.Name).Distinct().Except(["module", "ToString"]).Should().BeSubsetOf(members, "the page tells of all");
        foreach (var test in rows.SelectMany(row => row[4].Split(',', StringSplitOptions.TrimEntries)))
        {
            var parts = test.Split('.');
            parts.Should().HaveCount(2, "{0} is a class and a method", test);
            var method = typeof(SurfaceTests).Assembly.GetTypes().Where(type => type.Name == parts[0]).Select(type => type.GetMethod(parts[1])).FirstOrDefault(method => method is not null);
            (method?.IsDefined(typeof(FactAttribute), inherit: true)).Should().BeTrue("{0} is a test", test);
        }
    }

    [Fact]
    public void Members_GivenNull_TakeItOrSayWhichArgument()
    {
        foreach (var method in typeof(PyTorchModule<LayerNorm>).GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).Where(method => !method.IsSpecialName))
        {
            var parameters = method.GetParameters();
            foreach (var nulled in parameters.Where(parameter => !parameter.ParameterType.IsValueType))
            {
                using var scope = NewDisposeScope();
                var arguments = parameters.Select(parameter => parameter == nulled ? null : Sample(parameter.ParameterType)).ToArray();
                try
                {
                    if (method.Invoke(new LayerNorm(4).pytorch(), arguments) is System.Collections.IEnumerable listed)
                        listed.Cast<object?>().Count().Should().BeGreaterThanOrEqualTo(0);
                }
                catch (TargetInvocationException error)
                {
                    error.InnerException.Should().NotBeOfType<NullReferenceException>("{0}({1}: null)", method, nulled.Name);
                }
            }
        }

        static object? Sample(Type type) =>
            type == typeof(string) ? "cpu"
            : type == typeof(nn.Module) ? new RMSNorm(4)
            : type == typeof(Parameter) ? nn.Parameter(ones(4))
            : type == typeof(Tensor) ? ones(4)
            : type.IsAssignableFrom(typeof(Dictionary<string, Tensor>)) ? new Dictionary<string, Tensor>()
            : type == typeof(StateDict) ? new StateDict()
            : type.IsAssignableTo(typeof(Delegate)) ? Expression.Lambda(type, Expression.Default(type.GetMethod("Invoke")!.ReturnType), type.GetMethod("Invoke")!.GetParameters().Select(parameter => Expression.Parameter(parameter.ParameterType))).Compile()
            : type.IsValueType ? Activator.CreateInstance(type)
            : null;
    }

    private static IEnumerable<string[]> Table()
    {
        using var reader = new StreamReader(typeof(SurfaceTests).Assembly.GetManifestResourceStream("modules.md")!);
        return reader.ReadToEnd().ReplaceLineEndings("\n").Split("\n| member |")[1].Split("\n\n")[0].Split('\n').Skip(2)
            .Select(line => line.Split('|').Skip(1).Select(cell => cell.Trim()).ToArray());
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();
}
