using Darts.Norm.Kernels;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>
/// Reversible instance normalisation: takes each series' own level and scale out before the network, and puts them back on the forecast.
/// </summary>
/// <remarks>
/// <para>
/// <c>forward(x) = transform(x) = (x - mean) / stdev · affine_weight + affine_bias</c>, after keeping
/// <c>mean</c> and <c>stdev = √(var(x) + eps)</c>, taken with the biased variance over every axis but the first and the last.
/// <c>inverse(z) = (z - affine_bias) / (affine_weight + eps²) · stdev + mean</c>.
/// </para>
/// <para>
/// Gradients flow through x, z and the parameters, never through the statistics. The layer owns these: they last until its next
/// <c>forward</c> or its disposal, are kept in Float64, and follow the layer's casts and moves. Threads that share a layer
/// may get each other's statistics.
/// </para>
/// <para>
/// Shape: input (batch, time, ..., components), 3 dimensions or more, output the same; <c>inverse</c> (batch, time', ..., components, nr_params)
/// for any number of time steps and of likelihood parameters. State: <c>affine_weight</c>, <c>affine_bias</c> (components), ones and zeros at
/// first; none when not affine. Units: the output of <c>forward</c> has none; <c>inverse</c> answers in those of the input of <c>forward</c>.
/// </para>
/// <para>
/// Dtypes: input, statistics and parameters promote as in PyTorch. How exact the results are: <see cref="NormModule"/>.
/// </para>
/// <para>
/// Source: Kim et al., Reversible Instance Normalization for Accurate Time-Series Forecasting against Distribution Shift, 2022;
/// Darts' <c>layer_norm_variants.RINorm</c>.
/// </para>
/// <example>
/// <code>
/// using var rin = new RINorm(input_dim: 7);
/// using var past = randn(32, 96, 7);
/// using var normalised = rin.forward(past);
/// using var forecast = network.forward(normalised);         // (32, 24, 7, 1)
/// using var inOriginalUnits = rin.inverse(forecast);
/// </code>
/// </example>
/// </remarks>
public sealed class RINorm : NormModule
{
    private RINormStatistics? _statistics;

    /// <summary>Makes the layer with scales of one and shifts of zero.</summary>
    /// <param name="input_dim">The number of components: the size of the input's last axis.</param>
    /// <param name="eps">Added to the variance, in the input's units squared. Default: 1e-5.</param>
    /// <param name="affine">Whether there is a learned scale and shift of each component. Default: true.</param>
    /// <param name="device">Where the parameters lie. Default: torch's default device.</param>
    /// <param name="dtype">The parameters' dtype. Default: torch's default dtype.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="input_dim"/> is below 1, or <paramref name="eps"/> negative or not finite.</exception>
    public RINorm(long input_dim, double eps = 1e-5, bool affine = true, Device? device = null, ScalarType? dtype = null)
        : base(nameof(RINorm), device, dtype)
    {
        this.input_dim = Require.Positive(input_dim, nameof(input_dim));
        this.eps = eps;
        this.affine = affine;
        if (!affine)
            return;
        affine_weight = NewParameter([input_dim]);
        affine_bias = NewParameter([input_dim]);
        nn.init.ones_(affine_weight);
        nn.init.zeros_(affine_bias);
    }

    /// <summary>The number of components.</summary>
    public long input_dim { get; }

    /// <summary>Added to the variance; its square keeps <c>inverse</c> from dividing by zero.</summary>
    public double eps { get; set => field = Require.Epsilon(value); }

    /// <summary>Whether the layer has a learned scale and shift.</summary>
    public bool affine { get; }

    /// <summary>Whether the last value stands for the mean, in both directions, as in RevIN's <c>subtract_last</c>; where more than the time axis is pooled, the mean at the last time. Default: false.</summary>
    public bool subtract_last { get; set; }

    /// <summary>The least stdev, in the input's units: what varies less is not blown up. Default: 0, which leaves it to <see cref="eps"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double min_stdev { get; set => field = Require.AtLeastZero(value, nameof(min_stdev), " 0 leaves the least scale to eps."); }

    /// <summary>Whether NaN is a missing value, and what becomes of it. Default: <see cref="Missing.None"/>, as in PyTorch.</summary>
    /// <remarks>A series of which nothing was observed has the mean 0 and the stdev 1: <c>inverse</c> leaves what the network says.</remarks>
    /// <exception cref="ArgumentOutOfRangeException">No value of <see cref="Missing"/>.</exception>
    public Missing missing
    {
        get;
        set => field = Enum.IsDefined(value) ? value : throw new ArgumentOutOfRangeException(nameof(missing), value, $"missing must be Missing.None, Keep or Zero, but is {value}.");
    }

    /// <summary>The learned scale of each component, (components); null when not affine.</summary>
    /// <exception cref="ArgumentException">The assigned parameter has another size, or is not floating point.</exception>
    /// <exception cref="InvalidOperationException">The layer is not affine.</exception>
    public Parameter? affine_weight
    {
        get => ParameterNamed(nameof(affine_weight));
        set => AssignAffine(nameof(affine_weight), value);
    }

    /// <summary>The learned shift of each component, (components); null when not affine.</summary>
    /// <exception cref="ArgumentException">The assigned parameter has another size, or is not floating point.</exception>
    /// <exception cref="InvalidOperationException">The layer is not affine.</exception>
    public Parameter? affine_bias
    {
        get => ParameterNamed(nameof(affine_bias));
        set => AssignAffine(nameof(affine_bias), value);
    }

    /// <summary>The level of each series in the last <c>forward</c>, (batch, 1, ..., 1, components); null before the first. The layer's own: not to be disposed.</summary>
    public Tensor? mean => Shown(statistics => statistics.Mean);

    /// <summary>The scale of each series in the last <c>forward</c>, (batch, 1, ..., 1, components); null before the first. The layer's own: not to be disposed.</summary>
    public Tensor? stdev => Shown(statistics => statistics.Stdev);

    /// <summary>Takes the level and scale out of each series, and keeps them for <see cref="transform(Tensor)"/> and <see cref="inverse(Tensor, LikelihoodParameter[])"/>.</summary>
    /// <param name="input">(batch, time, ..., components).</param>
    /// <returns>A tensor of the input's shape.</returns>
    /// <exception cref="ArgumentException">Fewer than 3 dimensions, other components, or an input that is not floating point or on another device.</exception>
    /// <exception cref="InvalidOperationException">A parameter was registered that does not fit.</exception>
    public override Tensor forward(Tensor input)
    {
        var (output, statistics) = normalize(input);
        Keep(statistics);
        if (IsDisposed) // by another thread, meanwhile
            Keep(null);
        return output;
    }

    /// <summary>As <c>forward</c>, but gives the statistics to the caller instead of keeping them: calls in flight do not see each other's.</summary>
    /// <param name="input">(batch, time, ..., components).</param>
    /// <param name="mask">True where the input has a value, of a size that expands to the input's; null for everywhere. NaN is missing in any case.</param>
    /// <returns>A tensor of the input's shape, and the statistics, to be disposed.</returns>
    /// <exception cref="ArgumentException">As for <c>forward</c>; or a mask of another size, dtype or device.</exception>
    /// <exception cref="InvalidOperationException">There is a mask, but <see cref="missing"/> does not say what becomes of missing values.</exception>
    public (Tensor normalized, RINormStatistics statistics) normalize(Tensor input, Tensor? mask = null)
    {
        using var call = Enter();
        var (weight, bias) = Parameters(input);
        RequireSeries(input);
        using var expanded = Expanded(mask, input);
        var options = new StatisticsOptions(eps, min_stdev, subtract_last);
        var gaps = new MissingValues(missing, expanded ?? mask);
        var statistics = RINormStatistics.Of(input, options, gaps);
        try
        {
            return (new RINormOperation(statistics, options, gaps).Apply(input, weight, bias), statistics);
        }
        catch
        {
            statistics.Dispose();
            throw;
        }
    }

    /// <summary>Normalises another tensor of the same series, a decoder's input say, with the statistics of the last <c>forward</c>.</summary>
    /// <param name="input">(batch, time, ..., components), with any number of time steps.</param>
    /// <returns>A tensor of the input's shape.</returns>
    /// <exception cref="InvalidOperationException">There was no <c>forward</c> before.</exception>
    /// <exception cref="ArgumentException">Another batch size or other components than in the last <c>forward</c>.</exception>
    public Tensor transform(Tensor input)
    {
        using var call = Enter();
        var affine = Parameters(input);
        RequireSeries(input);
        return With(HeldStatistics(nameof(transform)), statistics => Transform(input, affine, statistics, mask: null));
    }

    /// <summary>Normalises another tensor of the same series with statistics of <see cref="normalize"/>.</summary>
    /// <param name="input">(batch, time, ..., components), with any number of time steps.</param>
    /// <param name="statistics">Of the batch that the input belongs to.</param>
    /// <param name="mask">True where the input has a value, of a size that expands to the input's; null for everywhere.</param>
    /// <returns>A tensor of the input's shape.</returns>
    /// <exception cref="ArgumentException">Another batch size or other components than the statistics have; or a mask of another size, dtype or device.</exception>
    /// <exception cref="InvalidOperationException">There is a mask, but <see cref="missing"/> does not say what becomes of missing values.</exception>
    public Tensor transform(Tensor input, RINormStatistics statistics, Tensor? mask = null)
    {
        using var call = Enter();
        RequireStatistics(statistics, nameof(transform));
        var affine = Parameters(input);
        RequireSeries(input);
        return With(statistics.Hold(), held => Transform(input, affine, held, mask));
    }

    /// <summary>Puts the level and scale of each series back on a forecast.</summary>
    /// <param name="input">(batch, time', ..., components, nr_params), with any number of time steps and of likelihood parameters.</param>
    /// <param name="parameters">What each of nr_params is; none for locations all of them, as in Darts.</param>
    /// <returns>A tensor of the input's shape, in the units of the input of <c>forward</c>.</returns>
    /// <exception cref="InvalidOperationException">There was no <c>forward</c> before.</exception>
    /// <exception cref="ArgumentException">The nr_params axis is missing or unlike <paramref name="parameters"/>, or another batch size or other components than in the last <c>forward</c>.</exception>
    public Tensor inverse(Tensor input, params LikelihoodParameter[] parameters)
    {
        using var call = Enter();
        var affine = Parameters(input);
        return With(HeldStatistics(nameof(inverse)), statistics => Inverse(input, affine, statistics, parameters));
    }

    /// <summary>Puts the level and scale of each series back on a forecast, with statistics of <see cref="normalize"/>.</summary>
    /// <param name="input">(batch, time', ..., components, nr_params), with any number of time steps and of likelihood parameters.</param>
    /// <param name="statistics">Of the batch that the forecast belongs to.</param>
    /// <param name="parameters">What each of nr_params is; none for locations all of them, as in Darts.</param>
    /// <returns>A tensor of the input's shape, in the units of the input of <see cref="normalize"/>.</returns>
    /// <exception cref="ArgumentException">The nr_params axis is missing or unlike <paramref name="parameters"/>, or another batch size or other components than the statistics have.</exception>
    public Tensor inverse(Tensor input, RINormStatistics statistics, params LikelihoodParameter[] parameters)
    {
        using var call = Enter();
        var affine = Parameters(input);
        RequireStatistics(statistics, nameof(inverse));
        return With(statistics.Hold(), held => Inverse(input, affine, held, parameters));
    }

    /// <inheritdoc/>
    internal override void MoveKept(ScalarType? dtype, Device? device)
    {
        if (!TryHoldStatistics(out var statistics))
            return;
        try
        {
            var targetDtype = dtype is { } d && is_floating_point(d) ? d : statistics.dtype;
            var target = device ?? statistics.Device;
            if (targetDtype == statistics.dtype && target.type == statistics.Device.type && target.index == statistics.Device.index)
                return;
            var hasValuesToMove = statistics.Device.type != DeviceType.META || target.type == DeviceType.META;
            Keep(hasValuesToMove ? statistics.Moved(targetDtype, target) : null);
        }
        finally
        {
            statistics.Release();
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
            Keep(null);
    }

    private void Keep(RINormStatistics? statistics) => Interlocked.Exchange(ref _statistics, statistics)?.Dispose();

    private static Tensor With(RINormStatistics held, Func<RINormStatistics, Tensor> compute)
    {
        try
        {
            return compute(held);
        }
        finally
        {
            held.Release();
        }
    }

    private Tensor Transform(Tensor input, (Parameter? weight, Parameter? bias) affine, RINormStatistics statistics, Tensor? mask)
    {
        if (input.dim() != statistics.Shape.Count || input.size(0) != statistics.Shape[0] || statistics.Shape[^1] != input_dim)
            throw new ArgumentException(
                $"RINorm.transform takes the series that the statistics are of, (batch, time, ..., components) with {statistics.Shape.Count} dimensions, batch {statistics.Shape[0]} and {statistics.Shape[^1]} components, "
                + $"but received {Require.Describe(input)}. Call forward on the batch that this tensor belongs to.",
                nameof(input));
        RequireDevice(input, statistics);
        using var expanded = Expanded(mask, input);
        return new RINormOperation(statistics, options: null, new(missing, expanded ?? mask)).Apply(input, affine.weight, affine.bias);
    }

    private Tensor Inverse(Tensor input, (Parameter? weight, Parameter? bias) affine, RINormStatistics statistics, LikelihoodParameter[] parameters)
    {
        var expected = statistics.Shape.Count + 1;
        if (input.dim() != expected)
            throw new ArgumentException(
                $"RINorm.inverse takes (batch, time, ..., components, nr_params), {expected} dimensions after a forward on {expected - 1}, but received {Require.Describe(input)}."
                + (input.dim() == expected - 1 ? " The nr_params axis is missing: add it with unsqueeze(-1), and take it away with squeeze(-1)." : " Keep the axes of forward's input, and add nr_params."),
                nameof(input));
        if (input.size(0) != statistics.Shape[0] || input.size(-2) != input_dim || statistics.Shape[^1] != input_dim)
            throw new ArgumentException(
                $"RINorm.inverse takes a forecast of the series that the statistics are of, with batch {statistics.Shape[0]} and {statistics.Shape[^1]} components on the last axis but one, "
                + $"but received {Require.Describe(input)}. "
                + (input.size(0) == statistics.Shape[0] && statistics.Shape[^1] == input_dim
                    ? "Forecast each component of forward's input, and put them before nr_params."
                    : "Call forward on the batch that this forecast belongs to."),
                nameof(input));
        RequireDevice(input, statistics);
        return new RINormInverseOperation(statistics, eps, Likelihood.Kinds(input, parameters)).Apply(input, affine.weight, affine.bias);
    }

    // Once for a call: another thread may assign others meanwhile.
    private (Parameter? weight, Parameter? bias) Parameters(Tensor input)
    {
        var (weight, bias) = (affine_weight, affine_bias);
        Require.Input(input, nameof(RINorm), nameof(input));
        Require.Parameter(weight, [input_dim], input, nameof(RINorm), nameof(affine_weight), nameof(input));
        Require.Parameter(bias, [input_dim], input, nameof(RINorm), nameof(affine_bias), nameof(input));
        return (weight, bias);
    }

    // Of the input's size, but for a last axis of 1, which the kernels repeat; null where it is so already, or there is none.
    private Tensor? Expanded(Tensor? mask, Tensor input)
    {
        if (mask is null)
            return null;
        if (missing == Missing.None)
            throw new InvalidOperationException(
                "RINorm with a mask needs to know what becomes of missing values, but missing is Missing.None. Set it: rin.missing = Missing.Zero (they become 0) or Missing.Keep (they stay missing, as NaN).");
        if (mask.IsInvalid)
            throw new ObjectDisposedException(nameof(mask), "RINorm takes a mask that lives, but received a disposed one. Keep it outside of the DisposeScope that ended, or move it out.");
        if (!Require.IsDense(mask))
            throw new ArgumentException($"RINorm takes a dense mask, but received one of another layout, a sparse one say, {Require.Describe(mask)}. Convert it first: mask.to_dense().", nameof(mask));
        if (mask.dtype != ScalarType.Bool || Require.AreApart(mask, input) || !CanExpand(mask, input, out var hasSize))
            throw new ArgumentException(
                $"RINorm takes a mask of dtype Bool on the input's device, true where there is a value, whose size expands to {Require.Size(input.shape)}, "
                + $"but received {Require.Describe(mask)} on {mask.device}. Compare: mask = weights > 0, and keep axes of size 1.",
                nameof(mask));
        return hasSize ? null : mask.expand([.. input.shape[..^1], mask.dim() == 0 ? 1 : mask.size(-1)]);
    }

    private static bool CanExpand(Tensor mask, Tensor input, out bool hasSize)
    {
        var dimensions = mask.dim();
        hasSize = dimensions == input.dim();
        if (dimensions > input.dim())
            return false;
        for (var axis = 1; axis <= dimensions; axis++)
        {
            var size = mask.size(-axis);
            var isSame = size == input.size(-axis);
            if (size != 1 && !isSame)
                return false;
            hasSize &= isSame || axis == 1;
        }
        return true;
    }

    private RINormStatistics HeldStatistics(string caller) =>
        TryHoldStatistics(out var statistics)
            ? statistics
            : throw new InvalidOperationException(
                $"'RINorm' object has no attribute '{(caller == nameof(inverse) ? nameof(stdev) : nameof(mean))}'. RINorm.{caller} needs the statistics of a forward, but there was none. Call forward on the network's input first.");

    private bool TryHoldStatistics([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out RINormStatistics? statistics)
    {
        // Another thread's forward may replace and free them between the read and the hold: then there are newer ones to read.
        while ((statistics = Volatile.Read(ref _statistics)) is not null)
        {
            if (statistics.TryHold())
                return true;
        }
        return false;
    }

    private Tensor? Shown(Func<RINormStatistics, Tensor> which)
    {
        RequireNotDisposed();
        return TryHoldStatistics(out var held) ? With(held, which) : null;
    }

    private void AssignAffine(string key, Parameter? value)
    {
        if (!affine)
            throw new InvalidOperationException($"RINorm has no {key}: it was made with affine: false. Make it with affine: true.");
        Assign(key, Require.Given(value, nameof(RINorm), key, [input_dim]), [input_dim]);
    }

    private void RequireSeries(Tensor input)
    {
        if (input.dim() < 3)
            throw new ArgumentException(
                $"RINorm takes (batch, time, ..., components), 3 dimensions or more, but received {Require.Describe(input)}. "
                + "With fewer, the whole batch would be pooled into one series: add the missing axis with unsqueeze.",
                nameof(input));
        if (input.size(-1) != input_dim)
            throw new ArgumentException(
                $"{Require.MustMatch(input, input_dim)}RINorm({input_dim}) takes {input_dim} components on the last axis, but received {Require.Describe(input)}. "
                + "Make the layer with the number of components, or move them to the last axis.",
                nameof(input));
    }

    private static void RequireStatistics(RINormStatistics statistics, string caller) =>
        Require.NotNull(statistics, "the statistics that normalize gave", "Pass them: var (normalized, statistics) = rin.normalize(past).", $"RINorm.{caller}");

    private static void RequireDevice(Tensor input, RINormStatistics statistics)
    {
        if (Require.AreApart(input, statistics.Values))
            throw new ArgumentException(
                $"RINorm kept its statistics on {statistics.Device}, but the input, {Require.Describe(input)}, is on {input.device}. Move one: layer.to(device), or input.to(device).", nameof(input));
    }
}
