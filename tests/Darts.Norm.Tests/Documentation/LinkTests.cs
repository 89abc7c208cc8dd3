using System.Text.RegularExpressions;

namespace Darts.Norm.Tests.Documentation;

/// <summary>Every relative link of a page leads to a file, and to a heading in it.</summary>
public sealed partial class LinkTests
{
    private static readonly string Repository = FindRepository();

    public static TheoryData<string> Pages => [.. Paths];

    private static IEnumerable<string> Paths =>
        Folders("").SelectMany(folder => Directory.EnumerateFiles(folder, "*.md")).Select(path => Path.GetRelativePath(Repository, path)).Order(StringComparer.Ordinal);

    [Fact]
    public void Pages_OfTheRepository_AreFound() => Paths.Should().Contain(["README.md", Path.Combine("docs", "layers.md"), Path.Combine("docs", "troubleshooting.md")]);

    [Theory]
    [MemberData(nameof(Pages))]
    public void RelativeLinks_OfAPage_LeadSomewhere(string page)
    {
        var path = Path.Combine(Repository, page);
        Broken(File.ReadAllText(path), path).Should().BeEmpty();
    }

    [Theory]
    [InlineData("[a](no-such-file.md)", false)]
    [InlineData("![a](docs/no-such-picture.png)", false)]
    [InlineData("[a](docs/layers.md#no-such-heading)", false)]
    [InlineData("[a](#no-such-heading)", false)]
    [InlineData("[a](../README.md)", false)]
    [InlineData("[a](docs/layers.md#rmsnorm)", true)]
    [InlineData("[a](docs/troubleshooting.md#cs0104-layernorm-is-ambiguous)", true)]
    [InlineData("[a](docs)", true)]
    [InlineData("# B `c`: d-e\n[a](#b-c-d-e)", true)]
    [InlineData("# B\n# B\n[a](#b-1)", true)]
    [InlineData("`[a](no-such-file.md)`\n```\n[a](no-such-file.md)\n# H\n```", true)]
    [InlineData("```\n# H\n```\n[a](#h)", false)]
    [InlineData("[a](https://example.org/no-such-file.md)", true)]
    public void Broken_Links_AreTold(string text, bool leads) =>
        Broken(text, Path.Combine(Repository, "page.md")).Any().Should().Be(!leads);

    private static IEnumerable<string> Broken(string text, string path)
    {
        foreach (var target in Link().Matches(WithoutCode(text)).Select(match => match.Groups[1].Value))
        {
            if (target.Contains("://", StringComparison.Ordinal) || target.StartsWith("mailto:", StringComparison.Ordinal))
                continue;
            var (file, anchor) = target.IndexOf('#') is >= 0 and var at ? (target[..at], target[(at + 1)..]) : (target, "");
            var goal = file.Length == 0 ? path : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, Uri.UnescapeDataString(file)));
            var isThere = file.Length == 0 || (goal.StartsWith(Repository, StringComparison.Ordinal) && (File.Exists(goal) || Directory.Exists(goal)));
            if (!isThere || (anchor.Length > 0 && !Anchors(file.Length == 0 ? text : File.ReadAllText(goal)).Contains(anchor)))
                yield return target;
        }
    }

    // As GitHub makes them: small letters, no punctuation, hyphens for spaces, a number where a heading repeats.
    private static HashSet<string> Anchors(string text)
    {
        var anchors = new HashSet<string>();
        foreach (var heading in Heading().Matches(FencedCode().Replace(text.ReplaceLineEndings("\n"), "")).Select(match => match.Groups[1].Value.Trim()))
        {
            var slug = string.Concat(heading.ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_')).Replace(' ', '-');
            for (var (anchor, number) = (slug, 1); !anchors.Add(anchor); number++)
                anchor = $"{slug}-{number}";
        }
        return anchors;
    }

    private static string WithoutCode(string text) => Code().Replace(FencedCode().Replace(text.ReplaceLineEndings("\n"), ""), "");

    private static IEnumerable<string> Folders(string under)
    {
        var folder = Path.Combine(Repository, under);
        return Directory.EnumerateDirectories(folder).Where(path => Path.GetFileName(path) is not ("bin" or "obj" or ".git" or "TestResults" or "StrykerOutput" or "BenchmarkDotNet.Artifacts"))
            .SelectMany(path => Folders(path)).Prepend(folder);
    }

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Darts.Norm.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside of the repository, whose pages they look at.");
        return folder.FullName;
    }

    [GeneratedRegex(@"]\(\s*<?([^)\s>]+)>?[^)]*\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^#{1,6} +(.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^ *```.*?^ *```[^\n]*$", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex FencedCode();

    [GeneratedRegex("`[^`\n]*`")]
    private static partial Regex Code();
}
