using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Lets a 64-bit ELF library load where libstdc++ is older than the one that it was linked with, if it can run there.
/// </summary>
/// <remarks>
/// A library lists the symbol versions that it needs, and a loader that lacks one refuses it, even where no relocation
/// uses a symbol of that version. GCC 13 puts such a version, GLIBCXX_3.4.32, into everything that includes iostream.
/// The task writes a copy in which each libstdc++ version that no relocation uses is marked weak, which loaders accept.
/// A file without such a version, or of another format, is left out of <see cref="Mended"/>.
/// Layout: System V ABI, chapters 4 and 5; Linux Standard Base, section "Symbol Versioning".
/// </remarks>
public sealed class WeakenUnusedSymbolVersions : Task
{
    /// <summary>The libraries to look at.</summary>
    [Required]
    public ITaskItem[] Libraries { get; set; }

    /// <summary>Where the mended copies go.</summary>
    [Required]
    public string Directory { get; set; }

    /// <summary>Whether nothing is mended, and a library that this machine's loader will refuse gets a warning instead.</summary>
    public bool OnlyWarn { get; set; }

    /// <summary>The libraries that needed a mended copy.</summary>
    [Output]
    public ITaskItem[] Replaced { get; set; } = new ITaskItem[0];

    /// <summary>Their mended copies, with the metadata of the originals.</summary>
    [Output]
    public ITaskItem[] Mended { get; set; } = new ITaskItem[0];

    public override bool Execute()
    {
        var replaced = new List<ITaskItem>();
        var mended = new List<ITaskItem>();
        foreach (var library in Libraries)
        {
            var source = library.GetMetadata("FullPath");
            var bytes = File.ReadAllBytes(source);
            var weakened = Weaken(bytes);
            if (weakened.Count == 0)
                continue;
            if (OnlyWarn)
            {
                WarnOfMissing(Path.GetFileName(source), weakened);
                continue;
            }
            var rid = library.GetMetadata("RuntimeIdentifier");
            var copy = Path.GetFullPath(Path.Combine(Directory, rid, Path.GetFileName(source)));
            WriteIfDifferent(copy, bytes);
            Log.LogMessage(MessageImportance.Low, "{0}: {1} made weak in {2}", source, string.Join(", ", weakened), copy);
            var item = new TaskItem(library) { ItemSpec = copy };
            replaced.Add(library);
            mended.Add(item);
        }
        Replaced = replaced.ToArray();
        Mended = mended.ToArray();
        return !Log.HasLoggedErrors;
    }

    private void WarnOfMissing(string library, List<string> versions)
    {
        var standard = LibraryDirectories().Select(directory => Path.Combine(directory, "libstdc++.so.6")).FirstOrDefault(File.Exists);
        if (standard == null)
            return;
        var known = Encoding.GetEncoding("ISO-8859-1").GetString(File.ReadAllBytes(standard));
        var missing = versions.Where(version => known.IndexOf("\0" + version + "\0", StringComparison.Ordinal) < 0).ToList();
        if (missing.Count > 0)
            Log.LogWarning(
                null, "DARTSNORM001", null, null, 0, 0, 0, 0,
                "{0} asks for {1}, which it does not use and {2} does not have: it will not load on this machine. Set <MendLibTorchSharp>true</MendLibTorchSharp> in the project "
                + "to build with a copy that loads, or false if the program runs elsewhere.",
                library, string.Join(", ", missing), standard);
    }

    // Where the loader looks, but for its cache, which lists the same folders on all but unusual machines.
    private static IEnumerable<string> LibraryDirectories() =>
        (Environment.GetEnvironmentVariable("LD_LIBRARY_PATH") ?? "").Split(':').Where(directory => directory != "")
            .Concat(new[] { "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib" });

    private static void WriteIfDifferent(string path, byte[] bytes)
    {
        if (File.Exists(path) && File.ReadAllBytes(path).SequenceEqual(bytes))
            return;
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(path));
        // A new file moved into place: never a write through a link into the package cache, never half a library.
        var temporary = path + "." + Guid.NewGuid().ToString("N");
        File.WriteAllBytes(temporary, bytes);
        File.Delete(path);
        File.Move(temporary, path);
    }

    private static List<string> Weaken(byte[] elf)
    {
        var weakened = new List<string>();
        if (!IsLittleEndianElf64(elf))
            return weakened;
        var segments = Enumerable.Range(0, U16(elf, 56)).Select(i => U64(elf, 32) + i * U16(elf, 54)).ToList();
        var dynamic = ReadDynamicSection(elf, segments);
        Func<long, long> offset = tag => FileOffset(elf, segments, dynamic[tag]);
        if (!dynamic.ContainsKey(Tag.VersionsNeeded) || !dynamic.ContainsKey(Tag.SymbolVersions))
            return weakened;

        var used = new HashSet<int>();
        foreach (var (table, size) in new[] { (Tag.Relocations, Tag.RelocationsSize), (Tag.PltRelocations, Tag.PltRelocationsSize) })
        {
            if (!dynamic.ContainsKey(table) || !dynamic.ContainsKey(size))
                continue;
            for (long at = offset(table), end = at + dynamic[size]; at < end; at += 24)
                used.Add(U16(elf, offset(Tag.SymbolVersions) + 2 * (U64(elf, at + 8) >> 32)) & 0x7FFF);
        }

        var strings = offset(Tag.Strings);
        var need = offset(Tag.VersionsNeeded);
        for (var i = 0L; i < dynamic[Tag.VersionsNeededCount]; i++, need += U32(elf, need + 12))
        {
            var version = need + U32(elf, need + 8);
            for (var j = 0; j < U16(elf, need + 2); j++, version += U32(elf, version + 12))
            {
                var name = Text(elf, strings + U32(elf, version + 8));
                if (!name.StartsWith("GLIBCXX_", StringComparison.Ordinal) || used.Contains(U16(elf, version + 6)) || (elf[version + 4] & Weak) != 0)
                    continue;
                elf[version + 4] |= Weak;
                weakened.Add(name);
            }
        }
        return weakened;
    }

    private const byte Weak = 0x2; // VER_FLG_WEAK

    private static class Tag // d_tag of the dynamic section's entries
    {
        public const long PltRelocationsSize = 2, Strings = 5, Relocations = 7, RelocationsSize = 8, PltRelocations = 23;
        public const long SymbolVersions = 0x6FFFFFF0, VersionsNeeded = 0x6FFFFFFE, VersionsNeededCount = 0x6FFFFFFF;
    }

    private static bool IsLittleEndianElf64(byte[] file) =>
        file.Length > 64 && file[0] == 0x7F && file[1] == 'E' && file[2] == 'L' && file[3] == 'F' && file[4] == 2 && file[5] == 1;

    private static Dictionary<long, long> ReadDynamicSection(byte[] elf, List<long> segments)
    {
        var entries = new Dictionary<long, long>();
        foreach (var segment in segments.Where(s => U32(elf, s) == 2)) // PT_DYNAMIC
        {
            for (var at = U64(elf, segment + 8); U64(elf, at) != 0; at += 16)
                entries[U64(elf, at)] = U64(elf, at + 8);
        }
        return entries;
    }

    private static long FileOffset(byte[] elf, List<long> segments, long address)
    {
        var holder = segments.First(s => U32(elf, s) == 1 // PT_LOAD
            && address >= U64(elf, s + 16) && address < U64(elf, s + 16) + U64(elf, s + 32));
        return address - U64(elf, holder + 16) + U64(elf, holder + 8);
    }

    private static int U16(byte[] b, long at) => BitConverter.ToUInt16(b, (int)at);

    private static long U32(byte[] b, long at) => BitConverter.ToUInt32(b, (int)at);

    private static long U64(byte[] b, long at) => BitConverter.ToInt64(b, (int)at);

    private static string Text(byte[] b, long at) =>
        Encoding.ASCII.GetString(b, (int)at, Array.IndexOf(b, (byte)0, (int)at) - (int)at);
}
