namespace Darts.Norm.Kernels;

/// <summary>How a result is written; see <see cref="TensorMemory.DestinationOf"/>.</summary>
internal enum Destination
{
    /// <summary>It fits in a core's own caches: plain stores.</summary>
    NearCaches,

    /// <summary>It fits in the last cache: stores, and lines loaded ahead of them.</summary>
    Caches,

    /// <summary>It fits in no cache: stores past them.</summary>
    Memory,
}
