using Darts.Norm.Kernels;
using Darts.Norm.Tests.Reference;

namespace Darts.Norm.Tests.Kernels;

/// <summary>Series of float32, which are mapped in float32 where that is as good as in float64.</summary>
public sealed unsafe class Float32SeriesTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<long, long> StepsAndComponents => new() { { 1, 1 }, { 1, 7 }, { 3, 7 }, { 2, 40 }, { 1, 321 } };

    /// <summary>Float32 would leave few digits where the shift cancels what it is added to.</summary>
    [Theory]
    [MemberData(nameof(StepsAndComponents))]
    public void TransformAndInverse_WhereAShiftCancelsASeries_AreRight(long steps, long components)
    {
        using var rin = new RINorm(components);
        using (no_grad())
        {
            rin.affine_weight!.copy_(Layers.Values([components], ScalarType.Float32, 5) + 1.7);
            rin.affine_bias!.copy_(Layers.Values([components], ScalarType.Float32, 6) + 0.3);
        }
        rin.forward(Layers.Values([4, 50, components], ScalarType.Float32, 9) + 3);
        var noise = Layers.Values([4, steps, components], ScalarType.Float64, 3) * 1e-5;
        var (mean, stdev) = (Wide(rin.mean!), Wide(rin.stdev!));
        var (weight, bias) = (Wide(rin.affine_weight!), Wide(rin.affine_bias!));
        var input = (mean - (bias * stdev / weight) + noise).to(ScalarType.Float32);
        var forecast = (bias - (mean * weight / stdev) + noise).to(ScalarType.Float32).unsqueeze(-1);

        ShouldBeRight(rin, input, layer => layer.transform(input), layer => layer.transform(Wide(input)));
        ShouldBeRight(rin, input, layer => layer.inverse(forecast).squeeze(-1), layer => layer.inverse(Wide(forecast)).squeeze(-1));
    }

    [Theory]
    [InlineData(2, 3)]
    [InlineData(96, 7)]
    [InlineData(50, 40)]
    public void Transform_OfTheInputOfForward_IsTheSameBits(long steps, long components)
    {
        using var rin = new RINorm(components);
        using (no_grad())
            rin.affine_bias!.copy_(Layers.Values([components], ScalarType.Float32, 6) * 4);
        var x = Layers.Values([5, steps, components], ScalarType.Float32) + 2;

        Layers.SameBits(rin.forward(x), rin.transform(x)).Should().BeTrue();
    }

    /// <summary>Columns are lost that leave float32's range, and those that their shift cancels.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(21)]
    [InlineData(40)]
    public void CountLost_OfTheFirstColumns_IsHowManyAre(int columns)
    {
        var series = zeros(1, 1, columns);
        var groups = new SeriesGroups(ref series, columns);
        var run = Lanes.Padded(groups.Columns);
        using var coefficients = new Float64Buffer(4 * run);
        using var room = new Float64Buffer(3 * run);
        double[] ordinary = [0.3, 0, 0.7, 1.5], least = [0, 0, 1e-12, 0], zero = [0, 0, 0, 0];
        double[][] lost = [[1e19, 0, 0.7, 1.5], [0.3, 0, -1e19, 1.5], [0.3, 0, 0.7, -1e19], [0.3, 0, 1e-19, 1.5], [double.NaN, 0, 1, 1], [0, 0, double.PositiveInfinity, 0]];
        var are = new bool[columns];
        for (var i = 0; i < run; i++)
        {
            if (i < columns)
                are[i] = i % 3 == 0;
            var of = i >= columns || i % 3 == 0 ? lost[(i / 3) % lost.Length] : i % 5 == 0 ? least : i % 7 == 0 ? zero : ordinary;
            for (var k = 0; k < 4; k++)
                coefficients.At[(k * run) + i] = of[k];
        }
        var singles = new Float32Series(groups, coefficients.At, run, (float*)room.At);
        for (var width = 0; width <= columns; width++)
            singles.CountLost(width).Should().Be(are.Take(width).Count(isLost => isLost));
        Enumerable.Range(0, columns).Select(IsLost).Should().Equal(are);

        // Those with a shift, of whose results the last are by turns enough, too few, and as large with another that opposes the shift.
        var (results, group) = (new float[3 * groups.Columns], (int)groups.Columns);
        for (var i = 0; i < group; i++)
            (results[i], results[group + i], results[(2 * group) + i]) = (i % columns % 5 == 4 ? -0.5f : -0.3f, 0.5f, (i % columns % 5) switch { 0 => -3.1f, 1 => 3.1f, 2 => 1.25f, _ => 1.5f });
        singles.ClearReached();
        fixed (float* at = results)
        {
            singles.Reach((byte*)at, 2 * group, columns).Should().Be(columns == 1);
            singles.Reach((byte*)(at + (2 * group)), group, columns);
        }
        singles.LoseUnreached(columns);
        Enumerable.Range(0, columns).Select(IsLost)
            .Should().Equal(Enumerable.Range(0, columns).Select(i => are[i] || (i % 5 is 2 or 4 && coefficients.At[(3 * run) + i] == 1.5)));

        bool IsLost(int column) => singles.CountLost(column + 1) > singles.CountLost(column);
    }

    /// <summary>The other columns stay. With fewer than four columns and with more, where the last four may overlap those before.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(7)]
    [InlineData(21)]
    public void MapLost_OfSomeTimeSteps_MapsTheColumnsThatAreLostInFloat64(int columns)
    {
        const int rows = 3;
        var series = zeros(1, 1, columns);
        var groups = new SeriesGroups(ref series, columns);
        var run = Lanes.Padded(groups.Columns);
        using Float64Buffer coefficients = new(4 * run), room = new(3 * run);
        double* center = coefficients.At, factor = center + (2 * run), shift = center + (3 * run);
        for (var i = 0; i < run; i++)
            (center[i], factor[i], shift[i]) = (i % 3 == 0 ? 1e25 : 0.5, 1.5 + i, 0.25);
        var singles = new Float32Series(groups, coefficients.At, run, (float*)room.At);
        var (x, listed) = (new float[rows * columns], singles.ListLost(columns));
        for (var i = 0; i < x.Length; i++)
            x[i] = i % 5 == 4 ? float.NaN : i % columns % 3 == 0 ? 1e25f * (1 + (i / 64f)) : i;
        foreach (var (fills, scales) in ((bool, bool)[])[(false, false), (true, false), (false, true)])
        {
            var y = new float[rows * columns];
            Array.Fill(y, -7);
            fixed (float* from = x, to = y)
                singles.MapLost(from, to, rows, columns, listed, scales ? null : center, factor, scales ? null : shift, fills);
            for (var i = 0; i < x.Length; i++)
            {
                var c = i % columns;
                var mapped = scales ? x[i] * factor[c] : ((x[i] - center[c]) * factor[c]) + shift[c];
                y[i].Should().Be(c % 3 != 0 ? -7 : fills && float.IsNaN(x[i]) ? 0 : (float)mapped);
            }
        }
    }

    private static void ShouldBeRight(RINorm rin, Tensor input, Func<RINorm, Tensor> inSingles, Func<RINorm, Tensor> wide)
    {
        using var noGrad = no_grad();
        var (actual, expected) = (Wide(inSingles(rin)), wide(rin));
        var units = (actual - expected).abs() / (expected.abs().amax([1L], keepdim: true) * (Judge.Epsilon(ScalarType.Float32) / 2));
        units.max().item<double>().Should().BeLessThanOrEqualTo(4, $"of {string.Join(", ", input.shape)}");
    }

    private static Tensor Wide(Tensor tensor) => tensor.detach().to(ScalarType.Float64);
}
