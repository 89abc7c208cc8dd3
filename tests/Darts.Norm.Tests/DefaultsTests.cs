namespace Darts.Norm.Tests;

/// <summary>The process's default dtype and device, which a layer without its own takes.</summary>
[Collection(nameof(Alone))]
public sealed class DefaultsTests
{
    public static TheoryData<string> NamesWithParameters => Layers.NamesWithParameters;

    /// <summary>Tensors that a layer makes on the way must be made on the input's device, not on the default one.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ForwardAndBackward_OnTheCpuWithAnotherDefaultDevice_AreThoseOfTheCpu(bool createGraph)
    {
        foreach (var layer in Layers.All.Values)
        {
            using var scope = NewDisposeScope();
            using var norm = layer.New();
            var shape = layer.Shapes[0];
            foreach (var x in (Tensor[])[Layers.Values(shape), Layers.Values([.. shape.Reverse()]).permute([.. Enumerable.Range(0, shape.Length).Reverse().Select(axis => (long)axis)])])
            {
                x.requires_grad_();
                var gradOutput = Layers.Values(shape, start: 30);
                var expected = Gradients();
                try
                {
                    set_default_device(META);
                    foreach (var (actual, other) in Gradients().Zip(expected))
                        Layers.SameBits(actual, other).Should().BeTrue(layer.Name);
                }
                finally
                {
                    set_default_device(CPU);
                }

                Tensor[] Gradients()
                {
                    var y = norm.call(x);
                    return [y, .. autograd.grad([y], [x, .. norm.parameters()], [gradOutput], create_graph: createGraph)];
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Constructor_NoDtypeOrDevice_TakesThoseSetForTheProcess(string name)
    {
        try
        {
            set_default_dtype(ScalarType.Float64);
            set_default_device(META);
            using var layer = Layers.All[name].Make(null, null);
            layer.parameters().All(parameter => parameter.dtype == ScalarType.Float64 && parameter.device_type == DeviceType.META).Should().BeTrue();
            using var explicitly = Layers.All[name].Make(CPU, ScalarType.Float16);
            explicitly.parameters().All(parameter => parameter.dtype == ScalarType.Float16 && parameter.device_type == DeviceType.CPU).Should().BeTrue();
        }
        finally
        {
            set_default_dtype(ScalarType.Float32);
            set_default_device(CPU);
        }
    }
}
