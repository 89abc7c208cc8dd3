using Darts.Norm;
using TorchSharp.Modules;
using LayerNorm = Darts.Norm.LayerNorm;

namespace Somebody.Elses.Application;

/// <summary>A file outside the library's namespace that uses both libraries' modules: it compiles by the alias alone.</summary>
public static class BothLayerNorms
{
    public static NormModule New() => new LayerNorm(4) { weight = new Parameter(ones(4)) };
}
