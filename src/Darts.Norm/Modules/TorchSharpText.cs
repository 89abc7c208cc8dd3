using System.Runtime.CompilerServices;
using TorchSharp.Modules;

namespace Darts.Norm;

/// <summary>The <c>extra_repr</c> of TorchSharp's own modules, as far as they tell what they were made with.</summary>
internal static class TorchSharpText
{
    public static string ExtraRepr(nn.Module module) => module switch
    {
        Linear m => $"in_features={m.in_features}, out_features={m.out_features}, bias={Bool(m.bias is not null)}",
        Bilinear m => $"in1_features={m.in1_features}, in2_features={m.in2_features}, out_features={m.out_features}, bias={Bool(m.bias is not null)}",
        Convolution m => Convolved(m),
        TorchSharp.Modules.LayerNorm m => $"{PythonText.Tuple(m.normalized_shape)}, eps={Float(m.eps)}, elementwise_affine={Bool(m.elementwise_affine)}, bias={Bool(m.bias is not null)}",
        GroupNorm { weight: { } weight } m => $"{m.num_groups}, {weight.size(0)}, eps={Float(m.eps)}, affine={Bool(m.affine)}",
        NormBase m => $"{m.num_features}, eps={Float(m.eps)}, momentum={(m.momentum is { } momentum ? Float(momentum) : "None")}, affine={Bool(m.affine)}, track_running_stats={Bool(m.track_running_stats)}",
        LocalResponseNorm m => $"{m.size}, alpha={Float(m.alpha)}, beta={Float(m.beta)}, k={Float(m.k)}",

        Dropout m => Dropped(m.p, m.inplace),
        Dropout1d m => Dropped(m.p, m.inplace),
        Dropout2d m => Dropped(m.p, m.inplace),
        Dropout3d m => Dropped(m.p, m.inplace),
        AlphaDropout m => Dropped(m.p, m.inplace),
        FeatureAlphaDropout m => Dropped(m.p, m.inplace),

        ReLU { inplace: true } or ReLU6 { inplace: true } or SELU { inplace: true } or SiLU { inplace: true } or Mish { inplace: true } => "inplace=True",
        ELU m => $"alpha={Float(m.alpha)}{InPlace(m.inplace)}",
        CELU m => $"alpha={Float(m.alpha)}{InPlace(m.inplace)}",
        LeakyReLU m => $"negative_slope={Float(m.negative_slope)}{InPlace(m.inplace)}",
        RReLU m => $"lower={Float(m.lower)}, upper={Float(m.upper)}{InPlace(m.inplace)}",
        Hardtanh m => $"min_val={Float(m.min_val)}, max_val={Float(m.max_val)}{InPlace(m.inplace)}",
        Threshold m => $"threshold={Float(m.threshold)}, value={Float(m.value)}{InPlace(m.inplace)}",
        Softplus m => $"beta={Float(m.beta)}, threshold={Float(m.threshold)}",
        Hardshrink m => Float(m.lambda),
        Softshrink m => Float(m.lambda),
        GELU m => $"approximate='{m.approximate.ToString().ToLowerInvariant()}'",
        PReLU m => $"num_parameters={m.num_parameters}",
        Softmax m => $"dim={m.dim}",
        Softmin m => $"dim={m.dim}",
        LogSoftmax m => $"dim={m.dim}",
        GLU m => $"dim={m.dim}",

        Embedding m => $"{m.weight!.size(0)}, {m.weight.size(1)}",
        EmbeddingBag m => $"{m.weight!.size(0)}, {m.weight.size(1)}",
        LSTM or GRU or RNN => Recurrent(module),
        LSTMCell m => Cell(m.weight_ih!, m.weight_hh!, m.bias_ih),
        GRUCell m => Cell(m.weight_ih!, m.weight_hh!, m.bias_ih),
        RNNCell m => Cell(m.weight_ih!, m.weight_hh!, m.bias_ih),

        MaxPool1d m => MaxPooled([m.kernel_size], m.stride, m.padding, m.dilation, m.ceil_mode),
        MaxPool2d m => MaxPooled(m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode),
        MaxPool3d m => MaxPooled(m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode),
        AvgPool1d m => $"kernel_size=({m.kernel_size},), stride=({m.stride ?? m.kernel_size},), padding=({m.padding ?? 0},)",
        AvgPool2d m => $"kernel_size={Sizes(m.kernel_size)}, stride={Sizes(m.stride ?? m.kernel_size)}, padding={Sizes(m.padding ?? [0])}",
        AvgPool3d m => $"kernel_size={Sizes(m.kernel_size)}, stride={Sizes(m.stride ?? m.kernel_size)}, padding={Sizes(m.padding ?? [0])}",
        AdaptiveAvgPool1d m => $"output_size={m.output_size}",
        AdaptiveAvgPool2d m => $"output_size={Sizes(m.output_size)}",
        AdaptiveAvgPool3d m => $"output_size={Sizes(m.output_size)}",
        AdaptiveMaxPool1d m => $"output_size={m.output_size}",
        AdaptiveMaxPool2d m => $"output_size={Sizes(m.output_size)}",
        AdaptiveMaxPool3d { output_size: { } size } => $"output_size={Sizes(size)}", // which TorchSharp 0.107 leaves null

        LPPool1d m => PowerPooled(m.norm_type, [m.kernel_size], m.stride is { } stride ? [stride] : null, m.ceil_mode),
        LPPool2d m => PowerPooled(m.norm_type, m.kernel_size, m.stride, m.ceil_mode),
        MaxUnpool1d m => Unpooled([m.kernel_size], m.stride is { } stride ? [stride] : null, m.padding is { } padding ? [padding] : null),
        MaxUnpool2d m => Unpooled(m.kernel_size, m.stride, m.padding),
        MaxUnpool3d m => Unpooled(m.kernel_size, m.stride, m.padding),
        Upsample m => $"{Upsampled(m)}, mode='{m.mode.ToString().ToLowerInvariant()}'",

        Flatten m => $"start_dim={m.start_dim}, end_dim={m.end_dim}",
        Unflatten m => $"dim={m.dim}, unflattened_size={PythonText.Tuple(m.unflattened_size)}",
        ChannelShuffle m => $"groups={m.groups}",
        PixelShuffle m => $"upscale_factor={m.upscale_factor}",
        PixelUnshuffle m => $"downscale_factor={m.downscale_factor}",
        Fold m => $"output_size={m.output_size}, kernel_size={m.kernel_size}, dilation={m.dilation}, padding={m.padding}, stride={m.stride}",
        Unfold m => $"kernel_size={m.kernel_size}, dilation={m.dilation}, padding={m.padding}, stride={m.stride}",
        ConstantPad1d or ConstantPad2d or ConstantPad3d => $"padding={PythonText.Tuple(((PadBase)module).padding)}, value={Float(((PadBase)module).value)}",
        PadBase m => PythonText.Tuple(m.padding),
        ParameterList => Listed(module, parameter => PythonText.Dtype(parameter.dtype)),
        ParameterDict => Listed(module, PythonText.TensorType),
        _ => "",
    };

    private static string Listed(nn.Module module, Func<Tensor, string> type) => string.Join('\n', Registry.Parameters(module).Select(entry =>
    {
        var (name, parameter) = entry;
        var device = parameter.device_type == DeviceType.CUDA ? $" ({parameter.device})" : "";
        return $"  ({name}): Parameter containing: [{type(parameter)} of size {string.Join('x', parameter.shape)}{device}]";
    }));

    private static string Convolved(Convolution m)
    {
        var text = $"{m.in_channels}, {m.out_channels}, kernel_size={PythonText.Tuple(m.kernel_size)}, stride={PythonText.Tuple(m.stride)}";
        if (m.padding_type is { } type)
            text += $", padding={type.ToString().ToLowerInvariant()}";
        else if (m.padding is { } padding && padding.Any(size => size != 0))
            text += $", padding={PythonText.Tuple(padding)}";
        if (m.dilation.Any(size => size != 1))
            text += $", dilation={PythonText.Tuple(m.dilation)}";
        if (m.output_padding is { } outputPadding && outputPadding.Any(size => size != 0))
            text += $", output_padding={PythonText.Tuple(outputPadding)}";
        if (m.groups != 1)
            text += $", groups={m.groups}";
        if (m.bias is null)
            text += ", bias=False";
        return m.padding_mode == PaddingModes.Zeros ? text : $"{text}, padding_mode={m.padding_mode.ToString().ToLowerInvariant()}";
    }

    // What a recurrent network was made with shows in its weights, but for batch_first, which TorchSharp keeps to itself, and dropout, which it does not keep.
    private static string Recurrent(nn.Module module)
    {
        var parameters = Registry.Parameters(module).ToDictionary(entry => entry.name, entry => entry.parameter);
        var text = $"{parameters["weight_ih_l0"].size(1)}, {parameters["weight_hh_l0"].size(1)}";
        var layers = Enumerable.Range(0, parameters.Count).TakeWhile(layer => parameters.ContainsKey($"weight_ih_l{layer}")).Count();
        if (layers != 1)
            text += $", num_layers={layers}";
        if (!parameters.ContainsKey("bias_ih_l0"))
            text += ", bias=False";
        if (IsBatchFirst(module))
            text += ", batch_first=True";
        return parameters.ContainsKey("weight_ih_l0_reverse") ? $"{text}, bidirectional=True" : text;
    }

    private static bool IsBatchFirst(nn.Module module)
    {
        try
        {
            return module switch
            {
                LSTM lstm => BatchFirst(lstm),
                GRU gru => BatchFirst(gru),
                _ => BatchFirst((RNN)module),
            };
        }
        catch (MissingFieldException) // another version of TorchSharp
        {
            return false;
        }
    }

    private static string Cell(Tensor input, Tensor hidden, Tensor? bias) => $"{input.size(1)}, {hidden.size(1)}{(bias is null ? ", bias=False" : "")}";

    private static string MaxPooled(long[] kernel, long? stride, long? padding, long? dilation, bool ceil) =>
        MaxPooled(kernel, stride is { } s ? [s] : null, padding is { } p ? [p] : null, dilation is { } d ? [d] : null, ceil);

    private static string MaxPooled(long[] kernel, long[]? stride, long[]? padding, long[]? dilation, bool ceil) =>
        $"kernel_size={Sizes(kernel)}, stride={Sizes(stride ?? kernel)}, padding={Sizes(padding ?? [0])}, dilation={Sizes(dilation ?? [1])}, ceil_mode={Bool(ceil)}";

    // PyTorch keeps the exponent as it was given, which is an integer mostly.
    private static string PowerPooled(double power, long[] kernel, long[]? stride, bool ceil) =>
        $"norm_type={(double.IsInteger(power) ? $"{power:F0}" : Float(power))}, kernel_size={Sizes(kernel)}, stride={(stride is null ? "None" : Sizes(stride))}, ceil_mode={Bool(ceil)}";

    private static string Unpooled(long[] kernel, long[]? stride, long[]? padding) =>
        $"kernel_size={PythonText.Tuple(kernel)}, stride={PythonText.Tuple(stride ?? kernel)}, padding={PythonText.Tuple(padding ?? new long[kernel.Length])}";

    private static string Upsampled(Upsample m)
    {
        var factors = m.scale_factor.ToArray();
        if (factors.Length > 0)
            return $"scale_factor={(factors.Distinct().Count() == 1 ? Float(factors[0]) : $"({string.Join(", ", factors.Select(Float))})")}";
        return $"size={(m.size.IsEmpty ? "None" : Sizes(m.size.ToArray()))}";
    }

    // TorchSharp keeps one number for all axes as a number for each.
    private static string Sizes(long[] sizes) => sizes.Distinct().Count() == 1 ? $"{sizes[0]}" : PythonText.Tuple(sizes);

    private static string Dropped(double p, bool inplace) => $"p={Float(p)}, inplace={Bool(inplace)}";

    private static string InPlace(bool inplace) => inplace ? ", inplace=True" : "";

    private static string Float(double value) => PythonText.Float(value);

    private static string Bool(bool value) => PythonText.Bool(value);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_batch_first")]
    private static extern ref bool BatchFirst(LSTM module);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_batch_first")]
    private static extern ref bool BatchFirst(GRU module);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_batch_first")]
    private static extern ref bool BatchFirst(RNN module);
}
