using CsCheck;

namespace Darts.Norm.Soak;

/// <summary>Random problems and random mishaps, one after the other: every result right, no tensor and no memory left.</summary>
public static class Soaking
{
    private const int Threads = 8;

    private sealed class Mishap : Exception;

    public static Report Run(TimeSpan time, ulong seed, Action<Report>? progress = null)
    {
        var report = Report.OfAllThreads();
        var (problems, random) = (Problem.Upto(800), new PCG(1, seed));
        var (started, shown, warm) = (DateTime.UtcNow, DateTime.UtcNow, false);
        while (DateTime.UtcNow - started < time)
        {
            var problem = problems.Generate(random, null, out _);
            try
            {
                One(problem, random, report);
            }
            catch (Exception error)
            {
                report.Failed($"{error.GetType().Name}: {error.Message.Split('\n')[0]} at {error.StackTrace?.Split('\n')[0].Trim()}, of {problem}");
            }
            if (!warm && DateTime.UtcNow - started > time / 3)
            {
                report.WarmedUp();
                warm = true;
            }
            if (DateTime.UtcNow - shown > TimeSpan.FromSeconds(10))
            {
                progress?.Invoke(report);
                shown = DateTime.UtcNow;
            }
        }
        return report.Ended();
    }

    private static void One(Problem problem, PCG random, Report report)
    {
        switch (random.Next(6))
        {
            case 0:
                Hook(problem, report);
                break;
            case 1:
                Wrapped(problem, report);
                break;
            case 2:
                Load(problem, random, report);
                break;
            case 3:
                Shared(problem, random.Next(2) == 0, report);
                break;
            default:
                foreach (var fault in Trial.Faults(problem, 1 + (int)random.Next(4)))
                    report.Failed($"{fault}, of {problem}");
                report.Called(8);
                break;
        }
    }

    /// <summary>A hook throws: the next call gives what it gave before.</summary>
    private static void Hook(Problem problem, Report report)
    {
        using var scope = NewDisposeScope();
        using var layer = problem.NewLayerWithParameters();
        var x = problem.Input().requires_grad_(!problem.FrozenInput);
        var before = Results.Bits(layer.call(x));
        foreach (var handle in new[] { layer.register_forward_hook((_, _, _) => throw new Mishap()), layer.register_forward_pre_hook((_, _) => throw new Mishap()) })
        {
            Throws(() => layer.call(x), report);
            handle.remove();
        }
        Same(before, Results.Bits(layer.call(x)), "after a hook threw", problem, report);
        report.Called(4);
    }

    /// <summary>The network inside of a reversible normalisation throws.</summary>
    private static void Wrapped(Problem problem, Report report)
    {
        using var scope = NewDisposeScope();
        var simple = Problem.Simple(Kind.RINorm, [2, 5, problem.Shape[^1]]);
        using var rin = (RINorm)simple.NewLayerWithParameters();
        using var network = new Network();
        using var whole = Reversible.wrap(network, rin);
        Report.MadeModules(2);
        var x = simple.Input();
        var before = Results.Bits(whole.call(x));
        network.Throws = true;
        Throws(() => whole.call(x), report);
        network.Throws = false;
        Same(before, Results.Bits(whole.call(x)), "after the network threw", problem, report);
        report.Called(3);
    }

    /// <summary>A stream ends, or throws, in the middle of a load.</summary>
    private static void Load(Problem problem, PCG random, Report report)
    {
        using var scope = NewDisposeScope();
        using var layer = problem.NewLayerWithParameters();
        using var other = problem.NewLayer();
        var saved = new MemoryStream();
        other.save(saved); // closes it
        var bytes = saved.ToArray();
        var before = layer.parameters().Select(Results.Bits).ToList();
        var length = (int)random.Next((uint)bytes.Length);
        foreach (var stream in new[] { new MemoryStream(bytes[..length]), new Breaking(bytes, length) })
        {
            report.Broken();
            try
            {
                layer.load(new BinaryReader(stream));
                report.Failed($"{length} of {bytes.Length} bytes were loaded, of {problem}");
            }
            catch (Exception error) when (error is EndOfStreamException or Mishap)
            {
                if (!before.Zip(layer.parameters()).All(pair => pair.First.SequenceEqual(Results.Bits(pair.Second))))
                    report.Failed($"{length} of {bytes.Length} bytes changed the layer, of {problem}");
            }
        }
        report.Called(2);
    }

    /// <summary>Threads share a layer, forward and backward, and it may be disposed meanwhile.</summary>
    private static void Shared(Problem problem, bool disposes, Report report)
    {
        using var scope = NewDisposeScope();
        var layer = problem.NewLayerWithParameters();
        using var x = problem.Input();
        using var expectedOf = problem.NewLayerWithParameters();
        var gradient = problem.Gradient(x.shape);
        var expected = Both(expectedOf);
        var threads = Enumerable.Range(0, Threads).Select(_ => new Thread(() =>
        {
            try
            {
                for (var i = 0; i < 10; i++)
                {
                    Same(expected, Both(layer), "on several threads", problem, report);
                    report.Called(2);
                }
            }
            catch (ObjectDisposedException) when (disposes)
            {
                report.Broken();
            }
            catch (Exception error)
            {
                report.Failed($"{error.GetType().Name}: {error.Message.Split('\n')[0]} on several threads, of {problem}");
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        if (disposes)
            layer.Dispose();
        threads.ForEach(thread => thread.Join());
        layer.Dispose();

        byte[] Both(NormModule shared)
        {
            using var own = NewDisposeScope();
            var leaf = x.detach().requires_grad_();
            var y = shared.forward(leaf);
            var gradX = autograd.grad([y], [leaf], [gradient.to(y.dtype)])[0];
            return [.. Results.Bits(y), .. Results.Bits(gradX)];
        }
    }

    private static void Throws(Action action, Report report)
    {
        report.Broken();
        try
        {
            action();
            report.Failed("an exception was swallowed");
        }
        catch (Mishap)
        {
            // as it should
        }
    }

    private static void Same(byte[] before, byte[] after, string when, Problem problem, Report report)
    {
        if (!before.SequenceEqual(after))
            report.Failed($"another result {when}, of {problem}");
    }

    private sealed class Network() : nn.Module<Tensor, Tensor>("Network")
    {
        public bool Throws { get; set; }

        public override Tensor forward(Tensor input) => Throws ? throw new Mishap() : input * input;
    }

    private sealed class Breaking(byte[] bytes, int at) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => Position + count > at ? throw new Mishap() : base.Read(buffer, offset, count);

        public override int Read(Span<byte> buffer) => Position + buffer.Length > at ? throw new Mishap() : base.Read(buffer);

        public override int ReadByte() => Position + 1 > at ? throw new Mishap() : base.ReadByte();
    }
}
