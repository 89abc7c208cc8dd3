namespace Darts.Norm.Kernels;

/// <summary>Work in blocks that do not depend on each other.</summary>
internal interface IWork
{
    public void Run(long block);
}
