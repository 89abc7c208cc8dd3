using System.Runtime.InteropServices;

namespace Darts.Norm;

/// <summary>Functions of libtorch that TorchSharp does not bind, or whose errors it lets end the process, are reached through TorchScript.</summary>
internal static class TorchScript
{
    private const string Error = "RuntimeError: ";

    /// <summary>What libtorch said, without the words that TorchScript puts around it.</summary>
    public static string Told(ExternalException error)
    {
        var lines = error.Message.Split('\n');
        return Array.FindLast(lines, line => line.StartsWith(Error, StringComparison.Ordinal))?[Error.Length..] ?? lines[0];
    }
}
