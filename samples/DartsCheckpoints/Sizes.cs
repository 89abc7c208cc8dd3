namespace DartsCheckpoints;

/// <summary>The sizes of a network's inputs and output, which Darts takes from the series that it is trained on.</summary>
/// <param name="PastSteps">Darts' input_chunk_length.</param>
/// <param name="FutureSteps">Darts' output_chunk_length.</param>
/// <param name="Targets">The series that are forecast.</param>
/// <param name="PastCovariates">Series known over the past.</param>
/// <param name="FutureCovariates">Series known over the past and the future.</param>
/// <param name="StaticCovariates">Constants of the series, over all targets.</param>
/// <param name="Parameters">Of the likelihood (quantiles, say) for each value; 1 where there is none. Darts' nr_params.</param>
public sealed record Sizes(
    long PastSteps, long FutureSteps, long Targets, long PastCovariates = 0, long FutureCovariates = 0, long StaticCovariates = 0, long Parameters = 1)
{
    /// <summary>The series known over the past: Darts' input_dim.</summary>
    public long PastFeatures => Targets + PastCovariates + FutureCovariates;
}
