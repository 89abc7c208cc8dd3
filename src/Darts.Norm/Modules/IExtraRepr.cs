namespace Darts.Norm;

/// <summary>What a module of one's own overrides in Python to be printed with its arguments.</summary>
/// <remarks>
/// <example>
/// <code>
/// public sealed class Scale(double by) : nn.Module&lt;Tensor, Tensor&gt;("Scale"), IExtraRepr
/// {
///     public string extra_repr() => $"by={by}";                      // net.pytorch().text(): Scale(by=2)
///     public override Tensor forward(Tensor x) => x * by;
/// }
/// </code>
/// </example>
/// </remarks>
public interface IExtraRepr
{
    /// <summary>What stands between the parentheses of the module's text; several lines are printed one below the other.</summary>
    /// <returns>The text, empty for nothing.</returns>
    public string extra_repr();
}
