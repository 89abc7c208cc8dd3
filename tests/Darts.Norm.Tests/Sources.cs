namespace Darts.Norm.Tests;

/// <summary>Files of this project: those that are embedded, and their folder, for a test that writes one anew.</summary>
internal static class Sources
{
    public static string Text(string name)
    {
        using var reader = new StreamReader(typeof(Sources).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    public static string Folder(string name = "")
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Darts.Norm.Tests.csproj")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException($"The project's folder is not above {AppContext.BaseDirectory}. Build the tests inside the repository.");
        return Path.Combine(folder.FullName, name);
    }
}
