using System.Reflection;
using Darts.Norm;
using static TorchSharp.torch;

namespace DartsCheckpoints;

/// <summary>Says which of Darts' models a network is: a network is found by it, and needs no mention anywhere else.</summary>
/// <param name="name">The model's class in Darts.</param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class DartsModelAttribute(string name) : Attribute
{
    /// <summary>The model's class in Darts.</summary>
    public string Name { get; } = name;
}

/// <summary>What Darts' networks share: reversible instance normalisation around them, where they have it.</summary>
/// <remarks>
/// A network carries <see cref="DartsModelAttribute"/> and has a constructor (<see cref="Sizes"/>, <see cref="HyperParameters"/>, <see cref="RINorm"/>?).
/// Shape: output (batch, T, targets, parameters), in the units of the past target. State: <c>rin.*</c> beside the network's own, as in Darts.
/// </remarks>
public abstract class DartsNetwork : nn.Module<Inputs, Tensor>
{
    private readonly RINorm? rin;

    /// <param name="name">The module's class in Darts.</param>
    /// <param name="rin">Null for a network without reversible instance normalisation.</param>
    protected DartsNetwork(string name, RINorm? rin)
        : base(name)
    {
        this.rin = rin;
        if (rin is not null)
            register_module(nameof(rin), rin); // before the network's own, as in Darts
    }

    // Of this assembly, and of those that use it.
    private static IEnumerable<(string Model, Type Network)> Networks =>
        from assembly in AppDomain.CurrentDomain.GetAssemblies()
        let own = typeof(DartsNetwork).Assembly
        where assembly == own || assembly.GetReferencedAssemblies().Any(name => name.FullName == own.FullName)
        from type in assembly.GetTypes()
        let model = type.GetCustomAttribute<DartsModelAttribute>()
        where model is not null
        select (model.Name, type);

    /// <summary>The names of the models that there is a network for.</summary>
    public static IEnumerable<string> Models => Networks.Select(pair => pair.Model).Order(StringComparer.Ordinal);

    /// <summary>Makes the network of a Darts model, with weights of its own.</summary>
    public static DartsNetwork New(string model, Sizes sizes, HyperParameters hyper, RINorm? rin) =>
        Networks.FirstOrDefault(pair => pair.Model == model).Network is { } type
            ? (DartsNetwork)Activator.CreateInstance(type, BindingFlags.Instance | BindingFlags.Public | BindingFlags.DoNotWrapExceptions, null, [sizes, hyper, rin], null)!
            : throw new InputException($"There is no network for {model}, only for {string.Join(", ", Models)}. Write one: a class derived from DartsNetwork with [DartsModel(\"{model}\")], in a file of its own.");

    /// <inheritdoc/>
    public sealed override Tensor forward(Inputs input)
    {
        using var scope = NewDisposeScope();
        if (rin is null)
            return Forecast(input).MoveToOuterDisposeScope();
        var (past, statistics) = rin.normalize(input.past_target);
        using (statistics)
            return rin.inverse(Forecast(input with { past_target = past }), statistics).MoveToOuterDisposeScope();
    }

    /// <summary>The network itself.</summary>
    /// <param name="x">The past target normalised, where there is reversible instance normalisation.</param>
    /// <returns>(batch, T, targets, parameters), in the units of the past target given.</returns>
    protected abstract Tensor Forecast(Inputs x);
}
