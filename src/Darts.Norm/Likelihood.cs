using Darts.Norm.Kernels;

namespace Darts.Norm;

/// <summary>Puts level and scale back on each parameter of a distribution, by what it is.</summary>
internal static class Likelihood
{
    public static Tensor Inverse(
        Tensor z, RINormStatistics statistics, Tensor? affine_weight, Tensor? affine_bias, double eps, LikelihoodParameter[] parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var location = new DestandardizeOperation(statistics, eps);
        if (parameters.Length == 0)
            return location.Apply(z, affine_weight, affine_bias);
        if (parameters.Length != z.size(-1))
            throw new ArgumentException(
                $"RINorm.inverse takes one LikelihoodParameter for each on the last axis, or none, but received {parameters.Length} for {Require.Describe(z)}.", nameof(parameters));
        if (parameters.All(parameter => parameter == LikelihoodParameter.Location))
            return location.Apply(z, affine_weight, affine_bias);

        using var scope = NewDisposeScope();
        var dtype = location.ResultDtype(z, affine_weight, affine_bias);
        var factor = statistics.Values.select(0, 2);
        if (affine_weight is not null)
            factor = factor / (affine_weight.to(ScalarType.Float64) + (eps * eps)).abs();
        factor = factor.unsqueeze(-1);
        return cat([.. parameters.Select(One)], -1).MoveToOuterDisposeScope();

        Tensor One(LikelihoodParameter parameter, int index)
        {
            var one = z.narrow(-1, index, 1);
            return parameter switch
            {
                LikelihoodParameter.Location => location.Apply(one, affine_weight, affine_bias),
                LikelihoodParameter.Scale => (one.to(ScalarType.Float64) * factor).to(dtype),
                LikelihoodParameter.Variance => (one.to(ScalarType.Float64) * factor.square()).to(dtype),
                LikelihoodParameter.LogScale => (one.to(ScalarType.Float64) + factor.log()).to(dtype),
                LikelihoodParameter.Probability or LikelihoodParameter.Shape => one.to(dtype),
                _ => throw new ArgumentOutOfRangeException(nameof(parameters), parameter, $"There is no LikelihoodParameter {parameter}."),
            };
        }
    }
}
