namespace Darts.Norm;

/// <summary>PyTorch's TypeError: an argument of the wrong kind, such as an integer dtype where parameters must be floating point.</summary>
public sealed class ArgumentTypeException : ArgumentException
{
    /// <summary>Makes the error without a text.</summary>
    public ArgumentTypeException()
    {
    }

    /// <summary>Makes the error.</summary>
    /// <param name="message">What must hold and what was received.</param>
    public ArgumentTypeException(string message)
        : base(message)
    {
    }

    /// <summary>Makes the error.</summary>
    /// <param name="message">What must hold and what was received.</param>
    /// <param name="innerException">What was caught.</param>
    public ArgumentTypeException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
