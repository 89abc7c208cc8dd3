namespace Darts.Norm.Consumers;

/// <summary>What a stranger would file an issue about.</summary>
internal sealed class ConsumerException(string message) : Exception(message);
