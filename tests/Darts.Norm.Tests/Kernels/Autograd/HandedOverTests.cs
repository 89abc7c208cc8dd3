using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>How long the references to gradients live that libtorch was given.</summary>
public sealed class HandedOverTests
{
    [Fact]
    public void Take_Gradients_HoldsThemUntilThisThreadsNextBackward()
    {
        var handedOver = new HandedOver();
        var (first, second) = (ones(2), ones(3));
        handedOver.Take([first, null, second]);
        OnAnotherThread(HandedOver.DisposeLast);
        (first.IsInvalid, second.IsInvalid).Should().Be((false, false));
        HandedOver.DisposeLast();
        (first.IsInvalid, second.IsInvalid).Should().Be((true, true));
        HandedOver.DisposeLast();
    }

    [Fact]
    public void Take_Again_FreesWhatThisThreadGaveBefore()
    {
        var (handedOver, another) = (new HandedOver(), new HandedOver());
        var (first, second, third, others) = (ones(1), ones(1), ones(1), ones(1));
        handedOver.Take([first]);
        OnAnotherThread(() => handedOver.Take([others]));
        handedOver.Take([second]);
        another.Take([third]);
        (first.IsInvalid, second.IsInvalid, third.IsInvalid, others.IsInvalid).Should().Be((true, false, false, false));
        HandedOver.DisposeLast();
        (second.IsInvalid, third.IsInvalid, others.IsInvalid).Should().Be((false, true, false), "of the last backward alone is it known that libtorch has taken its own references");
        handedOver.DisposeAll();
        (second.IsInvalid, others.IsInvalid).Should().Be((true, true));
    }

    [Fact]
    public void Take_GradientsThatCanBeDifferentiated_HoldsAllOfThemUntilThisThreadsNextBackward()
    {
        var handedOver = new HandedOver();
        Tensor[] gradients = [ones(1).requires_grad_(), ones(2).requires_grad_()];
        handedOver.Take(gradients);
        handedOver.DisposeAll();
        gradients.Should().OnlyContain(gradient => !gradient.IsInvalid, "they hold the node's graph, so it must not hold them");
        HandedOver.DisposeLast();
        gradients.Should().OnlyContain(gradient => gradient.IsInvalid);
    }

    private static void OnAnotherThread(Action action)
    {
        var thread = new Thread(() => action());
        thread.Start();
        thread.Join();
    }
}
