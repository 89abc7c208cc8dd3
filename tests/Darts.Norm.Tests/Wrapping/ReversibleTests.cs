namespace Darts.Norm.Tests.Wrapping;

/// <summary>RINorm around networks of every form, against the same done by hand.</summary>
[Collection(nameof(Alone))]
public sealed class ReversibleTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Forward_OneInput_IsInverseOfNetworkOfNormalised()
    {
        var past = Past(columns: 5);
        var rin = (RINorm)Layers.All["RINorm"].New();
        var network = new OneInput(5, 4, nrParams: 3);
        var wrapped = Reversible.wrap(network, rin);
        var before = past.clone();

        var targets = rin.forward(past[.., .., ..4]);
        var expected = rin.inverse(network.forward(cat([targets, past[.., .., 4..]], -1)));
        Layers.SameBits(wrapped.call(past), expected).Should().BeTrue();
        Layers.SameBits(past, before).Should().BeTrue("the input is not modified");
    }

    [Fact]
    public void Forward_ColumnsByIndex_NormalisesThose()
    {
        var past = Past(columns: 5);
        var rin = new RINorm(2);
        long[] columns = [4, 1];
        var wrapped = Reversible.wrap(new Handing(), rin, columns);
        var (seen, targets) = (wrapped.call(past), past.index_select(-1, tensor(columns)));
        _ = seen;
        var normalised = rin.forward(targets);
        var network = (Handing)wrapped.network;
        Layers.SameBits(network.Seen!.index_select(-1, tensor(columns)), normalised).Should().BeTrue();
        Layers.SameBits(network.Seen!.index_select(-1, tensor((long[])[0, 2, 3])), past.index_select(-1, tensor((long[])[0, 2, 3]))).Should().BeTrue();
    }

    [Fact]
    public void Forward_TorchSharpsOwnModule_IsWrapped()
    {
        var past = Past(columns: 4);
        var wrapped = Reversible.wrap(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)), new RINorm(4));
        var y = wrapped.call(past);
        y.shape.Should().Equal(past.shape, "without nr_params comes back without");
        (wrapped.call((past * 3) + 700) - ((y * 3) + 700)).abs().max().item<float>().Should().BeLessThan(0.05f, "only eps depends on the scale");
    }

    [Fact]
    public void Forward_TorchSharpsRecurrentNetworks_HaveTheFirstOfTheirTupleInverted()
    {
        var past = Past(columns: 4);
        var rin = new RINorm(4);
        var (lstm, gru) = (nn.LSTM(4, 4, batchFirst: true), nn.GRU(4, 4, batchFirst: true));
        var (ofLstm, h, c) = Reversible.wrap(lstm, rin).call(past, null);
        var (ofGru, state) = Reversible.wrap(gru, rin).call(past, null!);
        var normalised = rin.forward(past);
        var (expectedLstm, expectedH, expectedC) = lstm.call(normalised, null);
        Layers.SameBits(ofLstm, rin.inverse(expectedLstm.unsqueeze(-1)).squeeze(-1)).Should().BeTrue();
        (Layers.SameBits(h, expectedH) && Layers.SameBits(c, expectedC)).Should().BeTrue("the states are the network's");
        var (expectedGru, expectedState) = gru.call(normalised, null!);
        Layers.SameBits(ofGru, rin.inverse(expectedGru.unsqueeze(-1)).squeeze(-1)).Should().BeTrue();
        Layers.SameBits(state, expectedState).Should().BeTrue();
    }

    [Fact]
    public void Backward_ColumnsByIndex_ReachesTargetsAndCovariates()
    {
        var past = Past(columns: 5).requires_grad_();
        var rin = new RINorm(2);
        using var wrapped = Reversible.wrap(new OneInput(5, 2, nrParams: 1), rin, columns: [4, 1]);
        wrapped.call(past).sum().backward();
        past.grad!.isfinite().all().item<bool>().Should().BeTrue();
        past.grad!.abs().amax([0L, 1L]).Doubles().Should().OnlyContain(gradient => gradient > 0);
        wrapped.parameters().Should().OnlyContain(parameter => parameter.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void Forward_MissingValuesByRinsOptions_StayOutOfTheStatistics()
    {
        var past = Past(columns: 5);
        past[0, 2, 1] = double.NaN;
        using var wrapped = Reversible.wrap(nn.Linear(5, 4), new RINorm(4) { missing = Missing.Zero });
        wrapped.call(past).isfinite().all().item<bool>().Should().BeTrue();
    }

    [Fact]
    public void Forward_ThreeInputsWithNullCovariates_HandsThemOn()
    {
        var past = Past(columns: 5);
        var rin = new RINorm(4);
        var network = new ThreeInputs();
        var wrapped = Reversible.wrap(network, rin);
        var future = Layers.Values([2, 3, 2]);
        var y = wrapped.call(past, future, null);
        network.Others.Should().Equal(future, null);
        y.shape.Should().Equal(2, 6, 4, 1);
        Layers.SameBits(y, rin.inverse(cat([rin.forward(past[.., .., ..4])], -1).unsqueeze(-1))).Should().BeTrue();
    }

    [Fact]
    public void Forward_DecoderInput_GoesThroughTransform()
    {
        var (past, decoder) = (Past(columns: 4), (Layers.Values([2, 3, 6]) * 5) + 40);
        var rin = new RINorm(4);
        var network = new Decoding();
        var y = Reversible.wrap(network, rin, decoder_input: 1).call(past, decoder);
        rin.forward(past);
        var expected = cat([rin.transform(decoder[.., .., ..4]), decoder[.., .., 4..]], -1);
        Layers.SameBits(y.seen, expected).Should().BeTrue();
        Layers.SameBits(y.forecast, rin.inverse(expected[.., .., ..4].unsqueeze(-1))).Should().BeTrue("the first element of a tuple is inverted, the others are left");
        y.number.Should().Be(7);
    }

    [Fact]
    public void Forward_DecoderInputThatIsNull_IsHandedOn()
    {
        var network = new ThreeInputs();
        var wrapped = Reversible.wrap(network, new RINorm(4), decoder_input: 2);
        var future = Layers.Values([2, 3, 2]);
        wrapped.call(Past(columns: 5), future, null).shape.Should().Equal(2, 6, 4, 1);
        network.Others.Should().Equal(future, null);
        wrapped.rin.input_dim.Should().Be(4);
    }

    [Fact]
    public void Forward_TupleThatNamesItsForecastTwiceOrNot_LeavesTheOthers()
    {
        var (past, rin) = (Past(columns: 4), new RINorm(4));
        var (forecast, raw) = Reversible.wrap(new Answering<(Tensor, Tensor)>(x => Twice(x.clone())), rin).call(past);
        Layers.SameBits(raw, rin.forward(past)).Should().BeTrue("what is there twice is the caller's");
        Layers.SameBits(forecast, rin.inverse(raw.unsqueeze(-1)).squeeze(-1)).Should().BeTrue();
        var (none, other) = Reversible.wrap(new Answering<(Tensor?, Tensor)>(x => (null, x.clone())), rin).call(past);
        none.Should().BeNull();
        Layers.SameBits(other, raw).Should().BeTrue();
    }

    [Fact]
    public void Forward_Likelihood_IsPutBackByKind()
    {
        var past = Past(columns: 4);
        var rin = new RINorm(4);
        LikelihoodParameter[] kinds = [LikelihoodParameter.Location, LikelihoodParameter.Scale];
        var network = new OneInput(4, 4, nrParams: 2);
        var y = Reversible.wrap(network, rin, likelihood: kinds).call(past);
        Layers.SameBits(y, rin.inverse(network.forward(rin.forward(past)), kinds)).Should().BeTrue();
    }

    [Fact]
    public void Forward_HalfInputAndFloatParameters_Promotes()
    {
        var past = Past(columns: 5).to(ScalarType.Float16);
        Reversible.wrap(new OneInput(5, 4, nrParams: 1), new RINorm(4)).call(past).dtype.Should().Be(ScalarType.Float32);
        Reversible.wrap(new OneInput(5, 2, nrParams: 1), new RINorm(2), columns: [3, 0]).call(past).dtype.Should().Be(ScalarType.Float32);
    }

    [Fact]
    public void State_IsRinsAndTheNetworksAndLoadsADartsCheckpoints()
    {
        var wrapped = Reversible.wrap(nn.Linear(4, 4), new RINorm(4));
        wrapped.state_dict().Keys.Should().BeEquivalentTo("rin.affine_weight", "rin.affine_bias", "network.weight", "network.bias");
        wrapped.load_state_dict(new() { ["rin.affine_weight"] = Layers.Of(1, 2, 3, 4), ["rin.affine_bias"] = zeros(4) }, strict: false);
        wrapped.rin.affine_weight!.Doubles().Should().Equal(1, 2, 3, 4);
        wrapped.@double();
        wrapped.call(Past(columns: 4).@double()).dtype.Should().Be(ScalarType.Float64);
        wrapped.eval();
        wrapped.network.training.Should().BeFalse();
    }

    [Fact]
    public void Training_OfAWrappedNetwork_LearnsTheLevel()
    {
        random.manual_seed(3);
        using var wrapped = Reversible.wrap(new OneInput(4, 4, nrParams: 1), new RINorm(4));
        using var optimizer = optim.Adam(wrapped.parameters(), 0.02);
        var past = randn(16, 6, 4).cumsum(1) + (randn(16, 1, 4) * 50);
        var future = past.unsqueeze(-1) + 1;
        var losses = Enumerable.Range(0, 40).Select(_ => Step()).ToList();
        losses[^1].Should().BeLessThan(losses[0] / 2);

        float Step()
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var loss = nn.functional.mse_loss(wrapped.call(past), future);
            loss.backward();
            optimizer.step();
            return loss.item<float>();
        }
    }

    [Fact]
    public void Forward_OutsideAnyScope_LeavesItsOutput()
    {
        using var past = Past(columns: 5).DetachFromDisposeScope();
        using var decoder = Layers.Values([2, 3, 4]).DetachFromDisposeScope();
        using var one = Reversible.wrap(new OneInput(5, 4, nrParams: 1), new RINorm(4));
        using var indexed = Reversible.wrap(new OneInput(5, 2, nrParams: 1), new RINorm(2), columns: [4, 0]);
        using var plain = Reversible.wrap(nn.Linear(4, 4), new RINorm(4));
        using var identity = Reversible.wrap(nn.Identity(), new RINorm(4));
        using var tuple = Reversible.wrap(new Decoding(), new RINorm(4), decoder_input: 1);
        using var targets = past.narrow(-1, 0, 4).DetachFromDisposeScope();
        Once();
        using var outer = NewDisposeScope();
        Alone.TensorsLeft(Once).Should().Be(0);

        void Once()
        {
            one.call(past).Dispose();
            indexed.call(past).Dispose();
            plain.call(targets).Dispose();
            identity.call(targets).Dispose();
            var (forecast, seen, _) = tuple.call(targets, decoder);
            seen.IsInvalid.Should().BeFalse("what the network answered is the caller's");
            forecast.Dispose();
            seen.Dispose();
        }
    }

    [Fact]
    public void Forward_NetworkThrows_LeavesNothingAndItsError()
    {
        using var past = Past(columns: 4).DetachFromDisposeScope();
        using var wrapped = Reversible.wrap(new Throwing(), new RINorm(4));
        void Once() => wrapped.Invoking(w => w.call(past)).Should().Throw<FormatException>().WithMessage("mine");
        Once();
        Alone.TensorsLeft(Once).Should().Be(0);
    }

    [Fact]
    public void Wrap_Refused_SaysWhatHolds()
    {
        var rin = new RINorm(2);
        var network = nn.Linear(4, 4);
        FluentActions.Invoking(() => Reversible.wrap(network, rin, columns: [0])).Should().Throw<ArgumentException>().WithMessage("*as many*2*[0]*");
        FluentActions.Invoking(() => Reversible.wrap(network, rin, columns: [0, 0])).Should().Throw<ArgumentException>().WithMessage("*once*");
        FluentActions.Invoking(() => Reversible.wrap(network, rin, columns: [0, -1])).Should().Throw<ArgumentException>();
        FluentActions.Invoking(() => Reversible.wrap(network, null!)).Should().Throw<ArgumentNullException>();
        FluentActions.Invoking(() => Reversible.wrap((nn.Module<Tensor, Tensor>)null!, rin)).Should().Throw<ArgumentNullException>();
        FluentActions.Invoking(() => Reversible.wrap(new Numbering(), rin)).Should().Throw<NotSupportedException>().WithMessage("*Int32*");
        FluentActions.Invoking(() => Reversible.wrap(new Answering<(int, Tensor)>(x => (1, x)), rin)).Should().Throw<NotSupportedException>();
        FluentActions.Invoking(() => Reversible.wrap(new Answering<Tuple<Tensor, int>>(x => new(x, 1)), rin)).Should().Throw<NotSupportedException>("it cannot be given another tensor");
        foreach (var index in (int[])[0, 2, -1])
            FluentActions.Invoking(() => Reversible.wrap(new Decoding(), rin, decoder_input: index)).Should().Throw<ArgumentException>().WithMessage("*decoder_input*");
    }

    [Fact]
    public void Forward_Refused_SaysWhatHolds()
    {
        var wrapped = Reversible.wrap(nn.Linear(4, 4), new RINorm(3), columns: [0, 1, 5]);
        wrapped.Invoking(w => w.call(Past(columns: 4))).Should().Throw<ArgumentException>().WithMessage("*column 5*[2, 6, 4]*");
        wrapped.Invoking(w => w.call(zeros(6, 6))).Should().Throw<ArgumentException>().WithMessage("*(batch, time, ..., columns)*");
        wrapped.Invoking(w => w.call(null!)).Should().Throw<ArgumentNullException>();
        var disposed = Past(columns: 6);
        disposed.Dispose();
        wrapped.Invoking(w => w.call(disposed)).Should().Throw<ObjectDisposedException>().WithMessage("*disposed past*");
        var other = Reversible.wrap(nn.Linear(4, 3), new RINorm(4));
        other.Invoking(w => w.call(Past(columns: 4))).Should().Throw<ArgumentException>().WithMessage("*4 components*[2, 6, 3, 1]*", "the network forecasts other components");
    }

    private static (Tensor, Tensor) Twice(Tensor tensor) => (tensor, tensor);

    private static Tensor Past(long columns) => (Layers.Values([2, 6, columns]) * 10) + 100;

    private sealed class OneInput : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> map;
        private readonly long nrParams;

        public OneInput(long columns, long targets, long nrParams) : base(nameof(OneInput))
        {
            this.nrParams = nrParams;
            map = nn.Linear(columns, targets * nrParams);
            RegisterComponents();
        }

        public override Tensor forward(Tensor past)
        {
            using var y = map.call(past);
            return y.reshape([.. y.shape[..^1], -1, nrParams]);
        }
    }

    private sealed class Handing() : nn.Module<Tensor, Tensor>(nameof(Handing))
    {
        public Tensor? Seen { get; private set; }

        public override Tensor forward(Tensor past)
        {
            Seen = past.clone();
            return past.narrow(-1, 0, 2).unsqueeze(-1);
        }
    }

    private sealed class ThreeInputs() : nn.Module<Tensor, Tensor, Tensor?, Tensor>(nameof(ThreeInputs))
    {
        public Tensor?[] Others { get; private set; } = [];

        public override Tensor forward(Tensor past, Tensor future, Tensor? statics)
        {
            Others = [future, statics];
            return past.narrow(-1, 0, 4).unsqueeze(-1);
        }
    }

    private sealed class Decoding() : nn.Module<Tensor, Tensor, (Tensor forecast, Tensor seen, int number)>(nameof(Decoding))
    {
        public override (Tensor forecast, Tensor seen, int number) forward(Tensor past, Tensor decoder)
        {
            using var targets = decoder.narrow(-1, 0, 4);
            return (targets.unsqueeze(-1), decoder, 7);
        }
    }

    private sealed class Answering<TResult>(Func<Tensor, TResult> answer) : nn.Module<Tensor, TResult>("Answering")
    {
        public override TResult forward(Tensor past) => answer(past);
    }

    private sealed class Numbering() : nn.Module<Tensor, int>(nameof(Numbering))
    {
        public override int forward(Tensor past) => 1;
    }

    private sealed class Throwing() : nn.Module<Tensor, Tensor>(nameof(Throwing))
    {
        public override Tensor forward(Tensor past) => throw new FormatException("mine");
    }
}
