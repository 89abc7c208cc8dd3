using System.Runtime.CompilerServices;
using Darts.Norm.Kernels;

namespace Darts.Norm.Tests.Kernels;

/// <summary>What libtorch says by freeing a tensor.</summary>
[Collection(nameof(Alone))] // collects garbage
public sealed class TokenTests
{
    [Fact]
    public void New_OfADisposable_KeepsItAndDisposesItOnceWithTheLastReference()
    {
        var times = 0;
        var (token, given) = New(() => times++);
        Alone.Collect();
        (token.numel(), given.IsAlive).Should().Be((0, true));
        var other = token.alias();
        token.Dispose();
        times.Should().Be(0, "libtorch has another reference");
        other.Dispose();
        times.Should().Be(1);
        Alone.Collect();
        given.IsAlive.Should().BeFalse("nothing holds it any longer");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (Tensor token, WeakReference given) New(Action disposed)
    {
        var given = new Given(disposed);
        return (Token.New(given)!, new(given));
    }

    private sealed class Given(Action disposed) : IDisposable
    {
        public void Dispose() => disposed();
    }
}
