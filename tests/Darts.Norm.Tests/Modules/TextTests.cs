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
        { "ConvTranspose1d(2, 3, kernel_size=(4,), stride=(2,), output_padding=(1,))", () => nn.ConvTranspose1d(2, 3, 4L, stride: 2, output_padding: 1) },
        { "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)", () => nn.BatchNorm1d(3) },
        { "InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)", () => nn.InstanceNorm1d(3) },
        { "GroupNorm(2, 4, eps=1e-05, affine=True)", () => nn.GroupNorm(2, 4) },
        { "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)", () => nn.LayerNorm(4) },
        { "Dropout(p=0.1, inplace=False)", () => nn.Dropout(0.1) },
        { "ReLU()", () => nn.ReLU() },
        { "ReLU(inplace=True)", () => nn.ReLU(inplace: true) },
        { "ELU(alpha=1.0)", () => nn.ELU() },
        { "LeakyReLU(negative_slope=0.2, inplace=True)", () => nn.LeakyReLU(0.2, inplace: true) },
        { "Hardtanh(min_val=-1.0, max_val=1.0)", () => nn.Hardtanh() },
        { "GELU(approximate='none')", () => nn.GELU() },
        { "Softmax(dim=1)", () => nn.Softmax(1) },
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
        { "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)", () => nn.MaxPool2d(2L) },
        { "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))", () => nn.AvgPool1d(2L) },
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
