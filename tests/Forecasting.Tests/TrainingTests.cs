using Darts.Norm;

namespace Forecasting.Tests;

[Collection("torch's random generator")]
public sealed class TrainingTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Run_SameSeed_GivesTheSameErrorsToTheBit(bool withRINorm)
    {
        using var protocol = Samples.Protocol(Samples.Waves(100));
        var first = Train(protocol, 1, withRINorm);
        Train(protocol, 1, withRINorm).Should().Be(first);
        Train(protocol, 2, withRINorm).Should().NotBe(first);
    }

    [Fact]
    public void Run_Epochs_KeepsTheBestOnValidation()
    {
        using var protocol = Samples.Protocol(Samples.Waves(100));
        using var network = NewNetwork(0, withRINorm: false);
        var errors = new List<double>();
        // A rate so high that the error jumps: the last epoch is not the best.
        new Training(8, 0.1, 8, 0).Run(network, protocol, (_, error) => errors.AddRange(error is { } value ? [value] : []), default);
        errors.Should().HaveCount(8);
        errors.Min().Should().BeLessThan(errors[^1]);
        Errors.Of(network, protocol.Valid, default).Mse.Should().Be(errors.Min());
    }

    [Fact]
    public void Run_WavesThatRise_LearnsThem()
    {
        using var protocol = Samples.Protocol(Samples.Waves(200));
        using var network = NewNetwork(0, withRINorm: true);
        var before = Errors.Of(network, protocol.Test, default).Mse;
        new Training(8, 3e-3, 8, 0).Run(network, protocol, (_, _) => { }, default);
        Errors.Of(network, protocol.Test, default).Mse.Should().BeLessThan(before / 4);
    }

    [Fact]
    public void Run_Cancelled_StopsAfterTheBatch()
    {
        using var protocol = Samples.Protocol(Samples.Waves(100));
        using var network = NewNetwork(0, withRINorm: true);
        using var stop = new CancellationTokenSource();
        var batches = 0;
        var train = () => new Training(1000, 1e-3, 8, 0).Run(network, protocol, (_, _) =>
        {
            batches++;
            stop.Cancel();
        }, stop.Token);
        train.Should().Throw<OperationCanceledException>();
        batches.Should().Be(1);
    }

    [Fact]
    public void Run_Finished_LeavesNoTensors()
    {
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var protocol = Samples.Protocol(Samples.Waves(100)))
        using (var network = NewNetwork(0, withRINorm: true))
        {
            new Training(2, 1e-3, 8, 0).Run(network, protocol, (_, _) => { }, default);
            Errors.Of(network, protocol.Test, default);
            _ = new Forecasts(network, protocol, default).Of(0, 0);
        }
        DisposeScopeManager.Statistics.ThreadTotalLiveCount.Should().Be(before);
    }

    private static Errors Train(Protocol protocol, int seed, bool withRINorm)
    {
        using var network = NewNetwork(seed, withRINorm);
        new Training(2, 1e-3, 8, seed).Run(network, protocol, (_, _) => { }, default);
        return Errors.Of(network, protocol.Test, default);
    }

    private static Forecaster NewNetwork(int seed, bool withRINorm)
    {
        manual_seed(seed);
        return new(Forecaster.ResidualMlp(12, 4, "RMSNorm", width: 16), withRINorm ? new RINorm(2) : null);
    }
}
