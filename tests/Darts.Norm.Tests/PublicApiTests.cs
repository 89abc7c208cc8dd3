using PublicApiGenerator;

namespace Darts.Norm.Tests;

/// <summary>What a caller can see changes on purpose only: it stands in a file, and a change shows in that file's history.</summary>
public sealed class PublicApiTests
{
    private const string Approved = "PublicApi.approved.txt";
    private const string Approve = "APPROVE_PUBLIC_API";

    [Fact]
    public void PublicApi_IsTheApproved()
    {
        var now = typeof(RINorm).Assembly.GeneratePublicApi(new() { IncludeAssemblyAttributes = false }).ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable(Approve) == "1")
            File.WriteAllText(Path.Combine(SourceFolder(), Approved), now);
        else
            now.Should().Be(
                Read(), "the public API changes on purpose only. If it was on purpose, run `{0}=1 dotnet test tests/Darts.Norm.Tests --filter PublicApi`, "
                + "commit tests/Darts.Norm.Tests/{1} and name the change in CHANGELOG.md", Approve, Approved);
    }

    private static string Read()
    {
        using var reader = new StreamReader(typeof(PublicApiTests).Assembly.GetManifestResourceStream(Approved)!);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    private static string SourceFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, Approved)))
            folder = folder.Parent ?? throw new DirectoryNotFoundException($"{Approved} is in no folder above {AppContext.BaseDirectory}. Build the tests inside the repository.");
        return folder.FullName;
    }
}
