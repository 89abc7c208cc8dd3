namespace Darts.Norm.Tests;

/// <summary>Every value of one list with every value of the others.</summary>
public static class Combinations
{
    public static TheoryData<T1, T2> Of<T1, T2>(IEnumerable<T1> first, IEnumerable<T2> second)
    {
        var data = new TheoryData<T1, T2>();
        foreach (var (a, b) in first.SelectMany(a => second.Select(b => (a, b))))
            data.Add(a, b);
        return data;
    }

    public static TheoryData<T1, T2, T3> Of<T1, T2, T3>(IEnumerable<T1> first, IEnumerable<T2> second, IEnumerable<T3> third)
    {
        var data = new TheoryData<T1, T2, T3>();
        foreach (var (a, b, c) in first.SelectMany(a => second.SelectMany(b => third.Select(c => (a, b, c)))))
            data.Add(a, b, c);
        return data;
    }
}
