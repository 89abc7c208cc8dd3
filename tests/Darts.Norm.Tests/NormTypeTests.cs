namespace Darts.Norm.Tests;

public sealed class NormTypeTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("LayerNorm", "LayerNorm((6,), eps=1e-05, elementwise_affine=True, bias=True)")]
    [InlineData("LayerNormNoBias", "LayerNormNoBias((6,), eps=1e-05, elementwise_affine=False, bias=False)")]
    [InlineData("RMSNorm", "RMSNorm()")]
    [InlineData("RINorm", "RINorm()")]
    public void Make_DartsName_IsThatLayerOfThatSize(string name, string text)
    {
        NormType norm = name;
        using var layer = norm.make(6);
        layer.ToString().Should().Be(text);
        layer.call(Layers.Values([2, 3, 6])).shape.Should().Equal(2, 3, 6);
        layer.Invoking(l => l.call(Layers.Values([2, 3, 5]))).Should().Throw<ArgumentException>();
        norm.name.Should().Be(name);
        norm.ToString().Should().Be(name);
    }

    [Fact]
    public void Make_SeveralSizes_NormalisesOverThemWhereTheNormCan()
    {
        new NormType("LayerNorm").make(4, 6).ToString().Should().StartWith("LayerNorm((4, 6),");
        new NormType("LayerNormNoBias").make(4, 6).ToString().Should().StartWith("LayerNormNoBias((4, 6),");
        foreach (var name in (string[])["RMSNorm", "RINorm"])
            FluentActions.Invoking(() => new NormType(name).make(4, 6)).Should().Throw<ArgumentException>().WithMessage($"{name}*one size*[4, 6]*LayerNorm*").WithParameterName("normalized_shape");
        foreach (var sizes in (long[][])[[], [0], [-1], [4, -1]])
            FluentActions.Invoking(() => new NormType(size => nn.BatchNorm1d(size[0])).make(sizes)).Should().Throw<ArgumentException>().WithMessage("*at least 1*", "a factory gets sizes that can be");
    }

    [Theory]
    [InlineData("layernorm")]
    [InlineData("InstanceNorm")]
    [InlineData("")]
    public void New_UnknownName_ListsTheNames(string name)
    {
        var message = $"There is no norm '{name}'. The names are LayerNorm, LayerNormNoBias, RMSNorm, RINorm*null*NormType.register*";
        FluentActions.Invoking(() => new NormType(name)).Should().Throw<ArgumentException>().WithMessage(message);
        FluentActions.Invoking(() => Norm(name)).Should().Throw<ArgumentException>().WithMessage(message);
    }

    [Fact]
    public void Conversion_Null_IsNoNorm()
    {
        Norm(null).Should().BeNull();
        string? none = null;
        Norm(none).Should().BeNull();
    }

    [Fact]
    public void Make_Factory_GetsTheSizesAndMakesAnewEachTime()
    {
        var norm = new NormType(size => new RMSNorm(size[^1], eps: 0.5));
        using var first = (RMSNorm)norm.make(4, 6);
        using var second = norm.make(4, 6);
        (first.eps, first.g.size(0), norm.name).Should().Be((0.5, 6, null));
        second.Should().NotBeSameAs(first);
    }

    [Fact]
    public void Register_OwnName_IsMadeAndListedAndMayBeRegisteredAnew()
    {
        NormType.register("Doubled", _ => nn.Identity());
        NormType.register("Doubled", size => new RMSNorm(2 * size[0]));
        using var layer = (RMSNorm)new NormType("Doubled").make(3);
        layer.g.size(0).Should().Be(6);
        NormType.names.Should().StartWith(["LayerNorm", "LayerNormNoBias", "RMSNorm", "RINorm"]).And.Contain("Doubled");
        FluentActions.Invoking(() => new NormType("Tripled")).Should().Throw<ArgumentException>().WithMessage("*RINorm*Doubled*");
    }

    [Fact]
    public void Register_Refused_SaysWhatHolds()
    {
        FluentActions.Invoking(() => NormType.register("LayerNorm", _ => nn.Identity())).Should().Throw<ArgumentException>().WithMessage("*free*'LayerNorm'*LayerNormNoBias*");
        FluentActions.Invoking(() => NormType.register(" ", _ => nn.Identity())).Should().Throw<ArgumentException>().WithMessage("*can be read*' '*Choose one*");
        FluentActions.Invoking(() => NormType.register(null!, _ => nn.Identity())).Should().Throw<ArgumentNullException>();
        FluentActions.Invoking(() => NormType.register("Mine", null!)).Should().Throw<ArgumentNullException>();
        FluentActions.Invoking(() => new NormType((string)null!)).Should().Throw<ArgumentNullException>();
        FluentActions.Invoking(() => new NormType((Func<long[], nn.Module<Tensor, Tensor>>)null!)).Should().Throw<ArgumentNullException>();
        FluentActions.Invoking(() => new NormType(_ => null!).make(3)).Should().Throw<InvalidOperationException>().WithMessage("*new module*null*");
        NormType.names.Should().NotContain("Mine");
    }

    private static NormType? Norm(NormType? norm) => norm;
}
