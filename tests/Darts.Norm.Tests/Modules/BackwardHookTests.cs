using System.Runtime.InteropServices;
using TorchSharp.Modules;

namespace Darts.Norm.Tests.Modules;

/// <summary>Full backward hooks: the gradients that they see and replace, their order, and what they leave behind.</summary>
[Collection(nameof(Alone))]
public sealed class BackwardHookTests
{
    [Fact]
    public void Hook_SeveralInputs_SeesZerosWhereNoGradientIsNeededAndNullForNoTensor()
    {
        using var scope = NewDisposeScope();
        var (a, b) = (full(1, 3f), full(1, 5f, requires_grad: true));
        var seen = new List<string>();
        var product = new Product();
        product.register_full_backward_hook((_, gi, go) => seen.Add($"{Recording.Text(gi)} {Recording.Text(go)}"));
        product.call(a, b).backward([ones(1)]);
        var scaled = new Scaled();
        scaled.register_full_backward_hook((_, gi, go) => seen.Add($"{Recording.Text(gi)} {Recording.Text(go)}"));
        scaled.call(b, 4).backward([ones(1)]);
        seen.Should().Equal("[[0.0], [3.0]] [[1.0]]", "[[4.0], None] [[1.0]]");
        b.grad!.Doubles().Should().Equal(7);
    }

    [Fact]
    public void Hook_OnManyThreadsThroughOneGraph_SeesEachThreadsOwn()
    {
        using var layer = new LayerNormNoBias(4);
        using var x = arange(4, ScalarType.Float32).requires_grad_();
        var wrong = 0;
        layer.register_full_backward_hook((_, gradInput, gradOutput) => gradOutput[0]!.Doubles().Distinct().Count() == 1 && gradInput.Length == 1 ? [gradOutput[0]] : throw new InvalidOperationException($"{++wrong}"));
        using var y = layer.call(x);
        Parallel.For(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            using var scope = NewDisposeScope();
            autograd.grad([y], [x], [full(4, (double)i)], retain_graph: true)[0].Doubles().Should().OnlyContain(value => value == i);
        });
        wrong.Should().Be(0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Hook_OnAModuleAroundAHookedOne_LeavesTheInnersCallAlone(bool innerWithoutGradient)
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var seen = new List<string>();
        var around = new Residual(innerWithoutGradient);
        around.register_full_backward_hook((_, gi, go) => seen.Add($"around {Recording.Text(gi)} {Recording.Text(go)}"));
        around.inner.pytorch().register_forward_hook((_, _, _) => { seen.Add("inner"); });
        var y = around.call(x);
        y.item<float>().Should().Be(12f);
        y.backward([full(1, 10f)]);
        var gradient = innerWithoutGradient ? 10f : 70f;
        seen.Should().Equal("inner", $"around [[{gradient}.0]] [[10.0]]");
        x.grad!.item<float>().Should().Be(gradient);
    }

    [Fact]
    public void Hook_ReplacingOneOfTwoGradients_LeavesTheOther()
    {
        using var scope = NewDisposeScope();
        var (a, b) = (full(1, 3f, requires_grad: true), full(1, 5f, requires_grad: true));
        var product = new Product();
        product.register_full_backward_hook((_, gi, _) => [gi[0], gi[1]! * 10]);
        product.register_full_backward_hook((_, gi, _) => [gi[0], gi[1]! + 1]);
        product.call(a, b).backward([ones(1)]);
        (a.grad!.item<float>(), b.grad!.item<float>()).Should().Be((5f, 31f));
    }

    [Fact]
    public void Hook_SeveralOutputs_SeesNullForTheOneThatIsNotUsed()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var seen = new List<string>();
        var both = new Both();
        both.register_full_backward_pre_hook((_, go) => seen.Add($"pre {Recording.Text(go)}"));
        both.register_full_backward_hook((_, gi, go) => seen.Add($"{Recording.Text(gi)} {Recording.Text(go)}"));
        var (twice, thrice) = both.call(x);
        thrice.backward([ones(1)]);
        seen.Should().Equal("pre [None, [1.0]]", "[[3.0]] [None, [1.0]]");
        (twice.item<float>(), thrice.item<float>()).Should().Be((6f, 9f));
    }

    [Fact]
    public void Hook_OnAnArrayOrALongTuple_TiesEachTensorOfIt()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var seen = new List<string>();
        BackwardHook hook = (_, gi, go) =>
        {
            seen.Add($"{Recording.Text(gi)} {Recording.Text(go)}");
            return null;
        };
        var array = new Many();
        array.register_backward_hook(hook);
        array.call(x)[1].backward([ones(1)]);
        var tuple = new Long();
        tuple.register_full_backward_hook(hook);
        var answer = tuple.call(x);
        (answer.Item1.item<float>(), answer.Item2, answer.Item3.item<float>(), answer.Item8.item<float>(), answer.Item9).Should().Be((3f, "text", 6f, 1f, 9));
        answer.Item1.backward([ones(1)]);
        seen.Should().Equal("[[2.0]] [None, [1.0]]", "[[1.0]] [[1.0], None, None, None, None, None, None, None, None]");
    }

    [Fact]
    public void Hook_OnAModuleCalledTwice_FiresForEachCallFromTheLast()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var seen = new List<string>();
        var square = new Square();
        square.register_full_backward_hook((_, gi, go) => seen.Add($"{Recording.Text(gi)} {Recording.Text(go)}"));
        var y = square.call(square.call(x));
        y.backward([ones(1)], retain_graph: true);
        seen.Should().Equal("[[18.0]] [[1.0]]", "[[108.0]] [[18.0]]");
        y.backward([ones(1)]);
        seen.Should().HaveCount(4);
        x.grad!.item<float>().Should().Be(216);
    }

    [Fact]
    public void Hook_UnderCreateGraph_IsPartOfTheGraphAndFiresOnce()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var fired = 0;
        var square = new Square();
        square.register_full_backward_hook((_, gi, _) =>
        {
            fired++;
            return [gi[0]! * 2];
        });
        var first = autograd.grad([square.call(x)], [x], [ones(1)], create_graph: true)[0];
        first.item<float>().Should().Be(12);
        autograd.grad([first], [x], [ones(1)])[0].item<float>().Should().Be(4, "the second derivative does not go through the module's output");
        fired.Should().Be(1);
    }

    [Fact]
    public void Hooks_Order_IsThatOfRegistrationUnlessPrepended()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var seen = new List<string>();
        var square = new Square();
        square.register_full_backward_hook((_, _, _) => seen.Add("post 1"));
        square.register_full_backward_hook((_, _, _) => seen.Add("post 0"), prepend: true);
        square.register_full_backward_pre_hook((_, _) => seen.Add("pre 1"));
        square.register_full_backward_pre_hook((_, _) => seen.Add("pre 0"), prepend: true);
        square.call(x).backward([ones(1)]);
        seen.Should().Equal("pre 0", "pre 1", "post 0", "post 1");
    }

    [Fact]
    public void Hook_RemovedOrAddedByAHook_CountsFromTheNextCall()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var seen = new List<string>();
        var square = new Square();
        RemovableHandle? second = null;
        var first = square.register_full_backward_hook((module, _, _) =>
        {
            seen.Add("first");
            second!.remove();
            if (seen.Count == 1)
                module.register_full_backward_hook((_, _, _) => seen.Add("third"));
        });
        second = square.register_full_backward_hook((_, _, _) => seen.Add("second"));
        square.call(x).backward([ones(1)]);
        square.call(x).backward([ones(1)]);
        seen.Should().Equal("first", "second", "first", "third");
        var y = square.call(x);
        first.remove();
        first.remove();
        y.backward([ones(1)]);
        seen.Skip(4).Should().Equal(["first", "third"], "a call keeps the hooks that it began with, as in PyTorch");
    }

    [Fact]
    public void Hook_ThatThrows_ReachesTheCallerAndLeavesTheModuleUsable()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        foreach (var inPreHook in new[] { false, true })
        {
            var net = nn.Sequential(new Square(), new RMSNorm(1), new Square());
            Exception thrown = inPreHook ? new InsufficientMemoryException("not today") : new NotFiniteNumberException("not today");
            var handle = inPreHook
                ? net.children().First().register_full_backward_pre_hook((_, _) => throw thrown)
                : net.children().First().register_full_backward_hook((_, _, _) => throw thrown);
            FluentActions.Invoking(() => net.call(x).sum().backward()).Should().Throw<ExternalException>()
                .WithMessage($"A backward hook of Square failed: {thrown.GetType().Name}: not today").Which.InnerException.Should().BeSameAs(thrown);
            FluentActions.Invoking(() => autograd.grad([net.call(x).sum()], [x])).Should().Throw<ExternalException>().Which.InnerException.Should().BeSameAs(thrown);
            handle.remove();
            x.grad = null;
            net.call(x).sum().backward();
            x.grad!.Doubles()[0].Should().BeApproximately(0, 1e-5, "a norm of one feature is constant");
        }
    }

    [Fact]
    public void Hook_ThatThrowsBeforeLibtorchStopsThePass_ReachesTheCallerOnce()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 0f, requires_grad: true);
        var square = new Square();
        var thrown = new NotFiniteNumberException("not today");
        var handle = square.register_full_backward_hook((_, _, _) =>
        {
            FluentActions.Invoking(() => ones(2).add(ones(3))).Should().Throw<ExternalException>(); // caught: no error of the pass
            throw thrown;
        });
        var below = new Square();
        below.register_full_backward_hook((_, _, _) => { FluentActions.Invoking(() => ones(2).add(ones(3))).Should().Throw<ExternalException>(); });
        foreach (var stops in new[] { false, true })
        {
            using var mode = autograd.set_detect_anomaly(stops);
            FluentActions.Invoking(() => square.call(below.call(x.sqrt() * 0)).sum().backward()).Should().Throw<ExternalException>()
                .WithMessage("A backward hook of Square failed: NotFiniteNumberException: not today" + (stops ? "\n*nan*" : "")).Which.InnerException.Should().BeSameAs(thrown);
        }
        handle.remove();
        x.grad = null;
        square.call(x + 3).backward([ones(1)]);
        x.grad!.item<float>().Should().Be(6);
    }

    /// <summary>Other devices' passes may run on threads of libtorch, from which nothing can be thrown to the caller.</summary>
    [Fact]
    public void Hook_ThatThrowsOnAnotherDevice_ReachesTheCaller()
    {
        using var scope = NewDisposeScope();
        var net = new Product();
        var (x, other) = (ones([2], device: META, requires_grad: true), ones([2], device: META, requires_grad: true));
        var thrown = new NotFiniteNumberException("not today");
        var handle = net.register_full_backward_hook((_, _, _) => throw thrown);
        for (var i = 0; i < 2; i++)
        {
            FluentActions.Invoking(() => net.call(x, other).sum().backward()).Should().Throw<ExternalException>()
                .WithMessage("A backward hook of Product failed: NotFiniteNumberException: not today").Which.InnerException.Should().BeSameAs(thrown);
        }
        handle.remove();
        net.call(x, other).sum().backward();
        x.grad!.shape.Should().Equal(2);
    }

    [Fact]
    public void Hook_WrongAnswers_AreErrorsThatSaySo()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        foreach (var (hook, needsGradient, text) in new (BackwardHook, bool, string)[]
        {
            ((_, gi, _) => [gi[0], gi[0]], true, "Backward hook returned an invalid number of grad_input, got 2, but expected 1"),
            ((_, _, _) => [ones(1)], false, "Backward hook for Modules where no input requires gradient should always return None or None for all gradients."),
            ((_, _, _) => [ones(2, 3, 4)[0, 0]], true, "*invalid gradient at index 0 - got [4] on cpu but expected shape compatible with [2]*"),
        })
        {
            var norm = new RMSNorm(2);
            norm.register_full_backward_hook(hook);
            var input = arange(3f, 5f, requires_grad: needsGradient);
            FluentActions.Invoking(() => norm.call(input).sum().backward()).Should().Throw<ExternalException>().WithInnerException<InvalidOperationException>().WithMessage(text);
        }
        var through = new Square();
        through.register_full_backward_hook((_, gi, _) =>
        {
            var gone = gi[0]!.clone();
            gone.Dispose();
            return [gone];
        });
        FluentActions.Invoking(() => through.call(x).backward([ones(1)])).Should().Throw<ExternalException>().WithInnerException<ObjectDisposedException>().WithMessage("The gradient at index 0 that a backward hook returned is disposed.*");
        var square = new Square();
        square.register_full_backward_pre_hook((_, _) => []);
        FluentActions.Invoking(() => square.call(x).backward([ones(1)])).Should().Throw<ExternalException>()
            .WithInnerException<InvalidOperationException>().WithMessage("Backward pre hook returned an invalid number of grad_output, got 0, but expected 1");
    }

    [Fact]
    public void RegularAndFullHooks_OnOneModule_AreRefused()
    {
        const string text = "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one of them.";
        using var regular = new RMSNorm(2);
        regular.register_backward_hook((_, _, _) => { });
        regular.Invoking(m => m.register_full_backward_hook((_, _, _) => { })).Should().Throw<InvalidOperationException>().WithMessage(text);
        using var full = new RMSNorm(2);
        full.register_full_backward_hook((_, _, _) => { });
        full.Invoking(m => m.register_backward_hook((_, _, _) => { })).Should().Throw<InvalidOperationException>().WithMessage(text);
    }

    [Fact]
    public void RegularHook_OfALayer_SeesItsGradients()
    {
        using var scope = NewDisposeScope();
        var norm = new RMSNorm(2);
        var seen = new List<string>();
        norm.register_backward_hook((_, gi, go) => seen.Add($"[{Recording.Rounded(gi[0]!)}] {Recording.Text(go)}"));
        norm.call(tensor(new[,] { { 3f, 4f } }, requires_grad: true)).sum().backward();
        seen.Should().Equal("[[0.04525, -0.03394]] [[[1.0, 1.0]]]");
    }

    [Fact]
    public void InputAndOutput_OfAHookedModule_MustNotBeChangedInPlace()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var square = new Square();
        square.register_full_backward_hook((_, _, _) => { });
        FluentActions.Invoking(() => square.call(x).add_(1)).Should().Throw<ExternalException>().WithMessage("*view*modified inplace*");
        var inPlace = new InPlaceRelu();
        inPlace.call(x * 1).item<float>().Should().Be(3);
        inPlace.register_full_backward_hook((_, _, _) => { });
        FluentActions.Invoking(() => inPlace.call(x * 1)).Should().Throw<ExternalException>().WithMessage("*view*modified inplace*");
    }

    [Fact]
    public void Output_HeldByAForwardHook_StaysUsable()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        Tensor? output = null;
        object? input = null;
        var square = new Square();
        square.register_full_backward_hook((_, _, _) => { });
        square.pytorch().register_forward_hook((_, args, o) =>
        {
            input = args[0];
            output = (Tensor?)o;
        });
        square.call(x).backward([ones(1)]);
        output!.item<float>().Should().Be(9);
        input.Should().BeSameAs(x);
    }

    [Fact]
    public void Output_ThatIsAParameterOrTheInput_StaysWhatItIs()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);
        var constant = new Constant();
        var seen = 0;
        constant.register_full_backward_hook((_, _, _) => seen++);
        for (var i = 0; i < 2; i++)
            constant.call(x).backward([ones(1)]);
        constant.pytorch().get_parameter("value").grad!.item<float>().Should().Be(2);
        var identity = new Through();
        identity.register_full_backward_hook((_, gi, _) => [gi[0]! * 5]);
        identity.call(x).backward([ones(1)]);
        x.grad!.item<float>().Should().Be(5);
        (x.is_leaf, seen).Should().Be((true, 0), "the gradient of an input that is not used is not computed, as in PyTorch");
    }

    /// <summary>An output that existed before the call must neither be changed nor freed with it, in whichever scope the call is.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Output_ThatWasThereBefore_StaysWhatItIs(bool inScope)
    {
        using var scope = NewDisposeScope();
        var x = ones(3, requires_grad: true);
        var kept = new Kept { value = x * 2 };
        kept.register_full_backward_pre_hook((_, go) => [go[0]!.clamp(-1, 1)]);
        using (inScope ? NewDisposeScope() : null)
        {
            var y = kept.call(x);
            (y.sum() + (kept.value.sum() * 10)).backward(retain_graph: true);
            x.grad!.Doubles().Should().Equal(22, 22, 22);
        }
        kept.value.add_(1).Doubles().Should().Equal(3, 3, 3);
        kept.value.sum().backward();
        x.grad!.Doubles().Should().Equal(24, 24, 24);
    }

    [Fact]
    public void Output_ThatIsALeaf_StaysOne()
    {
        using var scope = NewDisposeScope();
        var kept = new Kept { value = ones(3, requires_grad: true) };
        var fired = 0;
        kept.register_full_backward_pre_hook((_, _) => { fired++; });
        for (var i = 0; i < 3; i++)
        {
            using var y = kept.call(zeros(3));
            y.sum().backward();
        }
        kept.value.is_leaf.Should().BeTrue();
        kept.value.grad!.Doubles().Should().Equal(3, 3, 3);
        fired.Should().Be(3);
    }

    /// <summary>As in PyTorch, where backward hooks are tied to what the forward hooks leave.</summary>
    [Fact]
    public void Output_HeldByAForwardHook_IsOutsideOfTheBackwardHooks()
    {
        using var scope = NewDisposeScope();
        var x = ones(1, requires_grad: true);
        var seen = new List<string>();
        Tensor? held = null;
        var square = new Square();
        square.register_full_backward_hook((_, gi, go) => seen.Add($"{Recording.Text(gi)} {Recording.Text(go)}"));
        square.pytorch().register_forward_hook((_, _, output) => { held = (Tensor?)output; });
        var y = square.call(x);
        (y.sum() + (held!.sum() * 10)).backward();
        seen.Should().Equal("[[22.0]] [[1.0]]");
        x.grad!.item<float>().Should().Be(22);
    }

    [Fact]
    public void Output_OfAHookedModule_GoesWithWhatTheCallerGot()
    {
        using var square = new Square();
        using var x = ones(1, requires_grad: true);
        Tensor? held = null;
        square.register_full_backward_hook((_, _, _) => { });
        square.pytorch().register_forward_hook((_, _, output) => { held = (Tensor?)output; });
        var y = square.call(x);
        held!.IsInvalid.Should().BeFalse();
        y.Dispose();
        held.IsInvalid.Should().BeTrue("it is the same tensor where there are no backward hooks");
    }

    [Fact]
    public void Hook_WithoutGradients_NeitherFiresNorChangesAnything()
    {
        using var scope = NewDisposeScope();
        var norm = new RMSNorm(2);
        norm.register_full_backward_hook((_, _, _) => throw new InvalidOperationException());
        using (no_grad())
            norm.call(ones(2)).requires_grad.Should().BeFalse();
        norm.requires_grad_(false).call(ones(2)).requires_grad.Should().BeFalse();
    }

    [Fact]
    public void Hooks_OnEveryModuleOfANetwork_LeaveItsNumbersAlone()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        var net = new Networks.Net();
        var x = randn(2, 5, 4).requires_grad_();
        var plain = Gradients();
        var fired = new HashSet<string>();
        foreach (var (name, module) in net.pytorch().named_modules())
            module.register_full_backward_hook((_, _, _) => fired.Add(name));
        Layers.SameBits(net.call(x), net.forward(x)).Should().BeTrue();
        plain.Zip(Gradients()).All(pair => Layers.SameBits(pair.First, pair.Second)).Should().BeTrue();
        fired.Should().BeEquivalentTo("", "rin", "block", "block.0", "block.1", "head");

        List<Tensor> Gradients()
        {
            net.zero_grad();
            x.grad = null;
            net.call(x).square().sum().backward();
            return [.. net.parameters().Select(p => p.grad!.clone()), x.grad!.clone()];
        }
    }

    [Fact]
    public void ForwardAndBackward_WithHooksOutsideAnyScope_LeaveNothing()
    {
        using var norm = new RMSNorm(2);
        using var x = ones(3, 2).requires_grad_();
        using var y = norm.forward(x);
        using var gradOut = ones_like(y);
        using var given = ones(3, 2);
        norm.register_full_backward_pre_hook((_, go) => [given]);
        norm.register_full_backward_hook((_, gi, go) => [given]);
        Both();
        Alone.TensorsLeft(Both).Should().Be(0);
        Alone.TensorsLeft(() => norm.call(x).Dispose()).Should().Be(0);
        Alone.TensorsLeft(() => Enumerable.Range(0, 20).ToList().ForEach(_ => Both())).Should().Be(0);
        given.IsInvalid.Should().BeFalse("what a hook returns stays its own");
        using (NewDisposeScope())
            Both();
        norm.call(x).sum().item<float>().Should().BeApproximately(6, 1e-5f);

        void Both()
        {
            using var output = norm.call(x);
            output.backward([gradOut]);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Call_ThatThrowsWithHooks_LeavesNothingBehindTheNext(bool inHook)
    {
        using var module = new Sometimes();
        using var x = ones(3, 2).requires_grad_();
        module.register_full_backward_hook((_, _, _) => { });
        using var throws = inHook ? module.pytorch().register_forward_hook((_, _, y) => module.Throws ? throw Disposed((Tensor)y!) : null) : null;
        module.InHook = inHook;
        Alone.Collect();
        var before = Tensor.TotalCount;
        for (var i = 0; i < 20; i++)
        {
            module.Throws = true;
            module.Invoking(m => m.call(x)).Should().Throw<NotFiniteNumberException>();
            Tensor.TotalCount.Should().BeLessThanOrEqualTo(before + 2, "a view may wait for the next call");
        }
        module.Throws = false;
        module.call(x).Dispose();
        Tensor.TotalCount.Should().Be(before);

        static NotFiniteNumberException Disposed(Tensor y)
        {
            y.Dispose(); // the output is the caller's to free, as without hooks
            return new("mine");
        }
    }

    [Fact]
    public void Call_InsideACallOfTheSameModule_LeavesItsInputsAlone()
    {
        using var scope = NewDisposeScope();
        var module = new Recursive();
        var x = full(2, 3f, requires_grad: true);
        var fired = 0;
        module.register_full_backward_hook((_, _, _) => fired++);
        for (var i = 0; i < 3; i++)
        {
            x.grad = null;
            module.Depth = 0;
            module.call(x).sum().backward();
            x.grad!.Doubles().Should().Equal([12, 12], "1 + 10 + 1 for each of the calls that answered");
        }
        fired.Should().BeGreaterThan(0);
    }

    [Fact]
    public void Hook_AfterTheGraph_HoldsNeitherModuleNorTensors()
    {
        var (module, tensors) = Use();
        Alone.Collect();
        module.IsAlive.Should().BeFalse("what is remembered of a module dies with it");
        tensors.Should().OnlyContain(tensor => !tensor.IsAlive);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static (WeakReference, List<WeakReference>) Use()
        {
            var norm = new RMSNorm(2);
            var seen = new List<WeakReference>();
            var handle = norm.register_full_backward_hook((_, gi, go) => seen.AddRange([new(gi[0]), new(go[0])]));
            norm.pytorch().register_forward_hook((_, args, output) => seen.Add(new(output)));
            norm.pytorch().register_buffer("passing", ones(1), persistent: false);
            using (var x = ones(3, 2).requires_grad_())
            using (var y = norm.call(x))
            using (var sum = y.sum())
                sum.backward();
            GC.KeepAlive(handle);
            return (new(norm), seen);
        }
    }

    /// <summary>Calls itself twice, one of which throws, and uses its input afterwards.</summary>
    private sealed class Recursive() : nn.Module<Tensor, Tensor>(nameof(Recursive))
    {
        public int Depth { get; set; }

        public override Tensor forward(Tensor x)
        {
            switch (Depth++)
            {
                case 0:
                    using (var inner = call(x))
                    {
                        this.Invoking(module => module.call(x)).Should().Throw<NotFiniteNumberException>();
                        return inner + x;
                    }
                case 1:
                    return (x * 10) + x;
                default:
                    throw new NotFiniteNumberException("mine");
            }
        }
    }

    private sealed class Sometimes() : nn.Module<Tensor, Tensor>(nameof(Sometimes))
    {
        public bool Throws { get; set; }

        public bool InHook { get; set; }

        public override Tensor forward(Tensor x) => Throws && !InHook ? throw new NotFiniteNumberException("mine") : x * 2;
    }

    private sealed class Product() : nn.Module<Tensor, Tensor, Tensor>(nameof(Product))
    {
        public override Tensor forward(Tensor a, Tensor b) => a * b;
    }

    private sealed class Scaled() : nn.Module<Tensor, double, Tensor>(nameof(Scaled))
    {
        public override Tensor forward(Tensor x, double by) => x * by;
    }

    private sealed class Square() : nn.Module<Tensor, Tensor>(nameof(Square))
    {
        public override Tensor forward(Tensor x) => x * x;
    }

    private sealed class Kept() : nn.Module<Tensor, Tensor>(nameof(Kept))
    {
        public required Tensor value;

        public override Tensor forward(Tensor x) => value;
    }

    private sealed class InPlaceRelu() : nn.Module<Tensor, Tensor>(nameof(InPlaceRelu))
    {
        public override Tensor forward(Tensor x) => x.relu_();
    }

    private sealed class Through() : nn.Module<Tensor, Tensor>(nameof(Through))
    {
        public override Tensor forward(Tensor x) => x;
    }

    private sealed class Both() : nn.Module<Tensor, (Tensor, Tensor)>(nameof(Both))
    {
        public override (Tensor, Tensor) forward(Tensor x) => (x * 2, x * 3);
    }

    private sealed class Many() : nn.Module<Tensor, Tensor[]>(nameof(Many))
    {
        public override Tensor[] forward(Tensor x) => [x, x * 2];
    }

    private sealed class Long() : nn.Module<Tensor, (Tensor, string, Tensor, int, int, int, int, Tensor, int)>(nameof(Long))
    {
        private readonly Parameter value = nn.Parameter(ones(1));

        public override (Tensor, string, Tensor, int, int, int, int, Tensor, int) forward(Tensor x) => (x, "text", x * 2, 4, 5, 6, 7, value, 9);
    }

    private sealed class Constant : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter value = nn.Parameter(ones(1));

        public Constant()
            : base(nameof(Constant)) => RegisterComponents();

        public override Tensor forward(Tensor x) => value;
    }

    private sealed class Residual : nn.Module<Tensor, Tensor>
    {
        private readonly bool innerWithoutGradient;
        public readonly Square inner = new();

        public Residual(bool innerWithoutGradient) : base(nameof(Residual))
        {
            this.innerWithoutGradient = innerWithoutGradient;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var mode = set_grad_enabled(!innerWithoutGradient);
            var squared = inner.call(x);
            using var on = enable_grad();
            return squared + x;
        }
    }
}
