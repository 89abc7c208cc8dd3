using System.Diagnostics;

namespace Darts.Norm.Consumers;

/// <summary>A folder outside of the repository with the packed library as a source, a package folder of its own, and consumers' projects.</summary>
internal sealed class Workshop : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("darts-norm-consumers-").FullName;
    private readonly bool _keep;

    public Workshop(bool keep)
    {
        _keep = keep;
        Package = Pack("feed");
        Version = Path.GetFileNameWithoutExtension(Package)["Darts.Norm.".Length..];
        File.WriteAllText(
            Path.Combine(_root, "nuget.config"),
            $"""
            <configuration>
              <config>
                <add key="globalPackagesFolder" value="{Path.Combine(_root, "packages")}" />
              </config>
              <packageSources>
                <add key="packed" value="{Path.GetDirectoryName(Package)}" />
              </packageSources>
            </configuration>
            """);
        // Whatever stands above this folder, a stranger's project does not have it.
        foreach (var name in new[] { "Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props" })
            File.WriteAllText(Path.Combine(_root, name), "<Project />");
    }

    /// <summary>The packed library.</summary>
    public string Package { get; }

    public string Version { get; }

    /// <summary>Packs the library into a folder; the package.</summary>
    public string Pack(string name, params string[] arguments)
    {
        var folder = Folder(name);
        Dotnet(RepositoryRoot(), ["pack", "src/Darts.Norm", "--output", folder, .. arguments]);
        return Directory.GetFiles(folder, "*.nupkg").Single();
    }

    /// <summary>A new empty folder.</summary>
    public string Folder(string name) => Directory.CreateDirectory(Path.Combine(_root, name)).FullName;

    /// <summary>Runs the SDK; its output.</summary>
    public static string Dotnet(string folder, params string[] arguments)
    {
        var (code, output) = Execute(folder, "dotnet", arguments);
        return code == 0 ? output : throw new ConsumerException($"`dotnet {string.Join(' ', arguments)}` answered {code}:\n{output}");
    }

    /// <summary>Runs a program to its end; its exit code and output.</summary>
    public static (int code, string output) Execute(string folder, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1"; // a build server would hold the folder
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("MSBuild", StringComparison.Ordinal)).ToList()) // of the SDK that runs this program
            start.Environment.Remove(name);
        using var process = Process.Start(start) ?? throw new ConsumerException($"{program} does not start.");
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }

    public void Dispose()
    {
        if (_keep)
            Console.WriteLine($"Left in {_root}");
        else
            Directory.Delete(_root, recursive: true);
    }

    public static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Darts.Norm.sln")))
            folder = folder.Parent ?? throw new ConsumerException("This program packs the repository that it was built in, and is not inside of one.");
        return folder.FullName;
    }
}
