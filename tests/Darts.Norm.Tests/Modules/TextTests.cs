namespace Darts.Norm.Tests.Modules;

/// <summary>A network's text is PyTorch's tree.</summary>
public sealed class TextTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, Func<nn.Module>> TorchSharps => new()
    {
        { "Linear(in_features=4, out_features=2, bias=False)", () => nn.Linear(4, 2, hasBias: false) },
        { "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)", () => nn.Bilinear(2, 3, 4) },
        { "Conv1d(2, 3, kernel_size=(5,), stride=(1,))", () => nn.Conv1d(2, 3, 5L) },
        { "Conv1d(2, 4, kernel_size=(5,), stride=(2,), padding=(1,), dilation=(2,), groups=2, bias=False)", () => nn.Conv1d(2, 4, 5L, stride: 2, padding: 1, dilation: 2, groups: 2, bias: false) },
        { "Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1), padding=same)", () => nn.Conv2d(2, 3, 3L, padding: Padding.Same) },
        { "Conv1d(2, 3, kernel_size=(3,), stride=(1,), padding=(1,), padding_mode=reflect)", () => nn.Conv1d(2, 3, 3L, padding: 1, padding_mode: PaddingModes.Reflect) },
        { "Conv2d(2, 3, kernel_size=(3, 1), stride=(1, 1), padding=(1, 0))", () => nn.Conv2d(2, 3, (3, 1), padding: (1, 0)) },
        { "ConvTranspose1d(2, 3, kernel_size=(4,), stride=(2,), output_padding=(1,))", () => nn.ConvTranspose1d(2, 3, 4L, stride: 2, output_padding: 1) },
        { "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)", () => nn.BatchNorm1d(3) },
        { "InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)", () => nn.InstanceNorm1d(3) },
        { "GroupNorm(2, 4, eps=1e-05, affine=True)", () => nn.GroupNorm(2, 4) },
        { "BatchNorm1d(3, eps=0.1, momentum=0.2, affine=False, track_running_stats=False)", () => nn.BatchNorm1d(3, eps: 0.1, momentum: 0.2, affine: false, track_running_stats: false) },
        { "LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)", () => nn.LocalResponseNorm(2) },
        { "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)", () => nn.LayerNorm(4) },
        { "Dropout(p=0.1, inplace=False)", () => nn.Dropout(0.1) },
        { "Dropout1d(p=0.5, inplace=True)", () => nn.Dropout1d(0.5, inplace: true) },
        { "Dropout2d(p=0.5, inplace=False)", () => nn.Dropout2d() },
        { "Dropout3d(p=0.25, inplace=False)", () => nn.Dropout3d(0.25) },
        { "AlphaDropout(p=0.5, inplace=False)", () => nn.AlphaDropout() },
        { "FeatureAlphaDropout(p=0.5, inplace=False)", () => nn.FeatureAlphaDropout() },
        { "ReLU()", () => nn.ReLU() },
        { "ReLU(inplace=True)", () => nn.ReLU(inplace: true) },
        { "ELU(alpha=1.0)", () => nn.ELU() },
        { "CELU(alpha=2.0, inplace=True)", () => nn.CELU(2, inplace: true) },
        { "RReLU(lower=0.125, upper=0.3333333333333333)", () => nn.RReLU() },
        { "Threshold(threshold=0.1, value=20.0)", () => nn.Threshold(0.1, 20) },
        { "Hardshrink(0.5)", () => nn.Hardshrink() },
        { "Softshrink(0.25)", () => nn.Softshrink(0.25) },
        { "ReLU6(inplace=True)", () => nn.ReLU6(inplace: true) },
        { "SELU(inplace=True)", () => nn.SELU(inplace: true) },
        { "SiLU(inplace=True)", () => nn.SiLU(inplace: true) },
        { "Mish(inplace=True)", () => nn.Mish(inplace: true) },
        { "Mish()", () => nn.Mish() },
        { "LeakyReLU(negative_slope=0.2, inplace=True)", () => nn.LeakyReLU(0.2, inplace: true) },
        { "Hardtanh(min_val=-1.0, max_val=1.0)", () => nn.Hardtanh() },
        { "GELU(approximate='none')", () => nn.GELU() },
        { "Softmax(dim=1)", () => nn.Softmax(1) },
        { "Softmin(dim=1)", () => nn.Softmin(1) },
        { "LogSoftmax(dim=-1)", () => nn.LogSoftmax(-1) },
        { "GLU(dim=-1)", () => nn.GLU() },
        { "Softplus(beta=1.0, threshold=20.0)", () => nn.Softplus() },
        { "PReLU(num_parameters=1)", () => nn.PReLU(1) },
        { "Sigmoid()", () => nn.Sigmoid() },
        { "Tanh()", () => nn.Tanh() },
        { "Identity()", () => nn.Identity() },
        { "Flatten(start_dim=1, end_dim=-1)", () => nn.Flatten() },
        { "Embedding(10, 3)", () => nn.Embedding(10, 3) },
        { "LSTM(2, 3)", () => nn.LSTM(2, 3) },
        { "GRU(2, 3, num_layers=2, bias=False, batch_first=True, bidirectional=True)", () => nn.GRU(2, 3, numLayers: 2, bias: false, batchFirst: true, bidirectional: true) },
        { "RNN(2, 3, batch_first=True)", () => nn.RNN(2, 3, batchFirst: true) },
        { "LSTMCell(2, 3)", () => nn.LSTMCell(2, 3) },
        { "GRUCell(2, 3, bias=False)", () => nn.GRUCell(2, 3, bias: false) },
        { "RNNCell(2, 3)", () => nn.RNNCell(2, 3) },
        { "MaxPool1d(kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True)", () => nn.MaxPool1d(3, stride: 2, padding: 1, dilation: 2, ceil_mode: true) },
        { "MaxPool1d(kernel_size=3, stride=3, padding=0, dilation=1, ceil_mode=False)", () => nn.MaxPool1d(3) },
        { "MaxPool2d(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), dilation=1, ceil_mode=False)", () => nn.MaxPool2d((3, 2), (2, 1), (1, 0)) },
        { "MaxPool3d(kernel_size=2, stride=1, padding=0, dilation=1, ceil_mode=False)", () => nn.MaxPool3d(2L, 1L) },
        { "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)", () => nn.MaxPool2d(2L) },
        { "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))", () => nn.AvgPool1d(2L) },
        { "AvgPool1d(kernel_size=(3,), stride=(2,), padding=(1,))", () => nn.AvgPool1d(3L, 2L, 1L) },
        { "AvgPool2d(kernel_size=2, stride=2, padding=0)", () => nn.AvgPool2d(2L) },
        { "AvgPool2d(kernel_size=(3, 2), stride=(2, 1), padding=1)", () => nn.AvgPool2d((3, 2), (2, 1), (1, 1)) },
        { "AvgPool3d(kernel_size=3, stride=2, padding=1)", () => nn.AvgPool3d(3L, 2L, 1L) },
        { "AvgPool3d(kernel_size=3, stride=3, padding=0)", () => nn.AvgPool3d(3L) },
        { "LPPool1d(norm_type=1.2, kernel_size=3, stride=2, ceil_mode=True)", () => nn.LPPool1d(1.2, 3, 2, ceil_mode: true) },
        { "LPPool1d(norm_type=inf, kernel_size=3, stride=None, ceil_mode=False)", () => nn.LPPool1d(double.PositiveInfinity, 3) },
        { "LPPool2d(norm_type=2, kernel_size=3, stride=2, ceil_mode=False)", () => nn.LPPool2d(2, 3, 2) },
        { "LPPool2d(norm_type=2, kernel_size=(3, 2), stride=None, ceil_mode=False)", () => nn.LPPool2d(2, [3, 2]) },
        { "MaxUnpool1d(kernel_size=(3,), stride=(3,), padding=(0,))", () => nn.MaxUnpool1d(3) },
        { "MaxUnpool1d(kernel_size=(3,), stride=(2,), padding=(1,))", () => nn.MaxUnpool1d(3, 2, 1) },
        { "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))", () => nn.MaxUnpool2d(2L) },
        { "MaxUnpool3d(kernel_size=(2, 3, 4), stride=(1, 2, 3), padding=(0, 1, 1))", () => nn.MaxUnpool3d((2, 3, 4), (1, 2, 3), (0, 1, 1)) },
        { "Upsample(scale_factor=2.0, mode='nearest')", () => nn.Upsample(scale_factor: [2, 2]) },
        { "Upsample(scale_factor=(2.0, 1.5), mode='bilinear')", () => nn.Upsample(scale_factor: [2, 1.5], mode: UpsampleMode.Bilinear) },
        { "Upsample(size=(4, 5), mode='bicubic')", () => nn.Upsample(size: [4, 5], mode: UpsampleMode.Bicubic) },
        { "Upsample(size=4, mode='linear')", () => nn.Upsample(size: [4], mode: UpsampleMode.Linear) },
        { "AdaptiveAvgPool2d(output_size=(5, 7))", () => nn.AdaptiveAvgPool2d((5, 7)) },
        { "AdaptiveAvgPool3d(output_size=(5, 7, 9))", () => nn.AdaptiveAvgPool3d((5, 7, 9)) },
        { "AdaptiveMaxPool1d(output_size=5)", () => nn.AdaptiveMaxPool1d(5) },
        { "AdaptiveMaxPool2d(output_size=(5, 7))", () => nn.AdaptiveMaxPool2d([5, 7]) },
        { "Unflatten(dim=1, unflattened_size=(2, 3))", () => nn.Unflatten(1, [2, 3]) },
        { "ChannelShuffle(groups=2)", () => nn.ChannelShuffle(2) },
        { "PixelShuffle(upscale_factor=3)", () => nn.PixelShuffle(3) },
        { "PixelUnshuffle(downscale_factor=3)", () => nn.PixelUnshuffle(3) },
        { "Fold(output_size=(4, 5), kernel_size=(2, 2), dilation=(1, 1), padding=(0, 0), stride=(1, 1))", () => nn.Fold((4, 5), (2, 2)) },
        { "Unfold(kernel_size=(2, 3), dilation=(1, 1), padding=(0, 0), stride=(1, 1))", () => nn.Unfold((2, 3)) },
        { "ConstantPad1d(padding=(3, 1), value=3.5)", () => nn.ConstantPad1d((3, 1), 3.5) },
        { "ZeroPad2d((1, 1, 2, 0))", () => nn.ZeroPad2d((1, 1, 2, 0)) },
        { "ReflectionPad1d((2, 2))", () => nn.ReflectionPad1d(2) },
        { "AdaptiveAvgPool1d(output_size=4)", () => nn.AdaptiveAvgPool1d(4) },
        { "MSELoss()", () => nn.MSELoss() },
    };

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(TorchSharps))]
    public void Text_OfTorchSharpsModules_IsPyTorchs(string text, Func<nn.Module> make)
    {
        make().pytorch().text().Should().Be(text);
        make().pytorch().ToString().Should().Be(text);
    }

    [Fact]
    public void Text_OfWhatTorchSharpKeepsToItself_LeavesItOut()
    {
        nn.EmbeddingBag(10, 3).pytorch().text().Should().Be("EmbeddingBag(10, 3)", "the mode is not told");
        nn.GroupNorm(2, 4, affine: false).pytorch().text().Should().Be("GroupNorm()", "the number of channels is not told");
        var pool = nn.AdaptiveMaxPool3d([5, 7, 9]);
        pool.pytorch().text().Should().Be("AdaptiveMaxPool3d()");
        pool.output_size = [5, 7, 9];
        pool.pytorch().text().Should().Be("AdaptiveMaxPool3d(output_size=(5, 7, 9))");
        var norm = nn.BatchNorm1d(3);
        norm.momentum = null;
        norm.pytorch().text().Should().Be("BatchNorm1d(3, eps=1e-05, momentum=None, affine=True, track_running_stats=True)");
    }

    [Fact]
    public void Text_OfParameterListsAndDictionaries_ListsTheParameters()
    {
        nn.ParameterList().pytorch().text().Should().Be("ParameterList()");
        nn.ParameterList(nn.Parameter(zeros(4, 3))).pytorch().text().Should().Be("ParameterList(  (0): Parameter containing: [torch.float32 of size 4x3])", "PyTorch puts a single line beside the name");
        nn.ParameterList(nn.Parameter(zeros(4)), nn.Parameter(zeros(2, 2, dtype: ScalarType.Float64))).pytorch().text().Should().Be(
            "ParameterList(\n    (0): Parameter containing: [torch.float32 of size 4]\n    (1): Parameter containing: [torch.float64 of size 2x2]\n)");
        var types = new Dictionary<ScalarType, string>
        {
            [ScalarType.Byte] = "Byte",
            [ScalarType.Int8] = "Char",
            [ScalarType.Int16] = "Short",
            [ScalarType.Int32] = "Int",
            [ScalarType.Int64] = "Long",
            [ScalarType.Bool] = "Bool",
            [ScalarType.Float16] = "Half",
            [ScalarType.BFloat16] = "BFloat16",
            [ScalarType.Float32] = "Float",
            [ScalarType.Float64] = "Double",
            [ScalarType.ComplexFloat32] = "ComplexFloat",
            [ScalarType.ComplexFloat64] = "ComplexDouble",
        };
        foreach (var (dtype, type) in types)
            nn.ParameterDict(("a", new TorchSharp.Modules.Parameter(zeros(2, dtype: dtype), requires_grad: false))).pytorch().text().Should().Be($"ParameterDict(  (a): Parameter containing: [torch.{type}Tensor of size 2])");
    }

    [Fact]
    public void Text_OfANetwork_IsATree() => new Networks.Net().pytorch().text().Should().Be(
        """
        Net(
          (rin): RINorm()
          (block): Sequential(
            (0): RMSNorm()
            (1): Linear(in_features=4, out_features=4, bias=False)
          )
          (head): LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)
        )
        """.ReplaceLineEndings("\n"));

    [Fact]
    public void Text_OfAList_FoldsEqualNeighbours()
    {
        nn.Module Block(long size) => nn.Sequential(new RMSNorm(size), nn.Linear(size, size));
        nn.ModuleList<nn.Module>(new RMSNorm(1), new RMSNorm(2), new RMSNorm(3), new RINorm(4), Block(2), Block(2), Block(3)).pytorch().text().Should().Be(
            """
            ModuleList(
              (0-2): 3 x RMSNorm()
              (3): RINorm()
              (4-5): 2 x Sequential(
                (0): RMSNorm()
                (1): Linear(in_features=2, out_features=2, bias=True)
              )
              (6): Sequential(
                (0): RMSNorm()
                (1): Linear(in_features=3, out_features=3, bias=True)
              )
            )
            """.ReplaceLineEndings("\n"));
        nn.ModuleList<RMSNorm>().pytorch().text().Should().Be("ModuleList()");
        nn.Sequential(new RMSNorm(1), new RMSNorm(1)).pytorch().text().Should().Be("Sequential(\n  (0): RMSNorm()\n  (1): RMSNorm()\n)", "PyTorch folds lists alone");
    }

    [Fact]
    public void Text_OfDictionariesAndOnesOwn_IsPyTorchs()
    {
        nn.ModuleDict<RMSNorm>(("a", new RMSNorm(1)), ("b", new RMSNorm(1))).pytorch().text().Should().Be("ModuleDict(\n  (a): RMSNorm()\n  (b): RMSNorm()\n)");
        new Scale(2).pytorch().text().Should().Be("Scale(by=2.0)");
        new Scale(2).pytorch().extra_repr().Should().Be("by=2.0");
        new Scale(2).extra_repr().Should().Be("by=2.0");
        nn.Linear(2, 3).extra_repr().Should().Be("in_features=2, out_features=3, bias=True");
        var lines = new Scale(3, "\nand=more");
        lines.pytorch().text().Should().Be("Scale(\n  by=3.0\n  and=more\n)");
        lines.pytorch().add_module("norm", new RMSNorm(2));
        lines.pytorch().text().Should().Be("Scale(\n  by=3.0\n  and=more\n  (norm): RMSNorm()\n)");
        Reversible.wrap(nn.Linear(2, 2), new RINorm(2)).pytorch().text().Should().StartWith("ReversibleNetwork(\n  (rin): RINorm()\n  (network): Linear(");
        var norm = new LayerNorm(2);
        norm.pytorch().add_module("sub", new RMSNorm(2));
        norm.ToString().Should().Be("LayerNorm(\n  (2,), eps=1e-05, elementwise_affine=True, bias=True\n  (sub): RMSNorm()\n)");
    }

    private sealed class Scale(double by, string more = "") : nn.Module<Tensor, Tensor>(nameof(Scale)), IExtraRepr
    {
        public string extra_repr() => $"by={PythonText.Float(by)}{more}";

        public override Tensor forward(Tensor x) => x * by;
    }
}
