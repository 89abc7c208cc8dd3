using System.Diagnostics;
using System.Reflection;
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
        new Failing(new InvalidOperationException("This operation has no gradient.")).Apply(x, weight, bias).Invoking(y => y.sum().backward()).Should().Throw<ExternalException>().WithMessage("*no gradient*");
        new Failing(new InvalidOperationException("This operation has no gradient.")).Apply(x, weight, bias).Invoking(y => autograd.grad([y.sum()], wanted)).Should().Throw<ExternalException>().WithMessage("*no gradient*");

        using var layer = new LayerNorm(3);
        layer.forward(x).sum().backward();
        layer.bias!.grad!.Doubles().Should().Equal(2, 2, 2);
    }

    /// <summary>A backward with a graph is asked of libtorch, whose errors would end the process in TorchSharp's own autograd.grad.</summary>
    [Fact]
    public void Backward_WithAGraphThatLibtorchRefuses_IsAnExceptionAndNotTheEndOfTheProcess()
    {
        using var scope = NewDisposeScope();
        var x = ones(2, 3).requires_grad_();
        new Constant().Apply(x, null, null).sum().Invoking(y => y.backward(create_graph: true)).Should().Throw<ExternalException>().WithMessage("*does not require grad*").WithInnerException<InvalidOperationException>();

        using var layer = new LayerNorm(3);
        layer.forward(x).sum().backward();
        layer.bias!.grad!.Doubles().Should().Equal(2, 2, 2);
    }

    /// <summary>With the larger size libtorch's own part of the pass runs out of memory too.</summary>
    [Theory]
    [InlineData(6)]
    [InlineData(1L << 50)]
    public void Backward_WithoutMemory_IsAnExceptionAndNotTheEndOfTheProcess(long size)
    {
        using var scope = NewDisposeScope();
        var leaf = zeros(1).expand(size).detach().requires_grad_();
        var error = new InsufficientMemoryException("There is no memory.");
        for (var i = 0; i < 2; i++)
        {
            var y = new Failing(error).Apply(leaf.narrow(0, 0, 6), null, null).sum();
            y.Invoking(sum => sum.backward()).Should().Throw<ExternalException>().WithMessage("*There is no memory.").WithInnerException<InsufficientMemoryException>();
        }

        using var layer = new LayerNorm(6);
        layer.forward(leaf.narrow(0, 0, 6).detach()).sum().backward();
        layer.bias!.grad!.Doubles().Should().OnlyContain(gradient => gradient == 1);
    }

    /// <summary>After the first failure the pass goes on with NaN, and later failures may be its consequence.</summary>
    [Fact]
    public void Backward_WhereSeveralFail_IsTheFirstsException()
    {
        using var scope = NewDisposeScope();
        var x = ones(2, 3).requires_grad_();
        var y = new Failing(new InvalidOperationException("first")).Apply(new Failing(new InvalidOperationException("second")).Apply(x, null, null), null, null);
        y.Invoking(output => output.sum().backward()).Should().Throw<ExternalException>().WithMessage("*first").WithInnerException<InvalidOperationException>();
        new Failing(new InvalidOperationException("second\nin two lines")).Apply(x, null, null)
            .Invoking(output => output.sum().backward()).Should().Throw<ExternalException>().WithMessage("*second");
    }

    [Fact]
    public void Backward_ThatFailed_IsWaitedForNoLonger()
    {
        using var scope = NewDisposeScope();
        var y = new Failing(new InvalidOperationException("There is none.")).Apply(ones(2).requires_grad_(), null, null);
        var before = Waiting();
        y.Invoking(output => output.sum().backward()).Should().Throw<ExternalException>();
        Waiting().Should().Be(before);

        static int Waiting() => // AppDomain's event has no other count
            (typeof(AppContext).GetField("FirstChanceException", BindingFlags.NonPublic | BindingFlags.Static)!.GetValue(null) as Delegate)?.GetInvocationList().Length ?? 0;
    }

    /// <summary>The failure becomes part of libtorch's error, and must not appear in an error of the next pass.</summary>
    [Fact]
    public void Backward_ThatLibtorchStopsAfterAFailure_LeavesTheNextAlone()
    {
        using var scope = NewDisposeScope();
        var net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), new LayerNorm(3));
        var loss = net.call(ones(2, 3)).sin().sum();
        using (no_grad())
            net.parameters().ToList().ForEach(parameter => parameter.add_(1));
        loss.Invoking(late => late.backward()).Should().Throw<ExternalException>()
            .WithMessage("The backward of a Darts.Norm layer failed: *inplace operation*\n*inplace operation*").WithInnerException<ExternalException>();
        net.zero_grad();
        net.call(ones(2, 3)).sin().sum().backward();
    }

    /// <summary>TorchSharp's function clears libtorch's last error, so the failed pass itself cannot throw.</summary>
    [Fact]
    public void Backward_ThatFailsBeforeAFunctionOfTorchSharp_IsAnExceptionOfTheNextAtTheLatest()
    {
        using var scope = NewDisposeScope();
        using var layer = new LayerNorm(3);
        var x = ones(2, 3).requires_grad_();
        var y = new Failing(new InvalidOperationException("The first.")).Apply(Doubled.apply(x), null, null);
        FluentActions.Invoking(() =>
        {
            y.sum().backward();
            x.grad!.Doubles().Should().OnlyContain(gradient => double.IsNaN(gradient));
            layer.forward(x).sum().backward();
        }).Should().Throw<ExternalException>().WithMessage("*The first.").WithInnerException<InvalidOperationException>();
        layer.forward(x).sum().backward();
    }

    /// <summary>As in PyTorch, the gradients are null then, not zeros.</summary>
    [Fact]
    public void Backward_WhereNoGradientComesIn_GivesNone()
    {
        using var scope = NewDisposeScope();
        var x = Layers.Values([2, 3]).requires_grad_();
        using var layer = new LayerNorm(3);
        var untouched = Layers.Values([2, 3]).requires_grad_();
        (WithoutGradient.apply(layer.forward(x)).sum() + untouched.sum()).backward();
        untouched.grad.Should().NotBeNull();
        (x.grad, layer.weight!.grad, layer.bias!.grad).Should().Be((null, null, null));
    }

    /// <summary>No gradient depends on the bias, so that it need not be saved.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Backward_AfterABiasWasChangedInPlace_IsTheSame(bool createGraph)
    {
        using var scope = NewDisposeScope();
        using var layer = new LayerNorm(3);
        var x = Layers.Values([2, 3]).requires_grad_();
        var expected = Gradients(() => { });
        foreach (var (actual, other) in Gradients(() => layer.bias!.add_(100)).Zip(expected))
            Layers.SameBits(actual, other).Should().BeTrue();

        Tensor[] Gradients(Action change)
        {
            var loss = (layer.forward(x) * Layers.Values([2, 3])).sum();
            using (no_grad())
                change();
            return [.. autograd.grad([loss], [x, layer.weight!, layer.bias!], create_graph: createGraph)];
        }
    }

    /// <summary>A gradient with a graph may be the last to hold it: to free the one frees the other.</summary>
    [Fact]
    public void SecondOrder_ManyTimes_FreesEachGraphOnce()
    {
        using var layer = new LayerNorm(8);
        using var x = rand(4, 8).requires_grad_();
        for (var i = 0; i < 20; i++)
        {
            using var scope = NewDisposeScope();
            var y = layer.forward(x);
            var gradient = autograd.grad([(y * y * y).sum()], [x], retain_graph: true, create_graph: true)[0];
            if (i % 2 == 0)
                gradient.square().sum().backward();
        }
        x.grad!.isfinite().all().item<bool>().Should().BeTrue();
    }

    [Fact]
    public void Forward_OfWhatCannotBeSaved_ThrowsAndLeavesNothing()
    {
        using var layer = new LayerNorm(8);
        using var x = OfInference();
        Once();
        Alone.TensorsLeft(Once).Should().Be(0);

        void Once() => layer.Invoking(norm => norm.forward(x)).Should().Throw<InvalidOperationException>().WithMessage("*outside of inference mode*of size [4, 8]*clone()*");

        static Tensor OfInference()
        {
            using var inference = inference_mode();
            return rand(4, 8);
        }
    }

    /// <summary>The leaf's grad is the very tensor that the kernels wrote.</summary>
    [Theory]
    [InlineData(16 * 1024)]
    [InlineData(100_000)]
    public void Backward_OfALargeLeaf_GivesItsGradientWithoutACopy(long size)
    {
        using var scope = NewDisposeScope();
        var x = ones(size).requires_grad_();
        var operation = new Giving();
        operation.Apply(x, null, null).sum().backward();
        x.grad!.Doubles().Should().OnlyContain(gradient => gradient == 3);
        x.grad!.storage<float>().data_ptr().Should().Be(operation.Given!.storage<float>().data_ptr());
    }

    /// <summary>A view is made where it saves the copy of a leaf's gradient, and the gradient is large.</summary>
    [Theory]
    [InlineData(16 * 1024, true, true, false)]
    [InlineData((16 * 1024) - 1, true, true, true)]
    [InlineData(16 * 1024, true, false, true)]
    [InlineData(16 * 1024, false, true, true)]
    public void Forward_OfAnInput_TakesItAsItIsUnlessItIsALargeLeaf(long size, bool requiresGradient, bool isLeaf, bool isTakenAsItIs)
    {
        using var scope = NewDisposeScope();
        var x = ones(size).requires_grad_(requiresGradient);
        x = isLeaf ? x : x * 1;
        var operation = new Giving();
        operation.Apply(x, ones(1).requires_grad_(), null);
        ReferenceEquals(operation.Taken, x).Should().Be(isTakenAsItIs);
    }

    [Fact]
    public void Forward_AfterABackward_FreesWhatThatGave()
    {
        using var scope = NewDisposeScope();
        var x = ones(2).requires_grad_();
        var operation = new Giving();
        var y = operation.Apply(x, null, null);
        y.sum().backward();
        operation.Apply(x, null, null);
        operation.Given!.IsInvalid.Should().BeTrue();
    }

    [Fact]
    public void Forward_ThatThrows_FreesWhatItKept()
    {
        using var x = ones(2).requires_grad_();
        var before = Process.GetCurrentProcess().VirtualMemorySize64;
        new Keeping().Invoking(operation => operation.Apply(x, null, null)).Should().Throw<NotSupportedException>();
        (Process.GetCurrentProcess().VirtualMemorySize64 - before).Should().BeLessThan(Keeping.Many * sizeof(double) / 2);
    }

    private sealed class Giving : FusedOperation
    {
        public Tensor? Taken { get; private set; }

        public Tensor? Given { get; private set; }

        public override Tensor Formula(Inputs inputs) => inputs.X * 3;

        public override Tensor Forward(Inputs inputs) => (Taken = inputs.X) * 3;

        public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted)
        {
            Given = full_like(inputs.X, 3).MoveToOuterDisposeScope();
            return new(Given, null, null);
        }
    }

    private sealed class Constant : FusedOperation
    {
        public override Tensor Formula(Inputs inputs) => inputs.X.detach();

        public override Tensor Forward(Inputs inputs) => inputs.X.clone();

        public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) => throw new NotSupportedException();
    }

    private sealed class Keeping : FusedOperation
    {
        public const long Many = 1L << 27; // never touched: that takes addresses alone

        public override Tensor Formula(Inputs inputs) => throw new NotSupportedException();

        public override long Keeps(Tensor x) => Many;

        public override Tensor Forward(Inputs inputs) => throw new NotSupportedException();

        public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) => throw new NotSupportedException();
    }

    private sealed class Doubled : autograd.SingleTensorFunction<Doubled>
    {
        public override string Name => nameof(Doubled);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => (Tensor)vars[0] * 2;

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => [grad_output * 2];
    }

    private sealed class WithoutGradient : autograd.SingleTensorFunction<WithoutGradient>
    {
        public override string Name => nameof(WithoutGradient);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => ((Tensor)vars[0]).clone();

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => [null!];
    }

    private sealed class Failing(Exception error) : FusedOperation
    {
        public override Tensor Formula(Inputs inputs) => inputs.X.clone();

        public override Tensor Forward(Inputs inputs) => inputs.X.clone();

        public override Gradients Backward(Inputs inputs, Tensor gradOutput, Wanted wanted) => throw error;
    }
}
