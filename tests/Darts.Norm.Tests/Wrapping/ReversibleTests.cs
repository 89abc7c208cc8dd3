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
    public void Forward_DecoderInputWithoutATarget_SaysSo() =>
        Reversible.wrap(new Decoding(), new RINorm(4), decoder_input: 1).Invoking(network => network.call(Past(columns: 4), Layers.Values([2, 3, 3])))
            .Should().Throw<ArgumentException>().WithMessage("*takes decoder_input as (batch, time, ..., columns) with column 3 among them*[2, 3, 3]*");

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
    public void State_OfAModuleThatHoldsWrappedNetworks_HasTheirKeysOnce()
    {
        var holder = new Holder(
            Reversible.wrap(nn.Linear(4, 4), new RINorm(4)),
            Reversible.wrap(new TwoInputs((x, _) => x), new RINorm(4)),
            Reversible.wrap(new ThreeInputs(), new RINorm(4)),
            nn.ModuleList<nn.Module>(Reversible.wrap(nn.Linear(4, 4), new RINorm(4))));
        string[] keys =
        [
            "one.rin.affine_weight", "one.rin.affine_bias", "one.network.weight", "one.network.bias", "two.rin.affine_weight", "two.rin.affine_bias",
            "three.rin.affine_weight", "three.rin.affine_bias", "list.0.rin.affine_weight", "list.0.rin.affine_bias", "list.0.network.weight", "list.0.network.bias",
        ];
        holder.state_dict().Keys.Should().BeEquivalentTo(keys);
        holder.pytorch().state_dict().Keys.Should().BeEquivalentTo(keys);
        Reversible.wrap(holder.one, new RINorm(4)).state_dict().Keys.Should().HaveCount(6, "a wrapped network may be wrapped");
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
        Once();
        Alone.TensorsLeft(Once).Should().Be(0);

        void Once()
        {
            using var scope = NewDisposeScope(); // which what the network made before goes to, as without the wrapper
            wrapped.Invoking(w => w.call(past)).Should().Throw<FormatException>().WithMessage("mine");
        }
    }

    [Fact]
    public void Forward_NetworkThrowsOnce_GoesOnWithTheStateThatItKept()
    {
        using var scope = NewDisposeScope();
        Tensor? state = null;
        var calls = 0;
        using var wrapped = Reversible.wrap(new Answering<Tensor>(Next), new RINorm(3));
        var past = Past(columns: 3);
        wrapped.call(past);
        wrapped.Invoking(w => w.call(past)).Should().Throw<FormatException>();
        wrapped.Invoking(w => w.call(past)).Should().NotThrow();

        Tensor Next(Tensor x)
        {
            state = state is null ? x * 1 : state + x;
            return ++calls == 2 ? throw new FormatException("mine") : state * 1;
        }
    }

    [Fact]
    public void Forward_TensorsWithinAnAnswer_AreTheCallers()
    {
        using var scope = NewDisposeScope();
        using var wrapped = Reversible.wrap(new Answering<(Tensor, (Tensor, Tensor[]))>(x => (x * 1, (x, [x * 2]))), new RINorm(3));
        var (_, (handed, made)) = wrapped.call(Past(columns: 3));
        (handed.IsInvalid, made[0].IsInvalid).Should().Be((false, false));
    }

    [Fact]
    public void Forward_OutputThatIsNotOfTheCall_StaysAlive()
    {
        using var outside = NewDisposeScope();
        var (past, lastKnown, kept) = (Past(columns: 3), Past(columns: 3), Past(columns: 3));
        var forecast = nn.Parameter(Past(columns: 3));
        Tensor? cached = null, seen = null;
        using var persistence = Reversible.wrap(new TwoInputs((_, last) => last), new RINorm(3));
        using var decoding = Reversible.wrap(new TwoInputs((_, last) => last), new RINorm(3), decoder_input: 1);
        using var constant = Reversible.wrap(new Answering<Tensor>(_ => forecast), new RINorm(3));
        using var keeping = Reversible.wrap(new Answering<Tensor>(_ => kept), new RINorm(3));
        using var caching = Reversible.wrap(new Answering<Tensor>(x => cached ??= (x * 2).DetachFromDisposeScope()), new RINorm(3));
        using var hooked = Reversible.wrap(nn.Sequential(nn.Linear(3, 3)), new RINorm(3));
        using var tuple = Reversible.wrap(new Answering<(Tensor, Tensor)>(x => (kept, x)), new RINorm(3));
        using var none = Reversible.wrap(new Answering<(Tensor?, Tensor)>(x => (null, x)), new RINorm(3));
        hooked.network.pytorch().register_forward_hook((_, _, y) => seen = ((Tensor)y!).MoveToOuterDisposeScope());
        for (var i = 0; i < 2; i++)
        {
            persistence.call(past, lastKnown);
            decoding.call(past, lastKnown);
            constant.call(past);
            keeping.call(past);
            caching.call(past);
            hooked.call(past);
            new[] { past, lastKnown, kept, forecast, cached, seen, tuple.call(past).Item2, none.call(past).Item2 }.Should().OnlyContain(tensor => !tensor!.IsInvalid);
        }
        outside.Dispose();
        cached!.IsInvalid.Should().BeFalse();
        cached.Dispose();
    }

    [Fact]
    public void Forward_WhatTheNetworkMakesBesides_IsTheCallersScopes()
    {
        Tensor? besides = null;
        using var wrapped = Reversible.wrap(new Answering<Tensor>(Answer), new RINorm(4));
        using (NewDisposeScope())
        {
            wrapped.call(Past(columns: 4));
            besides!.IsInvalid.Should().BeFalse("a network may keep what it computes on the way");
        }
        besides.IsInvalid.Should().BeTrue();

        Tensor Answer(Tensor x)
        {
            using var scope = NewDisposeScope();
            besides = (x * 2).MoveToOuterDisposeScope();
            return (besides + 1).MoveToOuterDisposeScope();
        }
    }

    [Fact]
    public void Forward_AfterSetSubmodule_UsesTheNewPartsAndRefusesWhatDoesNotFit()
    {
        var past = Past(columns: 4);
        var (wrapped, other) = (Reversible.wrap(nn.Linear(4, 4), new RINorm(4)), nn.Linear(4, 4));
        var rin = new RINorm(4) { subtract_last = true };
        wrapped.set_submodule("rin", rin);
        wrapped.set_submodule("network", other);
        Layers.SameBits(wrapped.call(past), rin.inverse(other.call(rin.forward(past)).unsqueeze(-1)).squeeze(-1)).Should().BeTrue();
        wrapped.set_submodule("rin", new RINorm(3));
        wrapped.Invoking(w => w.call(past)).Should().Throw<InvalidOperationException>().WithMessage("*as many components as there are targets (4)*has 3*Put a RINorm(4) there*");
        foreach (var name in (string[])["rin", "network"])
        {
            wrapped = Reversible.wrap(other, rin);
            wrapped.pytorch().add_module(name, null);
            wrapped.Invoking(w => w.call(past)).Should().Throw<InvalidOperationException>().WithMessage($"*its {name} was replaced by null*");
        }
    }

    [Fact]
    public void Forward_Throws_LeavesNothingAndAClearError()
    {
        using var past = Past(columns: 3).DetachFromDisposeScope();
        using var sparse = past.to_sparse().DetachFromDisposeScope();
        using var far = past.to(META).DetachFromDisposeScope();
        using var one = ones(1).DetachFromDisposeScope();
        using var huge = one.expand(1, 2, 1L << 50).DetachFromDisposeScope();
        (Func<nn.Module<Tensor, Tensor>> make, Tensor input, Type exception, string says)[] cases =
        [
            (() => Reversible.wrap(new Answering<Tensor>(_ => null!), new RINorm(3)), past, typeof(InvalidOperationException), "*must answer a tensor that lives, but Answering*answered null.*"),
            (() => Reversible.wrap(new Answering<Tensor>(Gone), new RINorm(3)), past, typeof(InvalidOperationException), "*but Answering*answered a disposed one.*MoveToOuterDisposeScope*"),
            (() => Reversible.wrap(nn.Identity(), new RINorm(3)), sparse, typeof(ArgumentException), "*dense tensors*past.to_dense()*"),
            (() => Reversible.wrap(nn.Identity(), new RINorm(2), columns: [2, 0]), sparse, typeof(ArgumentException), "*dense tensors*past.to_dense()*"),
            (() => Reversible.wrap(nn.Identity(), new RINorm(2), columns: [2, 0]), far, typeof(ArgumentException), "*one device*meta*"),
            (() => Reversible.wrap(nn.Identity(), new RINorm(2)), huge, typeof(InsufficientMemoryException), "*must fit in memory*"),
            (() => Reversible.wrap(new Answering<Tensor>(x => x.sum(dim: 2L)), new RINorm(3)), past, typeof(ArgumentException), "*nr_params*size *2, 6]*"),
            (() => Reversible.wrap(new Answering<Tensor>(x => x.to_sparse()), new RINorm(3)), past, typeof(ArgumentException), "*dense tensors*"),
            (() => new First(Reversible.wrap(new Answering<(Tensor, Tensor)>(x => (x.sum(dim: 2L), x * 1)), new RINorm(3))), past, typeof(ArgumentException), "*nr_params*size *2, 6]*"),
            (() => new First(Reversible.wrap(new Answering<(Tensor, Tensor)>(x => (Gone(x), x * 1)), new RINorm(3))), past, typeof(InvalidOperationException), "*answered a disposed one*"),
        ];
        foreach (var (make, input, exception, says) in cases)
        {
            using var network = make();
            Once();
            Alone.TensorsLeft(Once).Should().Be(0, says);

            void Once() => network.Invoking(n => n.call(input)).Should().Throw<Exception>().WithMessage(says).Which.Should().BeOfType(exception);
        }
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
        FluentActions.Invoking(() => Reversible.wrap(network, rin, likelihood: [(LikelihoodParameter)42])).Should().Throw<ArgumentOutOfRangeException>().WithMessage("Reversible.wrap takes values of LikelihoodParameter*42*Location*").WithParameterName("likelihood");
        foreach (var index in (int[])[0, 2, -1])
            FluentActions.Invoking(() => Reversible.wrap(new Decoding(), rin, decoder_input: index)).Should().Throw<ArgumentException>().WithMessage("*decoder_input*").WithParameterName("decoder_input");
    }

    [Fact]
    public void Forward_Refused_SaysWhatHolds()
    {
        var wrapped = Reversible.wrap(nn.Linear(4, 4), new RINorm(3), columns: [0, 1, 5]);
        wrapped.Invoking(w => w.call(Past(columns: 4))).Should().Throw<ArgumentException>().WithMessage("*column 5*[2, 6, 4]*");
        wrapped.Invoking(w => w.call(zeros(6, 6))).Should().Throw<ArgumentException>().WithParameterName("past")
            .WithMessage("The RINorm(3) of a wrapped network takes past as (batch, time, ..., columns)*3 dimensions or more, but received size [6, 6], dtype Float32*past.unsqueeze(0)*");
        wrapped.Invoking(w => w.call(null!)).Should().Throw<ArgumentNullException>();
        var disposed = Past(columns: 6);
        disposed.Dispose();
        wrapped.Invoking(w => w.call(disposed)).Should().Throw<ObjectDisposedException>().WithMessage("*wrapped network received a disposed tensor*past*");
        var other = Reversible.wrap(nn.Linear(4, 3), new RINorm(4));
        other.Invoking(w => w.call(Past(columns: 4))).Should().Throw<ArgumentException>()
            .WithMessage("A wrapped network must answer (batch, time, ..., targets), or with nr_params behind, for batch 2 and 4 targets, but Linear answered size [2, 6, 3]*RINorm*", "the network forecasts other components");
        foreach (var answer in (long[][])[[2, 24], [3, 6, 4], [2, 6, 4, 1, 1], [2, 6, 3, 4]])
        {
            Reversible.wrap(new Answering<Tensor>(_ => zeros(answer)), new RINorm(4)).Invoking(w => w.call(Past(columns: 4)))
                .Should().Throw<ArgumentException>().WithMessage($"*but Answering answered size [{string.Join(", ", answer)}]*");
        }
    }

    [Fact]
    public void Forward_AnswerThatCannotBePutBack_SaysWhatTheNetworkAnswered()
    {
        (Func<Tensor, Tensor> answer, LikelihoodParameter[]? likelihood, string says)[] cases =
        [
            (x => x.to(ScalarType.Int64), null, "*The RINorm(4) of a wrapped network normalises Float16, BFloat16, Float32 or Float64*y.to(ScalarType.Float32)*"),
            (x => x.to(ScalarType.ComplexFloat32), null, "*y.real*y.abs()*"),
            (x => x.to_sparse(), null, "*dense tensors*y.to_dense()*"),
            (x => x.to(META), null, "A wrapped network must answer on the device of the past, cpu, but * on meta. Move the network there: network.to(\"cpu\").*"),
            (x => x.unsqueeze(-1), [LikelihoodParameter.Location, LikelihoodParameter.Scale], "A wrapped network must answer as many nr_params on the last axis as its likelihood has, 2, but *"),
            (x => x * 1, [LikelihoodParameter.Location, LikelihoodParameter.Scale], "A wrapped network must answer as many nr_params on the last axis as its likelihood has, 2, but *"),
        ];
        foreach (var (answer, likelihood, says) in cases)
        {
            var wrapped = Reversible.wrap(new Answering<Tensor>(answer), new RINorm(4), likelihood: likelihood);
            var error = wrapped.Invoking(w => w.call(Past(columns: 4))).Should().Throw<ArgumentException>().WithMessage(says).WithMessage("A wrapped network must answer*, but Answering answered size [2, 6, 4*").Which;
            error.ParamName.Should().BeNull("it is no argument of the call");
        }
    }

    private static Tensor Gone(Tensor x)
    {
        var y = x * 2;
        y.Dispose();
        return y;
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

    private sealed class TwoInputs(Func<Tensor, Tensor, Tensor> answer) : nn.Module<Tensor, Tensor, Tensor>(nameof(TwoInputs))
    {
        public override Tensor forward(Tensor past, Tensor other) => answer(past, other);
    }

    private sealed class Holder : nn.Module
    {
        public readonly ReversibleNetwork<Tensor> one;
        private readonly nn.Module two;
        private readonly nn.Module three;
        private readonly TorchSharp.Modules.ModuleList<nn.Module> list;

        public Holder(ReversibleNetwork<Tensor> one, nn.Module two, nn.Module three, TorchSharp.Modules.ModuleList<nn.Module> list) : base(nameof(Holder))
        {
            (this.one, this.two, this.three, this.list) = (one, two, three, list);
            RegisterComponents();
        }
    }

    private sealed class First : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, (Tensor, Tensor)> network;

        public First(nn.Module<Tensor, (Tensor, Tensor)> network) : base(nameof(First))
        {
            this.network = network;
            RegisterComponents();
        }

        public override Tensor forward(Tensor past) => network.call(past).Item1;
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
