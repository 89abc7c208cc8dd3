namespace Darts.Norm.Soak;

/// <summary>The same values, otherwise laid out in memory.</summary>
public static class Layouts
{
    /// <summary>Lies as asked, where the shape allows it. Repeated axes hold their first value everywhere.</summary>
    public static Tensor As(this Tensor tensor, Layout layout)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (shape, rank) = (tensor.shape, (int)tensor.dim());
        var laid = layout switch
        {
            Layout.Transposed when rank > 1 => tensor.transpose(0, 1).contiguous().transpose(0, 1),
            Layout.LastAxesSwapped when rank > 1 => tensor.transpose(-1, -2).contiguous().transpose(-1, -2),
            Layout.EverySecondRow when rank > 1 => Sparsely(tensor, 0),
            Layout.EverySecondValue => Sparsely(tensor, rank - 1),
            Layout.Offset => cat([zeros([3], tensor.dtype), tensor.reshape(-1), zeros([5], tensor.dtype)])[3..^5].reshape(shape),
            Layout.RepeatedRows when rank > 1 => tensor.narrow(0, 0, 1).contiguous().expand(shape),
            Layout.RepeatedValues => tensor.narrow(-1, 0, 1).contiguous().expand(shape),
            _ => tensor.alias(),
        };
        return laid.detach().MoveToOuterDisposeScope();
    }

    /// <summary>What a tensor that lies so holds, without anything between.</summary>
    public static Tensor Packed(this Tensor tensor) => tensor.detach().clone().contiguous();

    private static Tensor Sparsely(Tensor tensor, int axis)
    {
        long[] shape = [.. tensor.shape];
        shape[axis] *= 2;
        var wide = full(shape, double.NaN, dtype: tensor.dtype);
        var laid = wide.slice(axis, 1, long.MaxValue, 2);
        laid.copy_(tensor);
        return laid;
    }
}
