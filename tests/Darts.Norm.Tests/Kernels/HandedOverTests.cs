using System.Runtime.CompilerServices;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>How long the references to gradients live that libtorch was given.</summary>
[Collection(nameof(Alone))] // collects garbage
public sealed class HandedOverTests
{
    [Fact]
    public void Take_Gradients_HoldsThemUntilThisThreadsNextBackward()
    {
        var handedOver = new HandedOver();
        Tensor first, second;
        using (NewDisposeScope())
        {
            (first, second) = (ones(2), ones(3));
            handedOver.Take([first, null, second]);
        }
        var other = new Thread(HandedOver.DisposeLast);
        other.Start();
        other.Join();
        (first.IsInvalid, second.IsInvalid).Should().Be((false, false));
        HandedOver.DisposeLast();
        (first.IsInvalid, second.IsInvalid).Should().Be((true, true));
        HandedOver.DisposeLast();
        GC.KeepAlive(handedOver);
    }

    [Fact]
    public void Take_Again_FreesWhatWasTakenBefore()
    {
        using var handedOver = new HandedOver();
        using var another = new HandedOver();
        var (first, second, third) = (ones(1), ones(1), ones(1));
        handedOver.Take([first]);
        handedOver.Take([second]);
        another.Take([third]);
        (first.IsInvalid, second.IsInvalid, third.IsInvalid).Should().Be((true, false, false));
        HandedOver.DisposeLast();
        (second.IsInvalid, third.IsInvalid).Should().Be((false, true), "of the last backward alone is it known that libtorch has taken its own references");
        handedOver.Dispose();
        second.IsInvalid.Should().BeTrue();
    }

    [Fact]
    public void DisposeLast_OfWhatIsGoneWithItsGraph_DoesNothing()
    {
        TakeAndForget();
        Alone.Collect();
        HandedOver.DisposeLast();
        var thread = new Thread(HandedOver.DisposeLast); // where nothing was taken yet
        thread.Start();
        thread.Join();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void TakeAndForget() => new HandedOver().Take([ones(1)]);
}
