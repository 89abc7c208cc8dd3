using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>What a node of torch's graph is asked, gives back and holds.</summary>
[Collection(nameof(Alone))] // collects garbage
public sealed class AutogradNodeTests
{
    [Fact]
    public void Tie_OfAFunction_KeepsItAndDisposesItOnceWithTheGraph()
    {
        using var scope = NewDisposeScope();
        var x = ones(2).requires_grad_();
        for (var i = 1; i < 4; i++) // a node serves one call after the other
        {
            var times = 0;
            var (y, given) = Tied(x, () => times++);
            Alone.Collect();
            (times, given.IsAlive).Should().Be((0, true));
            var other = y.alias();
            y.Dispose();
            times.Should().Be(0, "the graph is still there");
            other.Dispose();
            times.Should().Be(1);
            Alone.Collect();
            given.IsAlive.Should().BeFalse("nothing holds it any longer");
        }
    }

    [Fact]
    public void Backward_OfSeveralOutputs_GetsEachOnesGradientAndGivesThatOfEachInput()
    {
        using var scope = NewDisposeScope();
        var inputs = Enumerable.Range(1, 3).Select(i => full(i, i, ScalarType.Float64).requires_grad_()).ToArray();
        var seen = new List<double?>();
        for (var i = 0; i < 3; i++)
        {
            seen.Clear();
            var outputs = AutogradNode.Tie(
                inputs,
                [.. Enumerable.Range(1, 4).Select(size => zeros(size, ScalarType.Float64))],
                [],
                new Function((_, gradients) =>
                {
                    seen.AddRange(gradients.Select(gradient => gradient?.sum().item<double>()));
                    return [full(1, 5, ScalarType.Float64), null, full(3, 7, ScalarType.Float64)];
                }));
            outputs.Should().HaveCount(4).And.OnlyContain(output => output.requires_grad && !output.is_leaf);
            (outputs[0].sum() + (2 * outputs[3]).sum()).backward();
            seen.Should().Equal(1, null, null, 8);
        }
        inputs[0].grad!.Doubles().Should().Equal(15);
        inputs[1].grad.Should().BeNull();
        inputs[2].grad!.Doubles().Should().Equal(21, 21, 21);
    }

    [Fact]
    public void Saved_InTheBackward_IsWhatWasSavedWithItsPlaceInTheGraph()
    {
        using var scope = NewDisposeScope();
        foreach (var count in (int[])[2, 3, 2, 0, 5]) // a node serves calls of any number
        {
            var x = ones(2).requires_grad_();
            Tensor?[] saved = [.. Enumerable.Range(0, count).Select(i => i == 1 ? null : i == 0 ? x : full(3, i))];
            List<Tensor?> given = [];
            var y = AutogradNode.Tie([x], [zeros(2)], saved, new Function((node, _) =>
            {
                given.AddRange(Enumerable.Range(0, count).Select(node.Saved));
                return [ones(2)];
            }))[0];
            y.sum().backward();
            for (var i = 0; i < count; i++)
            {
                (given[i] is null).Should().Be(i == 1);
                if (given[i] is { } tensor)
                    (Layers.SameBits(tensor, saved[i]!), tensor.requires_grad).Should().Be((true, i == 0));
            }
        }
    }

    /// <summary>As with torch's own functions.</summary>
    [Fact]
    public void Backward_OfSavedThatWasChanged_IsAnError()
    {
        using var scope = NewDisposeScope();
        var (x, saved) = (ones(2).requires_grad_(), ones(2));
        Exception? error = null;
        var y = AutogradNode.Tie([x], [zeros(2)], [saved], new Function((node, _) =>
        {
            error = FluentActions.Invoking(() => node.Saved(0)).Should().Throw<ExternalException>().Which;
            return [ones(2)];
        }))[0];
        saved.add_(1);
        y.sum().backward();
        error!.Message.Should().Contain("modified by an inplace operation");
    }

    [Fact]
    public void Tie_OfAnInputAsOutput_AnswersAView()
    {
        using var scope = NewDisposeScope();
        var leaf = ones(2).requires_grad_();
        var x = leaf * 1;
        var y = AutogradNode.Tie([x], [x], [], new Function((_, gradients) => [gradients[0]!.mul(3).DetachFromDisposeScope()]))[0];
        ReferenceEquals(x, y).Should().BeFalse();
        y.sum().backward();
        leaf.grad!.Doubles().Should().Equal(3, 3);
    }

    [Fact]
    public void TieAndBackward_OutsideAnyScope_LeaveNothing()
    {
        using var x = ones(2).requires_grad_();
        using var saved = ones(2);
        Once();
        Alone.TensorsLeft(() =>
        {
            for (var i = 0; i < 10; i++)
                Once();
        }).Should().Be(0);

        void Once()
        {
            using var output = zeros(2);
            var function = new Function((node, gradients) =>
            {
                node.Saved(0)!.Dispose();
                gradients[0]!.Dispose();
                return [ones(2)];
            });
            using var y = AutogradNode.Tie([x], [output], [saved, null], function)[0];
            using var grad = ones(2);
            y.backward([grad]);
        }
    }

    [Fact]
    public void Tie_AfterAGraphIsGone_TakesItsNode()
    {
        Alone.Collect(); // an earlier test's graph would give its node back meanwhile
        using var x = ones(2).requires_grad_();
        var nodes = new HashSet<AutogradNode>();
        for (var i = 0; i < 3; i++)
        {
            using var scope = NewDisposeScope();
            AutogradNode.Tie([x], [zeros(2)], [], new Function((node, _) =>
            {
                nodes.Add(node);
                return [null];
            }))[0].sum().backward();
        }
        nodes.Should().ContainSingle();
    }

    [Fact]
    public void Backward_AfterAnothers_FreesWhatThatGave()
    {
        using var scope = NewDisposeScope();
        var (x, given, isFreed) = (ones(2).requires_grad_(), ones(2), false);
        var inner = AutogradNode.Tie([x], [zeros(2)], [], new Function((_, _) =>
        {
            isFreed = given.IsInvalid;
            return [null];
        }))[0];
        AutogradNode.Tie([inner], [zeros(2)], [], new Function((_, _) => [given]))[0].sum().backward();
        isFreed.Should().BeTrue();
    }

    [Fact]
    public void Tie_OfMoreThanWaitForAnotherCall_GivesEachItsOwnGradientAndHoldsNoMore()
    {
        Alone.Collect(); // an earlier test's graph would give its node back meanwhile
        for (var round = 0; round < 2; round++)
        {
            var nodes = new List<WeakReference>();
            using (NewDisposeScope())
            {
                var leaves = Enumerable.Range(0, 1500).Select(_ => ones(1).requires_grad_()).ToArray();
                var outputs = leaves.Select((leaf, i) => AutogradNode.Tie([leaf], [zeros(1)], [], new Function((node, _) =>
                {
                    nodes.Add(new(node));
                    return [full(1, i).DetachFromDisposeScope()];
                }))[0]).ToArray();
                foreach (var output in outputs)
                    output.backward();
                leaves.Select(leaf => leaf.grad!.item<float>()).Should().Equal(Enumerable.Range(0, 1500).Select(i => (float)i));
            }
            Alone.Collect();
            nodes.Count(node => node.IsAlive).Should().Be(1024);
        }
    }

    /// <summary>Recursion would overflow the stack. libtorch's own functions are freed without it as well.</summary>
    [Fact]
    public void Dispose_OfALongChain_FreesItWithoutRecursion()
    {
        var times = 0;
        var thread = new Thread(
            () =>
            {
                using var leaf = ones(2).requires_grad_();
                var last = leaf.alias();
                for (var i = 0; i < 10_000; i++)
                {
                    using var input = last;
                    using var output = zeros(2);
                    last = AutogradNode.Tie([input], [output], [input], new Function((_, _) => [null], () => times++))[0];
                }
                last.Dispose();
            },
            maxStackSize: 256 * 1024);
        thread.Start();
        thread.Join();
        times.Should().Be(10_000);
    }

    [Fact]
    public void Tie_OfADisposedTensor_ThrowsAndDisposesTheFunction()
    {
        using var x = ones(2).requires_grad_();
        using var output = zeros(2);
        var gone = ones(2);
        gone.Dispose();
        var times = 0;
        FluentActions.Invoking(() =>
        {
            using var scope = NewDisposeScope();
            return AutogradNode.Tie([x], [output.clone()], [gone], new Function((_, _) => [null], () => times++));
        }).Should().Throw<Exception>();
        times.Should().Be(1);
    }

    [Fact]
    public void Backward_ThatThrows_IsAnExceptionOfTheCaller()
    {
        using var scope = NewDisposeScope();
        var x = ones(2).requires_grad_();
        var y = AutogradNode.Tie([x], [zeros(2)], [], new Function((_, _) => throw new InvalidOperationException("There is none.")))[0];
        y.Invoking(output => output.sum().backward()).Should().Throw<ExternalException>().WithMessage("*There is none.");
    }

    [Fact]
    public void Backward_OnManyThreadsThroughOneGraph_IsRight()
    {
        using var x = ones(64).requires_grad_();
        using var output = zeros(64);
        using var y = AutogradNode.Tie([x], [output], [], new Function((_, gradients) =>
        {
            using var gradient = gradients[0]!;
            return [(gradient * 3).DetachFromDisposeScope()];
        }))[0];
        Parallel.For(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            using var scope = NewDisposeScope();
            autograd.grad([y], [x], [full(64, (double)i)], retain_graph: true)[0].Doubles().Should().OnlyContain(value => value == 3 * i);
        });
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (Tensor tied, WeakReference given) Tied(Tensor x, Action disposed)
    {
        using var output = zeros(2);
        var given = new Function((_, _) => [null], disposed);
        return (AutogradNode.Tie([x], [output], [x], given)[0], new(given));
    }

    private sealed class Function(Func<AutogradNode, Tensor?[], Tensor?[]> backward, Action? disposed = null) : IBackward
    {
        public Tensor?[] Backward(AutogradNode node, Tensor?[] gradOutputs) => backward(node, gradOutputs);

        public void Dispose() => disposed?.Invoke();
    }
}
