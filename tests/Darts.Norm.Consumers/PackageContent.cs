using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Darts.Norm.Consumers;

/// <summary>What a gallery shows of the package and what lies in it.</summary>
internal static partial class PackageContent
{
    public static void Check(Workshop workshop, string folder)
    {
        ZipFile.ExtractToDirectory(workshop.Package, folder);
        foreach (var name in new[] { "README.md", "LICENSE", "CHANGELOG.md", "icon.png", "lib/net8.0/Darts.Norm.dll", "lib/net8.0/Darts.Norm.xml", "buildTransitive/Darts.Norm.targets", "buildTransitive/WeakenUnusedSymbolVersions.cs" })
            Require(File.Exists(Path.Combine(folder, name)), $"has {name}");
        using (var symbols = ZipFile.OpenRead(Path.ChangeExtension(workshop.Package, ".snupkg")))
            Require(symbols.GetEntry("lib/net8.0/Darts.Norm.pdb") is not null, "has symbols beside it");

        var metadata = XDocument.Load(Path.Combine(folder, "Darts.Norm.nuspec")).Root!.Elements().Single();
        string? Value(string name) => metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value;
        Require(Value("license") == "MIT" && Value("readme") == "README.md" && Value("icon") == "icon.png" && Value("tags") is { Length: > 0 } && Value("description") is { Length: > 0 }, "names licence, readme, icon, tags and description");
        Require(metadata.Elements().Single(element => element.Name.LocalName == "repository").Attribute("commit") is { Value.Length: 40 }, "names the commit that it was made of");
        var dependencies = metadata.Descendants().Where(element => element.Name.LocalName == "dependency").Select(element => element.Attribute("id")!.Value).ToList();
        Require(dependencies is ["TorchSharp"], $"depends on TorchSharp alone, but on {string.Join(", ", dependencies)}");

        var readme = File.ReadAllText(Path.Combine(folder, "README.md"));
        Require(Picture().IsMatch(readme), "has a picture in its readme");
        foreach (Match link in Link().Matches(readme))
            Require(IsAddress(link) || File.Exists(Path.Combine(folder, link.Groups[1].Value)), $"has what its readme links to, but not {link.Groups[1].Value}");

        foreach (var page in Directory.GetFiles(Path.Combine(folder, "docs"), "*.md"))
        {
            var text = File.ReadAllText(page);
            foreach (Match link in Link().Matches(text))
                Require(IsAddress(link) || File.Exists(Path.Combine(folder, "docs", link.Groups[1].Value)), $"has what docs/{Path.GetFileName(page)} links to, but not {link.Groups[1].Value}");
            var source = File.ReadAllText(Path.Combine(Workshop.RepositoryRoot(), "docs", Path.GetFileName(page)));
            Require(WithoutLinks(text) == WithoutLinks(source), $"has docs/{Path.GetFileName(page)} as it stands in the repository but for links (MSBuild turns a backslash)");
        }

        using var published = ZipFile.OpenRead(workshop.Pack("published", "-p:RepositoryUrl=https://example.org/owner/name"));
        foreach (var entry in published.Entries.Where(entry => entry.Name.EndsWith(".md", StringComparison.Ordinal)))
        {
            using var reader = new StreamReader(entry.Open());
            foreach (Match link in Link().Matches(reader.ReadToEnd()))
            {
                var isInPackage = entry.FullName != "README.md" && published.GetEntry(entry.FullName[..^entry.Name.Length] + link.Groups[1].Value) is not null;
                Require(IsAddress(link) || isInPackage, $"links in {entry.FullName} to the package or, where the repository has an address, to that, but not to {link.Groups[1].Value}");
            }
        }
    }

    private static string WithoutLinks(string text) => WholeLink().Replace(text, "$1").TrimEnd();

    private static bool IsAddress(Match link) => link.Groups[1].Value.StartsWith("https://", StringComparison.Ordinal);

    private static void Require(bool holds, string what)
    {
        if (!holds)
            throw new ConsumerException($"The package must be one that {what}.");
    }

    [GeneratedRegex(@"!\[[^\]]*\]\([^)]+\)")]
    private static partial Regex Picture();

    [GeneratedRegex(@"\[([^]]*)]\([^)]*\)")]
    private static partial Regex WholeLink();

    [GeneratedRegex(@"\]\(([^)#]+)(#[^)]*)?\)")]
    private static partial Regex Link();
}
