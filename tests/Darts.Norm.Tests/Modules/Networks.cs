using TorchSharp.Modules;

namespace Darts.Norm.Tests.Modules;

/// <summary>The networks that the recorder uses, and others.</summary>
public static class Networks
{
    /// <summary>The recorder's network.</summary>
    public sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly RINorm rin = new(4);
        private readonly Sequential block = nn.Sequential(new RMSNorm(4), nn.Linear(4, 4, hasBias: false));
        private readonly LayerNorm head = new(4);

        public Net()
            : base(nameof(Net)) => RegisterComponents();

        public RINorm Rin => rin;

        public Sequential Block => block;

        public LayerNorm Head => head;

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            return head.call(block.call(rin.call(x))).MoveToOuterDisposeScope();
        }
    }

    /// <summary>RMSNorm with its eps as extra state.</summary>
    public sealed class WithExtra : nn.Module<Tensor, Tensor>, IExtraState
    {
        private readonly Parameter g;

        public WithExtra(long dim, double eps = 1e-8)
            : base(nameof(WithExtra))
        {
            this.eps = eps;
            g = nn.Parameter(ones(dim));
            RegisterComponents();
        }

        public double eps { get; private set; }

        public Action<WithExtra>? OnSet { get; set; }

        public Tensor get_extra_state() => tensor(new[] { eps });

        public void set_extra_state(Tensor state)
        {
            eps = state.item<double>();
            OnSet?.Invoke(this);
        }

        public override Tensor forward(Tensor x) => x * g;
    }
}
