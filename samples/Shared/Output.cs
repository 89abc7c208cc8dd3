namespace Samples;

/// <summary>The directory that files go to.</summary>
internal sealed class Output
{
    private const int LongestName = 100;
    private readonly string _directory;
    private readonly HashSet<string> _written = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Makes the directory, and tries to write there before any work is done.</summary>
    public Output(string directory)
    {
        _directory = directory;
        Try(() =>
        {
            Directory.CreateDirectory(directory);
            using var probe = new FileStream(Path.Combine(directory, Path.GetRandomFileName()), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        });
    }

    /// <summary>Writes a file, whole or not at all, beside those before it.</summary>
    public string Write(string name, byte[] content)
    {
        var safeName = string.Concat(name.Select(c => Path.GetInvalidFileNameChars().Contains(c) || char.IsControl(c) || "\\:*?\"<>|".Contains(c) ? '_' : c));
        var (stem, extension) = (Path.GetFileNameWithoutExtension(safeName), Path.GetExtension(safeName));
        stem = stem[..Math.Min(stem.Length, LongestName)];
        var freeName = stem + extension;
        for (var number = 2; !_written.Add(freeName); number++)
            freeName = $"{stem} ({number}){extension}";
        var path = Path.Combine(_directory, freeName);
        Try(() =>
        {
            var partial = path + ".partial";
            File.WriteAllBytes(partial, content);
            File.Move(partial, path, overwrite: true);
        });
        return path;
    }

    private void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new InputException($"--out {_directory} cannot be written to: {e.Message} Give another directory.");
        }
    }
}
