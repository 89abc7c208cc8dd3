using System.Runtime.InteropServices;

namespace Darts.Norm.Consumers;

/// <summary>A stranger's project: what it says, and what is done with it.</summary>
internal sealed record Consumer(string Name, string Description, Action<Workshop, string> Use)
{
    private const string Torch = "0.107.0";
    private static readonly string Rid = RuntimeInformation.RuntimeIdentifier;

    public static IReadOnlyList<Consumer> All { get; } =
    [
        new("package", "licence, readme and its pictures, icon, documentation, symbols, and TorchSharp as the one dependency", PackageContent.Check),
        new("csharp", "C#: built and run, published and run", (workshop, folder) =>
        {
            Write(workshop, folder, "Program.cs", "csproj", "net10.0");
            Workshop.Dotnet(folder, "build");
            Trains(folder, "dotnet", "run", "--no-build");
            Workshop.Dotnet(folder, "publish", "--output", "published");
            Trains(folder, "dotnet", "published/consumer.dll");
        }),
        new("fsharp", "F#: built and run, published and run", (workshop, folder) =>
        {
            Write(workshop, folder, "Program.fs", "fsproj", "net10.0");
            Workshop.Dotnet(folder, "build");
            Trains(folder, "dotnet", "run", "--no-build");
            Workshop.Dotnet(folder, "publish", "--output", "published");
            Trains(folder, "dotnet", "published/consumer.dll");
        }),
        new("csharp12", "C# 12 on .NET 8, published with its runtime and run", (workshop, folder) =>
        {
            Write(workshop, folder, "Program.cs", "csproj", "net8.0", "<LangVersion>12</LangVersion>");
            Workshop.Dotnet(folder, "publish", "--output", "published", "--self-contained", "--runtime", Rid);
            Trains(folder, Path.Combine(folder, "published", "consumer"));
        }),
        new("modules-csharp12", "PyTorch's module surface from C# 12", (workshop, folder) =>
        {
            Write(workshop, folder, "Modules.cs", "csproj", "net10.0", "<LangVersion>12</LangVersion>");
            Trains(folder, "dotnet", "run");
        }),
        new("modules-fsharp", "PyTorch's module surface from F#", (workshop, folder) =>
        {
            Write(workshop, folder, "Modules.fs", "fsproj", "net10.0");
            Trains(folder, "dotnet", "run");
        }),
        new("trimmed", "published self-contained and trimmed without a warning of this library, and run", (workshop, folder) =>
        {
            Write(workshop, folder, "Program.cs", "csproj", "net10.0", "<PublishTrimmed>true</PublishTrimmed>", "<TrimmerSingleWarn>false</TrimmerSingleWarn>");
            NoWarningOfThisLibrary(Workshop.Dotnet(folder, "publish", "--output", "published", "--self-contained", "--runtime", Rid));
            Trains(folder, Path.Combine(folder, "published", "consumer"));
        }),
        new("aot", "compiled ahead of time without a warning of this library, and run; needs a C linker", (workshop, folder) =>
        {
            Write(workshop, folder, "Program.cs", "csproj", "net10.0", "<PublishAot>true</PublishAot>");
            // TorchSharp finds a network's layers by reflection on its fields, which must be kept for that.
            File.WriteAllText(Path.Combine(folder, "Directory.Build.targets"), """<Project><ItemGroup><TrimmerRootAssembly Include="consumer" /></ItemGroup></Project>""");
            NoWarningOfThisLibrary(Workshop.Dotnet(folder, "publish", "--output", "published", "--runtime", Rid));
            Trains(folder, Path.Combine(folder, "published", "consumer"));
        }),
        new("old-libstdcxx", "without the property the build names it where the native library will not load, and only there", (workshop, folder) =>
        {
            Write(workshop, folder, "Program.cs", "csproj", "net10.0", "<MendLibTorchSharp></MendLibTorchSharp>");
            var output = Workshop.Dotnet(folder, "build");
            var loads = Workshop.Execute(folder, "dotnet", "run", "--no-build").code == 0;
            var warned = output.Contains("warning DARTSNORM001", StringComparison.Ordinal) && output.Contains("<MendLibTorchSharp>true</MendLibTorchSharp>", StringComparison.Ordinal);
            if (loads == warned)
                throw new ConsumerException($"The program {(loads ? "runs" : "does not run")}, and the build {(warned ? "warns" : "does not warn")}:\n{output}");
        }),
    ];

    public void Run(Workshop workshop) => Use(workshop, workshop.Folder(Name));

    private static void Write(Workshop workshop, string folder, string program, string project, string framework, params string[] properties)
    {
        File.WriteAllText(Path.Combine(folder, program), Template(program));
        File.WriteAllText(
            Path.Combine(folder, $"consumer.{project}"),
            $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>{framework}</TargetFramework>
                <Nullable>enable</Nullable>
                <MendLibTorchSharp>true</MendLibTorchSharp>
                {string.Join("\n    ", properties)}
              </PropertyGroup>
              <ItemGroup>
                {(project == "fsproj" ? $"<Compile Include=\"{program}\" />" : "")}
                <PackageReference Include="Darts.Norm" Version="{workshop.Version}" />
                <PackageReference Include="TorchSharp-cpu" Version="{Torch}" />
              </ItemGroup>
            </Project>
            """);
    }

    private static string Template(string name)
    {
        using var reader = new StreamReader(typeof(Consumer).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }

    private static void Trains(string folder, string program, params string[] arguments)
    {
        var (code, output) = Workshop.Execute(folder, program, arguments);
        if (code != 0 || !output.EndsWith("trained, saved and loaded" + Environment.NewLine, StringComparison.Ordinal))
            throw new ConsumerException($"`{program} {string.Join(' ', arguments)}` answered {code}:\n{output}");
    }

    private static void NoWarningOfThisLibrary(string output)
    {
        var warnings = output.Split('\n').Where(line => line.Contains("warning IL", StringComparison.Ordinal) && line.Contains("Darts.Norm", StringComparison.Ordinal)).Distinct().ToList();
        if (warnings.Count > 0)
            throw new ConsumerException($"Publishing warns of this library:\n{string.Join('\n', warnings)}");
    }
}
