namespace Darts.Norm;

/// <summary>What a caller of <c>inverse</c> says that the parameters of a distribution are.</summary>
internal static class Likelihood
{
    private static readonly LikelihoodParameter[] Locations = [LikelihoodParameter.Location];

    /// <summary>What each parameter on the last axis of <paramref name="z"/> is, or one for all of them.</summary>
    public static LikelihoodParameter[] Kinds(Tensor z, LikelihoodParameter[] parameters)
    {
        Require.NotNull(parameters, "what each parameter on the last axis is", "Leave them out for locations.", "RINorm.inverse");
        if (parameters.Length == 0)
            return Locations;
        if (parameters.Length != z.size(-1))
            throw new ArgumentException(
                $"RINorm.inverse takes one LikelihoodParameter for each on the last axis, or none, but received {parameters.Length} for {Require.Describe(z)}. Say what each is, or leave them out for locations.", nameof(parameters));
        RequireDefined(parameters, "RINorm.inverse", nameof(parameters));
        return Array.TrueForAll(parameters, parameter => parameter == parameters[0]) ? parameters[..1] : [.. parameters];
    }

    public static void RequireDefined(LikelihoodParameter[] parameters, string caller, string argument)
    {
        foreach (var parameter in parameters)
        {
            if (!Enum.IsDefined(parameter))
                throw new ArgumentOutOfRangeException(argument, parameter, $"{caller} takes values of LikelihoodParameter, but received {parameter}. Choose one of {string.Join(", ", Enum.GetNames<LikelihoodParameter>())}.");
        }
    }
}
