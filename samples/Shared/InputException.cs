namespace Samples;

/// <summary>Something that the user gave cannot be used; the message is one line that says what, where and what to do.</summary>
internal sealed class InputException(string message) : Exception(message.ReplaceLineEndings(" "))
{
    /// <summary>A piece of the user's input, short and on one line.</summary>
    public static string Quote(string text)
    {
        var line = string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c));
        return line.Length <= 40 ? $"'{line}'" : $"'{line[..40]}...'";
    }
}
