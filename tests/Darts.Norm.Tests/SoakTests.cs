using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Darts.Norm.Soak;

namespace Darts.Norm.Tests;

/// <summary>A few seconds of each mode of the soak program: random mishaps, flat memory, wrong calls, shared layers.</summary>
[Collection(nameof(Alone))]
public sealed class SoakTests
{
    private const int CallsATurn = 5;

    public static TheoryData<Kind> Kinds => [.. Enum.GetValues<Kind>()];

    [Fact]
    public void Soak_OfRandomMishaps_FindsNothing()
    {
        var report = Soaking.Run(TimeSpan.FromSeconds(4), (ulong)Environment.TickCount64);
        report.Failures.Should().BeEmpty();
        report.Faults.Should().BePositive();
    }

    [Fact]
    public void Training_ManyCalls_LeavesNoTensorAndFlatMemory() => Training.Run(20_000).Failures.Should().BeEmpty();

    [Fact]
    public void BadCalls_OfThePublicApi_EndInDocumentedExceptionsAndChangeNothing()
    {
        var report = BadCalls.Run(2000, Environment.TickCount);
        report.Failures.Should().BeEmpty();
        report.Faults.Should().BePositive();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public unsafe void Report_OfMemoryThatIsHeld_SaysHowMuchAndOfWhatIsFreedNothing(bool frees)
    {
        const int size = 256 << 20; // beside which what else is freed meanwhile does not show
        var report = Report.OfThisThread();
        report.WarmedUp();
        var memory = NativeMemory.Alloc(size);
        new Span<byte>(memory, size).Fill(1);
        if (frees)
            NativeMemory.Free(memory);
        report.Ended();
        if (frees)
        {
            report.Failures.Should().BeEmpty();
            return;
        }
        NativeMemory.Free(memory);
        report.Failures.Should().ContainSingle().Which.Should().Match("2?? MB more memory is held*");
    }

    /// <summary>The thread's next pass frees its gradients, so that there would be fewer tensors than before.</summary>
    [Fact]
    public void Report_AfterABackwardWithAGraphOnThisThread_FindsNoTensorMissing()
    {
        using var scope = NewDisposeScope();
        using var layer = new LayerNormNoBias(4);
        Backward(createGraph: true);
        var report = Report.OfAllThreads();
        Backward(createGraph: false);
        report.Ended().Failures.Should().BeEmpty();

        void Backward(bool createGraph)
        {
            using var inner = NewDisposeScope();
            layer.call(Layers.Values([3, 4]).requires_grad_()).square().sum().backward(create_graph: createGraph);
        }
    }

    /// <summary>A thread keeps the last statistics that it was shown.</summary>
    [Fact]
    public void Report_AfterStatisticsOfALayerThatIsGoneOnThisThread_FindsNoTensorMissing()
    {
        using var scope = NewDisposeScope();
        Forget();
        var report = Report.OfAllThreads();
        using (NewDisposeScope())
        using (var layer = new RINorm(4, affine: false))
        {
            layer.call(Layers.Values([2, 3, 4]));
            for (var i = 0; i < 4; i++)
                _ = layer.mean;
        }
        report.Ended().Failures.Should().BeEmpty();

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Forget()
        {
            var layer = new RINorm(4, affine: false);
            layer.call(Layers.Values([2, 3, 4]));
            _ = layer.mean;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void ForwardAndBackward_8000CallsOfOneLayerOn8Threads_GiveWhatOneDoes(Kind kind)
    {
        var problem = Problem.Simple(kind, [2, 4, 8]);
        using var layer = problem.NewLayerWithParameters();
        using var x = problem.Input();
        using var gradient = problem.Gradient(x.shape);
        var expected = Both();
        var errors = ConcurrencyTests.OnThreads(_ =>
        {
            for (var call = 0; call < CallsATurn; call++)
                Both().Should().Equal(expected);
        });
        errors.Should().BeEmpty();

        byte[] Both()
        {
            using var scope = NewDisposeScope();
            var leaf = x.detach().requires_grad_();
            var y = layer.forward(leaf);
            return [.. Results.Bits(y), .. Results.Bits(autograd.grad([y], [leaf], [gradient])[0])];
        }
    }
}
