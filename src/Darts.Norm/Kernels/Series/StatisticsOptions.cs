namespace Darts.Norm.Kernels;

/// <summary>How the statistics of a series are taken.</summary>
/// <param name="Eps">Added to the variance.</param>
/// <param name="MinStdev">What stdev is at least.</param>
/// <param name="SubtractLast">Whether the last value stands for the mean.</param>
internal readonly record struct StatisticsOptions(double Eps, double MinStdev = 0, bool SubtractLast = false);
