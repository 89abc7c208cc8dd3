namespace Darts.Norm.Kernels;

/// <summary>Where a result is written.</summary>
internal enum Destination
{
    /// <summary>The nearer caches hold it and what it is computed from.</summary>
    NearCaches,

    /// <summary>The caches.</summary>
    Caches,

    /// <summary>Past the caches.</summary>
    Memory,
}
