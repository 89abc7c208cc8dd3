using System.Globalization;

namespace Darts.Norm.Tests.Modules;

/// <summary>What the recorder logged, made here: each value as Python prints it, each error as "type: text".</summary>
public sealed class Recording
{
    private readonly List<string> _lines = [];

    public IReadOnlyList<string> Lines => _lines;

    public void Log(object? value) => _lines.Add(Text(value));

    public void Attempt(Func<object?> action)
    {
        try
        {
            Log(action());
        }
        catch (Exception error)
        {
            _lines.Add(Error(error));
        }
    }

    public void Attempt(Action action) => Attempt(() =>
    {
        action();
        return null;
    });

    public static string Text(object? value) => value switch
    {
        null => "None",
        string text => text,
        bool flag => flag ? "True" : "False",
        ScalarType dtype => PythonText.Dtype(dtype),
        double number => PythonText.Float(number),
        long[] shape => PythonText.Tuple(shape),
        Tensor tensor => Values(tensor),
        IEnumerable<string> words => PythonText.List(words),
        System.Collections.IEnumerable items => $"[{string.Join(", ", items.Cast<object?>().Select(Text))}]",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    /// <summary><c>[round(v, 5) for v in tensor.flatten().tolist()]</c></summary>
    public static string Rounded(Tensor tensor) => Text(tensor.flatten().Doubles().Select(value => Math.Round(value, 5)));

    public static string Error(Exception error) => error switch
    {
        MissingMemberException => $"AttributeError: {error.Message}",
        KeyNotFoundException => $"KeyError: {Repr(error.Message)}",
        InvalidOperationException => $"RuntimeError: {error.Message}",
        ArgumentTypeException => $"TypeError: {error.Message}",
        ArgumentException => $"ValueError: {error.Message}",
        _ => $"{error.GetType().Name}: {error.Message}",
    };

    // Python's repr of a text, which is what a KeyError prints.
    private static string Repr(string text) => text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal)
        ? $"\"{text}\""
        : $"'{text.Replace("'", "\\'", StringComparison.Ordinal)}'";

    private static string Values(Tensor tensor) => tensor.dim() == 0
        ? Text(tensor.Doubles()[0])
        : $"[{string.Join(", ", Enumerable.Range(0, (int)tensor.size(0)).Select(i => Values(tensor[i])))}]";
}
