using System.Runtime.InteropServices;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

[Collection(nameof(Alone))]
public sealed class FusedFunctionTests
{
    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Backward_ThatFails_IsAnExceptionAndNotTheEndOfTheProcess(bool wantsInput, bool wantsParameters)
    {
        using var scope = NewDisposeScope();
        var x = ones(2, 3).requires_grad_(wantsInput);
        var (weight, bias) = (ones(3).requires_grad_(wantsParameters), zeros(3).requires_grad_(wantsParameters));
        var wanted = new[] { x, weight, bias }.Where(tensor => tensor.requires_grad).ToArray();
        new Failing().Apply(x, weight, bias).Invoking(y => y.sum().backward()).Should().Throw<ExternalException>().WithMessage("*no gradient*");
        new Failing().Apply(x, weight, bias).Invoking(y => autograd.grad([y.sum()], wanted)).Should().Throw<ExternalException>().WithMessage("*no gradient*");

        using var layer = new LayerNorm(3);
        layer.forward(x).sum().backward();
        layer.bias!.grad!.Doubles().Should().Equal(2, 2, 2);
    }

    private sealed class Failing : FusedOperation
    {
        public override Tensor Formula(Inputs inputs) => inputs.X.clone();

        public override (Tensor output, Tensor? statistics) Forward(Inputs inputs, bool keepStatistics) => (inputs.X.clone(), null);

        public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) => throw new InvalidOperationException("This operation has no gradient.");
    }
}
