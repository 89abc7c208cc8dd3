using System.Reflection;
using PublicApiGenerator;

namespace Darts.Norm.Tests;

/// <summary>What a caller can see changes on purpose only: it stands in a file, and a change shows in that file's history.</summary>
public sealed class PublicApiTests
{
    private const string Approved = "PublicApi.approved.txt";
    private const string Approve = "APPROVE_PUBLIC_API";

    private static readonly Dictionary<string, (MethodBase member, ParameterInfo parameter)> ByName = (
        from type in typeof(RINorm).Assembly.GetExportedTypes()
        where !type.IsInterface && !type.IsAssignableTo(typeof(Enum)) && !type.IsAssignableTo(typeof(Delegate)) && !type.IsAssignableTo(typeof(Exception))
        let closed = Closed(type)
        let methods = closed.GetMethods().Where(method => method.DeclaringType == closed && !method.IsSpecialName && method.Name != "compile").Select(Closed)
        from member in closed.GetConstructors().Concat<MethodBase>(methods)
        from parameter in member.GetParameters()
        where !parameter.ParameterType.IsValueType && !parameter.IsOut && new NullabilityInfoContext().Create(parameter).WriteState == NullabilityState.NotNull
        select (member, parameter))
        .ToDictionary(argument => $"{argument.member.DeclaringType!.Name}: {argument.member}, {argument.parameter.Name}");

    public static TheoryData<string> ArgumentNames => [.. ByName.Keys];

    [Fact]
    public void PublicApi_IsTheApproved()
    {
        var now = typeof(RINorm).Assembly.GeneratePublicApi(new() { IncludeAssemblyAttributes = false }).ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable(Approve) == "1")
            File.WriteAllText(Path.Combine(Sources.Folder(), Approved), now);
        else
            now.Should().Be(
                Sources.Text(Approved), "the public API changes on purpose only. If it was on purpose, run `{0}=1 dotnet test tests/Darts.Norm.Tests --filter PublicApi`, "
                + "commit tests/Darts.Norm.Tests/{1} and name the change in CHANGELOG.md", Approve, Approved);
    }

    [Theory]
    [MemberData(nameof(ArgumentNames))]
    public void Argument_OfNull_SaysWhatToPass(string argument)
    {
        using var scope = NewDisposeScope();
        var (member, parameter) = ByName[argument];
        var arguments = member.GetParameters().Select(other => other == parameter ? null : Sample(other.ParameterType)).ToArray();
        var thrown = FluentActions.Invoking(() => member is ConstructorInfo constructor ? constructor.Invoke(arguments) : member.Invoke(member.IsStatic ? null : Sample(member.DeclaringType!), arguments))
            .Should().Throw<TargetInvocationException>().Which.InnerException!;
        thrown.Should().BeAssignableTo<ArgumentException>();
        thrown.Message.Should().Match(text => text.Contains("received null. ", StringComparison.Ordinal) || text.Contains("NoneType", StringComparison.Ordinal), "it says what was received and what to do, or is PyTorch's text");
        if (thrown is ArgumentNullException error)
            error.ParamName.Should().Be(parameter.Name);
    }

    private static Type Closed(Type type) => type.IsGenericTypeDefinition ? type.MakeGenericType(Arguments(type.GetGenericArguments())) : type;

    private static MethodInfo Closed(MethodInfo method) => method.IsGenericMethodDefinition ? method.MakeGenericMethod(Arguments(method.GetGenericArguments())) : method;

    private static Type[] Arguments(Type[] parameters) => Array.ConvertAll(parameters, parameter => parameter.GetGenericParameterConstraints().Length > 0 ? typeof(RMSNorm) : typeof(Tensor));

    private static object? Sample(Type type)
    {
        if (type.IsValueType)
            return Activator.CreateInstance(type);
        var rin = new RINorm(4);
        rin.forward(ones(2, 5, 4));
        Func<long[], nn.Module<Tensor, Tensor>> factory = size => new RMSNorm(size[^1]);
        object[] samples =
        [
            ones(2, 5, 4, 1), "name", new RMSNorm(4), new LayerNorm(4), rin, rin.normalize(ones(2, 5, 4)).statistics, factory, new NormType(factory), new RMSNorm(4).pytorch(), new StateDict(),
            nn.Bilinear(4, 4, 4), new ThreeInputs(), Reversible.wrap(nn.Sequential(), rin), Reversible.wrap(nn.Bilinear(4, 4, 4), rin), Reversible.wrap(new ThreeInputs(), rin),
        ];
        return Array.Find(samples, type.IsInstanceOfType);
    }

    private sealed class ThreeInputs() : nn.Module<Tensor, Tensor, Tensor, Tensor>(nameof(ThreeInputs))
    {
        public override Tensor forward(Tensor past, Tensor future, Tensor statics) => past;
    }
}
