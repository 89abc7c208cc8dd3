using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Series in groups of time steps: which steps are together, and the values however tensor and mask lie.</summary>
public sealed unsafe class SeriesGroupsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<long, long, string, string> Cases
    {
        get
        {
            var cases = new TheoryData<long, long, string, string>();
            foreach (var (steps, width) in ((long, long)[])[(1, 1), (5, 3), (96, 7), (150, 1), (40, 70), (37, 16)])
            {
                foreach (var layout in (string[])["contiguous", "batch and time swapped", "components before time", "every second step", "repeated"])
                {
                    foreach (var mask in (string[])["none", "contiguous", "components before time", "every second step", "a step at a time", "a step at a time, strided"])
                        cases.Add(steps, width, layout, mask);
                }
            }
            return cases;
        }
    }

    public void Dispose() => _scope.Dispose();

    /// <summary>The order of sums depends on the groups, and so do the bits of the statistics.</summary>
    [Theory]
    [InlineData(10, 1, 16, 1, 128)]
    [InlineData(1000, 1, 112, 9, 16)]
    [InlineData(96, 7, 112, 6, 16)]
    [InlineData(700, 16, 128, 88, 16)]
    [InlineData(5000, 63, 1008, 313, 4)]
    [InlineData(40, 64, 128, 20, 16)]
    [InlineData(40, 129, 129, 40, 12)]
    [InlineData(3, 8, 16, 2, 128)]
    public void New_OfStepsAndWidth_TakesWholeGroupsOfLanes(long steps, long width, long columns, long count, long chunk)
    {
        var tensor = zeros(2, steps, width);
        var groups = new SeriesGroups(ref tensor, width);
        (groups.Batch, groups.Steps, groups.StepsAtATime, groups.Width, groups.Columns, groups.Count, groups.Chunk, groups.Gathered)
            .Should().Be((2, steps, 1, width, columns, count, chunk, 0));
    }

    [Fact]
    public void New_OfSeveralPooledAxes_CountsTheRowsOfATime()
    {
        var tensor = zeros(2, 5, 3, 4);
        var groups = new SeriesGroups(ref tensor, 4);
        (groups.Steps, groups.StepsAtATime).Should().Be((15, 3));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(11)]
    [InlineData(21)]
    [InlineData(63)]
    [InlineData(65)]
    [InlineData(80)]
    public void Repeat_OfATimeStep_GoesOnWithItToTheEndOfEachRun(long width)
    {
        var tensor = zeros(1, 700, width);
        var groups = new SeriesGroups(ref tensor, width);
        var run = Lanes.Padded(groups.Columns);
        ShouldRepeat<float>(i => i);
        ShouldRepeat<double>(i => i);

        void ShouldRepeat<TNumber>(Func<int, TNumber> number)
            where TNumber : unmanaged
        {
            var numbers = Enumerable.Range(0, 3 * (int)run).Select(number).ToArray();
            var expected = numbers.Select((value, i) => i >= 2 * run ? value : numbers[i - (i % run) + (i % run % width)]).ToArray();
            fixed (TNumber* at = numbers)
                groups.Repeat(at, run, 2);
            numbers.Should().Equal(expected);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void ReadAndCopy_OfAnyTensorAndMask_GiveItsValuesAndNaNWhereNoneIs(long steps, long width, string layout, string maskLayout)
    {
        const long batch = 3;
        var x = Tensor(batch, steps, width, layout, ScalarType.Float64);
        var mask = MaskOf(batch, steps, width, maskLayout);
        var expected = (mask is null ? x : where(mask, x, double.NaN)).Doubles();
        var groups = new SeriesGroups(ref x, width, ref mask);
        const int guard = 64;
        using var gathered = new Float64Buffer(groups.Gathered + guard);
        new Span<double>(gathered.At + groups.Gathered, guard).Fill(7);
        var copy = zeros(batch, steps, width, ScalarType.Float64);
        foreach (var (series, count) in Enumerable.Range(0, (int)batch).SelectMany(series => new[] { 1, SeriesGroups.AtATime, groups.Chunk }.Select(count => (series, count))))
        {
            var at = series * steps * width;
            for (long group = 0; group < groups.Count; group += count)
            {
                var row = groups.Read<Float64>(series, group, count, (byte*)gathered.At);
                var to = groups.Write<Float64>(TensorMemory.Start(copy), series, group, count, null);
                row.Length.Should().Be(Math.Min(count * groups.Columns, (steps * width) - (group * groups.Columns))).And.Be(to.Length);
                for (long i = 0; i < row.Length; i++)
                {
                    if (!At(row, i).Equals(expected[at]))
                        Assert.Fail($"{At(row, i)} was read for {expected[at]}, series {series}, group {group}, value {i}");
                    if (!groups.At<Float64>(series, (group * groups.Columns / width) + (i / width), i % width).Equals(expected[at]))
                        Assert.Fail($"another value than {expected[at]} alone, series {series}, group {group}, value {i}");
                    at++;
                }
            }
            if (mask is not null)
                groups.Copy<Float64>(series, TensorMemory.Start(copy), (byte*)gathered.At);
        }
        if (mask is not null)
            copy.Doubles().Should().Equal(expected, (a, b) => a.Equals(b));
        new Span<double>(gathered.At + groups.Gathered, guard).ToArray().Should().OnlyContain(value => value == 7, "what is gathered has room");
    }

    /// <summary>Both are converted by way of float32, and nothing is written beyond the room for them.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void ReadAndNarrow_OfHalfPrecision_GiveItsValuesAndTakeResults(long steps, long width, string layout, string maskLayout)
    {
        const long batch = 3;
        foreach (var dtype in new[] { ScalarType.Float16, ScalarType.BFloat16 })
        {
            var x = Tensor(batch, steps, width, layout, dtype);
            var mask = MaskOf(batch, steps, width, maskLayout);
            var expected = (mask is null ? x : where(mask, x, double.NaN)).Doubles();
            var groups = new SeriesGroups(ref x, width, ref mask);
            const int guard = 64;
            using var room = new Float64Buffer(groups.Gathered + groups.Narrowed + guard);
            new Span<double>(room.At, (int)room.Length).Fill(7);
            var narrowed = (byte*)(room.At + groups.Gathered);
            var results = zeros([batch, steps, width], dtype);
            for (long series = 0, at = 0; series < batch; series++)
            {
                for (long group = 0; group < groups.Count; group += groups.Chunk)
                {
                    var row = groups.Read<Float32>(series, group, groups.Chunk, (byte*)room.At);
                    var to = groups.Write<Float32>(TensorMemory.Start(results), series, group, groups.Chunk, narrowed);
                    for (long i = 0; i < row.Length; i++)
                    {
                        var alone = groups.At<Float32>(series, (group * groups.Columns / width) + (i / width), i % width);
                        if (!At(row, i).Equals(expected[at + i]) || !alone.Equals(expected[at + i]))
                            Assert.Fail($"{At(row, i)} and {alone} were read for {expected[at + i]}, series {series}, group {group}, value {i}");
                        ((float*)to.Start)[i] = 2 * (at + i);
                    }
                    groups.Narrow(TensorMemory.Start(results), series, group, groups.Chunk, narrowed);
                    at += row.Length;
                }
            }
            var twice = (arange(batch * steps * width, ScalarType.Float32) * 2).to(dtype);
            results.Doubles().Should().Equal(twice.Doubles());
            var last = groups.Results<Float32>(TensorMemory.Start(results), 2, groups.Count - 1, 1, narrowed);
            for (var i = 0; i < last.Length; i++)
                At(last, i).Should().Be(twice.Doubles()[^(int)(last.Length - i)]);
            new Span<double>(room.At + groups.Gathered + groups.Narrowed, guard).ToArray().Should().OnlyContain(value => value == 7, "each has its room");
        }
    }

    [Theory]
    [InlineData(false, 9)]
    [InlineData(true, 5)]
    public void Write_OfAGroup_MayTouchWhatIsWrittenAfterItInTheSeries(bool keepsTheNext, double next)
    {
        const int columns = 65, steps = 8; // a group a step
        var tensor = full([2, steps, columns], 5, ScalarType.Float64);
        var groups = new SeriesGroups(ref tensor, columns);
        foreach (var group in (int[])[0, steps - 1])
            groups.Write<Float64>(TensorMemory.Start(tensor), 0, group, 1, null, keepsTheNext).SetTail(Numbers.Of(_ => 9));
        var values = tensor.Doubles();
        values[(columns - 2)..(columns + 1)].Should().Equal(5, 9, next);
        values[((steps * columns) - 2)..((steps * columns) + 1)].Should().Equal(5, 9, 5);
    }

    private static Tensor Tensor(long batch, long steps, long width, string layout, ScalarType dtype)
    {
        var plain = (arange(batch * steps * width, ScalarType.Float64).reshape(batch, steps, width) + 1).to(dtype);
        return layout switch
        {
            "batch and time swapped" => plain.transpose(0, 1).contiguous().transpose(0, 1),
            "components before time" => plain.transpose(1, 2).contiguous().transpose(1, 2),
            "every second step" => stack([plain, plain * -1], 2).reshape(batch, 2 * steps, width).slice(1, 0, 2 * steps, 2),
            "repeated" => plain.narrow(0, 0, 1).expand(batch, steps, width),
            _ => plain,
        };
    }

    private static double At<T>(Row<T> row, long i)
        where T : IElement => T.Read(row.Start + (i * T.Size));

    private static Tensor? MaskOf(long batch, long steps, long width, string layout)
    {
        var there = (Layers.Values([batch, steps, width]) > -0.5).contiguous();
        return layout switch
        {
            "none" => null,
            "components before time" => there.transpose(1, 2).contiguous().transpose(1, 2),
            "every second step" => stack([there, there.logical_not()], 2).reshape(batch, 2 * steps, width).slice(1, 0, 2 * steps, 2),
            "a step at a time" => there.narrow(2, 0, 1).contiguous(),
            "a step at a time, strided" => there.narrow(2, width - 1, 1),
            _ => there,
        };
    }
}
