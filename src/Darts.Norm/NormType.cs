using System.Collections.Concurrent;

namespace Darts.Norm;

/// <summary>Which norm a network puts into its blocks: a name or a factory, as Darts' <c>norm_type</c>; null for none.</summary>
/// <remarks>
/// <para>The names are those of Darts' <c>layer_norm_variants</c>, spelled exactly so, and those that were registered. A string converts by itself.</para>
/// <example>
/// <code>
/// public Block(long width, NormType? norm) => this.norm = norm?.make(width);
///
/// new Block(128, "RMSNorm");
/// new Block(128, new NormType(size => new RMSNorm(size[^1], eps: 1e-6)));
/// new Block(128, null);
/// </code>
/// </example>
/// </remarks>
public sealed class NormType
{
    private static readonly Dictionary<string, Func<long[], nn.Module<Tensor, Tensor>>> Own = new()
    {
        [nameof(LayerNorm)] = size => new LayerNorm(size),
        [nameof(LayerNormNoBias)] = size => new LayerNormNoBias(size),
        [nameof(RMSNorm)] = size => new RMSNorm(Single(size, nameof(RMSNorm))),
        [nameof(RINorm)] = size => new RINorm(Single(size, nameof(RINorm))),
    };

    private static readonly ConcurrentDictionary<string, Func<long[], nn.Module<Tensor, Tensor>>> Registered = new();

    private const string Example = "Pass one: size => new RMSNorm(size[^1]), say.";

    private const string Factory = "a function of the sizes that makes a norm";

    private readonly Func<long[], nn.Module<Tensor, Tensor>> _factory;

    /// <summary>A norm by its name.</summary>
    /// <param name="name">One of <see cref="names"/>.</param>
    /// <exception cref="ArgumentException">There is no such name; the message lists them.</exception>
    public NormType(string name)
    {
        Require.NotNull(name, "the name of a norm", "Choose one of NormType.names; for no norm pass null instead of a NormType.", nameof(NormType));
        if (!Own.TryGetValue(name, out var factory) && !Registered.TryGetValue(name, out factory))
            throw new ArgumentException(
                $"There is no norm '{name}'. The names are {string.Join(", ", names)}. Choose one, pass null for no norm, or add your own: NormType.register(\"{name}\", size => ...).", nameof(name));
        (this.name, _factory) = (name, factory);
    }

    /// <summary>A norm by what makes it.</summary>
    /// <param name="factory">Gets the sizes of the axes to normalise over, as <see cref="LayerNorm"/> takes them, and answers a new module.</param>
    public NormType(Func<long[], nn.Module<Tensor, Tensor>> factory)
    {
        _factory = Require.NotNull(factory, Factory, Example, nameof(NormType));
    }

    /// <summary>Every name: Darts' own, then the registered ones.</summary>
    public static IReadOnlyList<string> names => [.. Own.Keys, .. Registered.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The name; null for a factory.</summary>
    public string? name { get; }

    /// <summary>Gives a norm of one's own a name. A name that was registered before gets the new factory.</summary>
    /// <param name="name">Any text that Darts' names leave free.</param>
    /// <param name="factory">Gets the sizes of the axes to normalise over, and answers a new module.</param>
    /// <exception cref="ArgumentException">The name is empty or Darts' own.</exception>
    public static void register(string name, Func<long[], nn.Module<Tensor, Tensor>> factory)
    {
        Require.NotNull(name, "a name", caller: "NormType.register");
        Require.NotNull(factory, Factory, Example, "NormType.register");
        if (string.IsNullOrWhiteSpace(name))
            throw new ArgumentException($"NormType.register takes a name that can be read, but received '{name}'. Choose one.", nameof(name));
        if (Own.ContainsKey(name))
            throw new ArgumentException($"NormType.register takes a name that is free, but '{name}' is Darts' own, as are {string.Join(", ", Own.Keys)}. Choose another.", nameof(name));
        Registered[name] = factory;
    }

    /// <summary>A name converts; null is no norm.</summary>
    /// <param name="name">One of <see cref="names"/>, or null.</param>
    /// <exception cref="ArgumentException">There is no such name; the message lists them.</exception>
    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(name))]
    public static implicit operator NormType?(string? name) => name is null ? null : new(name);

    /// <summary>Makes the norm.</summary>
    /// <param name="normalized_shape">The sizes of the last axes, which it normalises over.</param>
    /// <returns>A new module.</returns>
    /// <exception cref="ArgumentException">There is no size, or one below 1; or the norm does not take such sizes: RMSNorm and RINorm take one.</exception>
    /// <exception cref="InvalidOperationException">The factory answered null.</exception>
    public nn.Module<Tensor, Tensor> make(params long[] normalized_shape)
    {
        Require.NotNull(normalized_shape, "the sizes of the axes to normalise over", caller: "NormType.make");
        if (normalized_shape.Length == 0 || normalized_shape.Any(size => size < 1))
            throw new ArgumentException(
                $"NormType.make takes the sizes of the axes to normalise over, one or more of at least 1, but received {Require.Size(normalized_shape)}. Name them: make(64), say.", nameof(normalized_shape));
        return _factory([.. normalized_shape])
            ?? throw new InvalidOperationException($"The factory of {ToString()} must answer a new module, but answered null. For no norm pass null instead of a NormType.");
    }

    /// <inheritdoc/>
    public override string ToString() => name ?? "a norm without a name";

    private static long Single(long[] normalized_shape, string name) =>
        normalized_shape.Length == 1
            ? normalized_shape[0]
            : throw new ArgumentException(
                $"{name} takes one size, that of the last axis, but received {Require.Size(normalized_shape)}. Make it with the last one, or choose LayerNorm, which takes several.", nameof(normalized_shape));
}
