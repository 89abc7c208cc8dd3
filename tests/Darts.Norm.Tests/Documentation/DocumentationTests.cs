using System.Text.RegularExpressions;

namespace Darts.Norm.Tests.Documentation;

/// <summary>The pages say what compiles and runs: each C# block stands, line by line, in a file beside this one.</summary>
public sealed partial class DocumentationTests
{
    public static TheoryData<string> Pages => [.. Embedded(".md")];

    [Theory]
    [MemberData(nameof(Pages))]
    public void CSharpBlocks_OfAPage_AreCompiled(string page)
    {
        var sources = Embedded(".cs").Select(name => Lines(Sources.Text(name))).ToList();
        foreach (Match block in CSharpBlock().Matches(Sources.Text(page)))
            sources.Should().Contain(source => source.Contains(Lines(block.Groups[1].Value)), "{0} shows {1}", page, block.Value);
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void CSharpBlocks_OfAPage_StandBelowTheSameUsings(string page)
    {
        var blocks = CSharpBlock().Matches(Sources.Text(page)).Select(block => block.Groups[1].Value).ToList();
        blocks.Should().NotContain(block => Prefix().IsMatch(block), "they stand below using static TorchSharp.torch");
        if (blocks.Count > 0)
            Sources.Text(page).Should().ContainAll("using Darts.Norm;", "using TorchSharp;", "using static TorchSharp.torch;");
    }

    [Fact]
    public void Readme_FirstBlock_HoldsTheTwoCommands() =>
        FencedBlock().Match(Sources.Text("README.md")).Groups[1].Value.Should().Be("dotnet run --project samples/Forecasting\ndotnet test\n");

    [Fact]
    public void Readme_Network_LearnsAndFollowsTheLevel()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        using var network = new Network();
        using var optimizer = optim.Adam(network.parameters(), 0.01);
        var x = randn(16, 96, 7).cumsum(1);
        var future = x[.., ^1..].expand(16, 24, 7);
        var first = Step();
        for (var i = 0; i < 30; i++)
            Step();
        Step().Should().BeLessThan(first / 2);
        network.eval();
        (network.forward((x * 2) + 1000) - ((network.forward(x) * 2) + 1000)).abs().max().item<float>().Should().BeLessThan(0.01f, "eps is all that depends on the scale");

        float Step()
        {
            using var inner = NewDisposeScope();
            optimizer.zero_grad();
            var loss = nn.functional.mse_loss(network.call(x), future);
            loss.backward();
            optimizer.step();
            return loss.item<float>();
        }
    }

    private static IEnumerable<string> Embedded(string extension) =>
        typeof(DocumentationTests).Assembly.GetManifestResourceNames().Where(name => name.EndsWith(extension, StringComparison.Ordinal));

    // Indentation and empty lines apart.
    private static string Lines(string text) =>
        "\n" + string.Concat(text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(line => line + "\n"));

    [GeneratedRegex(@"^```csharp\n(.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex CSharpBlock();

    [GeneratedRegex(@"(?<!TorchSharp\.)\btorch\.")]
    private static partial Regex Prefix();

    [GeneratedRegex(@"^```\w*\n(.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex FencedBlock();
}
