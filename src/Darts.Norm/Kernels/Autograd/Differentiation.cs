using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary><c>torch.autograd.grad</c> with a graph of the gradients. That of TorchSharp ends the process where libtorch throws, as it does where memory does not suffice.</summary>
internal static class Differentiation
{
    // TorchSharp takes no list that holds None: one without values stands for it.
    private static readonly Lazy<jit.CompilationUnit> Operators = new(() => jit.compile(
        """
        def grad(output: Tensor, inputs: List[Tensor], grad_output: Tensor) -> List[Tensor]:
            gradients: List[Tensor] = []
            grad_outputs: Optional[List[Optional[Tensor]]] = [grad_output]
            for gradient in torch.autograd.grad([output], inputs, grad_outputs, True, True, True):
                if gradient is None:
                    gradients.append(torch.empty([0]))
                else:
                    gradients.append(gradient)
            return gradients

        """));

    /// <summary>The gradients of the inputs, which have values, in the current scope; null where there is no input, or the output does not depend on it.</summary>
    public static Tensor?[] Gradients(Tensor output, Tensor?[] inputs, Tensor gradOutput)
    {
        try
        {
            var gradients = new Queue<Tensor>((Tensor[])Operators.Value.invoke("grad", output, inputs.OfType<Tensor>().ToArray(), gradOutput));
            return Array.ConvertAll(inputs, input => input is not null && gradients.Dequeue() is var gradient && gradient.numel() > 0 ? gradient : null);
        }
        catch (ExternalException error)
        {
            var told = TorchScript.Told(error);
            throw TensorMemory.IsShortage(error)
                ? new InsufficientMemoryException($"Gradients with a graph must fit in memory beside all that they are computed from, but do not: {told}. Pass the batch in parts.", error)
                : new InvalidOperationException(told, error);
        }
    }
}
