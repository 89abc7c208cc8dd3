namespace Darts.Norm.Tests;

/// <summary>What is particular to LayerNormNoBias.</summary>
public sealed class LayerNormNoBiasTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Layer_IsALayerNormWithoutParameters()
    {
        LayerNorm norm = new LayerNormNoBias(input_size: 4, eps: 1e-3);
        norm.eps.Should().Be(1e-3);
        new LayerNormNoBias([4]).eps.Should().Be(1e-5);
        norm.elementwise_affine.Should().BeFalse();
        (norm.weight is null && norm.bias is null).Should().BeTrue();
        norm.parameters().Should().BeEmpty();
        norm.normalized_shape.Should().Equal(4);
    }

    [Fact]
    public void Forward_EveryDtypeOfTheInput_IsTheOneOfALayerNormNotAffine()
    {
        foreach (var made in Layers.Dtypes)
        {
            foreach (var dtype in Layers.Dtypes)
            {
                var x = Layers.Values([3, 2, 4], dtype);
                var y = new LayerNormNoBias([2, 4], dtype: made).forward(x);
                y.dtype.Should().Be(dtype, "there is no parameter to promote with");
                Layers.SameBits(y, new LayerNorm([2, 4], elementwise_affine: false).forward(x)).Should().BeTrue();
            }
        }
    }
}
