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
            File.WriteAllText(Path.Combine(Sources.Folder(), Approved), now);
        else
            now.Should().Be(
                Sources.Text(Approved), "the public API changes on purpose only. If it was on purpose, run `{0}=1 dotnet test tests/Darts.Norm.Tests --filter PublicApi`, "
                + "commit tests/Darts.Norm.Tests/{1} and name the change in CHANGELOG.md", Approve, Approved);
    }
}
