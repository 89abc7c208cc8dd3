using static TorchSharp.torch;

namespace Forecasting;

/// <summary>Adam on the training windows; the epoch that forecasts the validation part best stays.</summary>
internal sealed class Training(int epochs, double rate, int batch, int seed)
{
    /// <summary>Trains a network.</summary>
    /// <param name="network">Left with the weights of the best epoch.</param>
    /// <param name="protocol">The windows.</param>
    /// <param name="done">Told after each batch what part of the work is done, and after each epoch the validation error.</param>
    /// <param name="stop">Looked at after each batch.</param>
    public void Run(Forecaster network, Protocol protocol, Action<double, double?> done, CancellationToken stop)
    {
        using var optimizer = optim.Adam(network.parameters(), rate);
        var order = Enumerable.Range(0, protocol.Train.Count).Select(number => (long)number).ToArray();
        var shuffle = new Random(seed);
        var batches = (order.Length + batch - 1) / batch;
        using var best = new Snapshot(network);
        var lowest = double.PositiveInfinity;
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            foreach (var group in optimizer.ParamGroups)
                group.LearningRate = rate * 0.5 * (1 + Math.Cos(Math.PI * epoch / epochs));
            network.train();
            shuffle.Shuffle(order);
            for (var i = 0; i < batches; i++)
            {
                stop.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var (past, future) = protocol.Train.Pick(order[(i * batch)..Math.Min((i + 1) * batch, order.Length)]);
                optimizer.zero_grad();
                nn.functional.mse_loss(network.call(past), future).backward();
                optimizer.step();
                done((epoch + ((i + 1.0) / batches)) / epochs, null);
            }
            var error = Errors.Of(network, protocol.Valid, stop).Mse;
            done((epoch + 1.0) / epochs, error);
            if (error < lowest)
            {
                lowest = error;
                best.Take();
            }
        }
        best.Restore();
    }

    /// <summary>A copy of a network's weights.</summary>
    private sealed class Snapshot : IDisposable
    {
        private readonly List<(Tensor Weight, Tensor Copy)> _weights = [];

        public Snapshot(Forecaster network)
        {
            using var noGrad = no_grad();
            foreach (var weight in network.parameters())
                _weights.Add((weight, weight.clone().DetachFromDisposeScope()));
        }

        public void Take() => Copy((weight, copy) => copy.copy_(weight));

        public void Restore() => Copy((weight, copy) => weight.copy_(copy));

        public void Dispose()
        {
            foreach (var (_, copy) in _weights)
                copy.Dispose();
        }

        private void Copy(Action<Tensor, Tensor> way)
        {
            using var noGrad = no_grad();
            foreach (var (weight, copy) in _weights)
                way(weight, copy);
        }
    }
}
