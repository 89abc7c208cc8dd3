using CsCheck;
using Darts.Norm.Soak;
using Darts.Norm.Tests.Reference;

namespace Darts.Norm.Tests;

/// <summary>NaN and infinity at random places: they stay in their row or series, and are where the formula's are.</summary>
public sealed class NonFiniteTests
{
    private static readonly double[] Values = [double.NaN, double.PositiveInfinity, double.NegativeInfinity];

    public static TheoryData<Kind, ScalarType> KindsAndDtypes => ExactnessTests.KindsAndDtypes;

    [Theory]
    [MemberData(nameof(KindsAndDtypes))]
    public void NaNAndInfinity_AtRandomPlaces_StayInTheirRowOrSeriesAndAreThoseOfTheFormula(Kind kind, ScalarType dtype) =>
        Problem.Of(kind, dtype, 1500).Sample(problem => Check(Ordinary(problem, dtype)), iter: 15, threads: 1);

    private static Problem Ordinary(Problem problem, ScalarType dtype) => problem with
    {
        ParameterDtype = dtype,
        Content = Content.Ordinary,
        Scale = 1,
        ParameterScale = 1,
        GradScale = 1,
        Eps = 1e-5,
        FrozenInput = false,
        FrozenParameters = false,
        SubtractLast = false,
        MinStdev = 0,
        Holes = false,
    };

    private static void Check(Problem problem)
    {
        using var scope = NewDisposeScope();
        using var layer = problem.NewLayerWithParameters();
        var random = new Random(problem.Seed);
        var (x, gradient) = (problem.Input(), problem.Gradient(problem.Shape));
        var (hurtX, isHurt) = Hurt(problem, x, random, Values);
        var (hurtGradient, isGradientHurt) = Hurt(problem, gradient, random, [double.NaN]); // what infinity minus infinity gives depends on the order of a sum
        isGradientHurt |= isHurt;
        using var sound = Run(x, gradient);
        using var hurt = Run(hurtX, hurtGradient);

        Layers.SameBits(where(isHurt, 0, hurt["y"]), where(isHurt, 0, sound["y"])).Should().BeTrue($"other rows and series are as without, of {problem}");
        Layers.SameBits(where(isGradientHurt, 0, hurt["y: grad.x"]), where(isGradientHurt, 0, sound["y: grad.x"])).Should().BeTrue($"gradients of other rows and series are as without, of {problem}");

        var wide = problem with { Dtype = ScalarType.Float64, ParameterDtype = ScalarType.Float64 };
        using var wideLayer = wide.NewLayerWithParameters();
        using var formula = OpByOp.Of(wideLayer, hurtX.to(ScalarType.Float64), hurtGradient.to(ScalarType.Float64));
        foreach (var (name, expected) in formula)
            Judge.NonFiniteInTheSamePlaces(hurt[name], expected, $"{name} of {problem}");

        Results Run(Tensor input, Tensor of) =>
            Results.Of(problem, layer, input.As(problem.Layout is Layout.RepeatedRows or Layout.RepeatedValues ? Layout.Transposed : problem.Layout), null, shape =>
                shape.SequenceEqual(problem.Shape) ? of.alias() : problem.Gradient(shape));
    }

    /// <summary>The tensor with one or two such values in about half of its rows or series, and a mask of those.</summary>
    private static (Tensor hurt, Tensor isHurt) Hurt(Problem problem, Tensor tensor, Random random, double[] values)
    {
        // Series become rows: the time steps last.
        var rows = problem.IsOfSeries ? tensor.reshape(problem.Shape[0], -1, problem.Shape[^1]).transpose(1, 2) : tensor.reshape(-1, problem.Width);
        var shape = rows.shape;
        rows = rows.clone().reshape(-1, shape[^1]);
        var isHurt = zeros_like(rows, ScalarType.Bool);
        for (long row = 0; row < rows.size(0); row++)
        {
            for (var i = random.Next(-2, 3); i > 0; i--)
            {
                rows[row, random.NextInt64(rows.size(1))] = values[random.Next(values.Length)];
                isHurt[row] = true;
            }
        }
        return (Back(rows), Back(isHurt));

        Tensor Back(Tensor of) => (problem.IsOfSeries ? of.reshape(shape).transpose(1, 2) : of).reshape(problem.Shape).contiguous();
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void RINormWeightGradient_OneInfiniteGradient_IsInfinite(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var rin = (RINorm)Layers.All["RINorm"].New(dtype);
        var x = Layers.All["RINorm"].Input(dtype);
        var y = rin.forward(x);
        var z = rin.inverse(x.unsqueeze(-1));
        foreach (var result in (Tensor[])[y, z])
        {
            var gradient = ones_like(result);
            gradient.view(-1)[0] = double.PositiveInfinity;
            autograd.grad([result], [rin.affine_weight!], [gradient])[0].Doubles()[0].Should().Match(value => double.IsInfinity(value));
        }
    }
}
