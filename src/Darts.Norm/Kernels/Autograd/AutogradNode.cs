using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>What a node of torch's graph does in the backward pass.</summary>
internal interface IBackward : IDisposable
{
    /// <summary>The gradients of the node's inputs, detached from the current dispose scope; null for an input that has none.</summary>
    /// <remarks>An exception that leaves this method is reported, but all gradients are missing then: who knows their sizes catches it, and answers <see cref="BackwardFailure.Gradient"/> for each.</remarks>
    /// <param name="node">Gives back what was saved.</param>
    /// <param name="gradOutputs">Those of the node's outputs, to be disposed; null where there is none.</param>
    public Tensor?[] Backward(AutogradNode node, Tensor?[] gradOutputs);
}

/// <summary>A node of torch's graph whose backward is this library's.</summary>
/// <remarks>
/// It does what <c>torch.autograd.Function</c> of TorchSharp does, by the same native functions. TorchSharp's takes half as long again for small inputs, and allocates a tensor as large as
/// the output that nothing uses. A node that libtorch has freed serves another call: to make the two callbacks takes longer than all the rest.
/// </remarks>
internal sealed unsafe class AutogradNode
{
    /// <summary>The most nodes that wait for another call.</summary>
    private const int Most = 1024;

    private static readonly Stack<AutogradNode> Unused = new();

    [ThreadStatic]
    private static nint* _wrapped;

    [ThreadStatic]
    private static nint[]? _answer;

    // What deleted nodes saved and this thread has not freed yet.
    [ThreadStatic]
    private static Stack<nint>? _savedOfDeleted;

    [ThreadStatic]
    private static bool _isFreeing;

    private readonly ApplyFunction _applyFunction; // held here: libtorch knows their addresses, which keep nothing alive
    private readonly DeleteFunction _deleteFunction;
    private readonly nint _apply;
    private readonly nint _delete;
    private readonly HandedOver _handedOver = new();
    private GCHandle _self; // nothing else holds a node that lives in a graph
    private Pointers _node;
    private nint[] _saved = [];
    private IBackward? _function;
    private int _inputs;

    private AutogradNode()
    {
        (_applyFunction, _deleteFunction) = (Apply, Delete);
        (_apply, _delete) = (Marshal.GetFunctionPointerForDelegate(_applyFunction), Marshal.GetFunctionPointerForDelegate(_deleteFunction));
        _self = GCHandle.Alloc(this);
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate Handles ApplyFunction(nint* gradients, int count);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void DeleteFunction();

    /// <summary>Makes the outputs depend on the inputs.</summary>
    /// <param name="inputs">Those that a gradient belongs to.</param>
    /// <param name="outputs">An input among them is answered with a view, which must not be changed in place.</param>
    /// <param name="saved">What the backward asks for by <see cref="Saved"/>, which is an error if it was changed in place meanwhile.</param>
    /// <param name="function">The backward. It is disposed when the graph is freed, or when this method throws.</param>
    /// <returns>The outputs as part of the graph, in the current scope.</returns>
    public static Tensor[] Tie(Tensor[] inputs, Tensor[] outputs, Tensor?[] saved, IBackward function)
    {
        AutogradNode? node;
        lock (Unused)
            _ = Unused.TryPop(out node);
        node ??= new();
        node._function = function;
        node._node = THSAutograd_CSharpNode_ctor(node._apply, node._delete);
        if (node._node.Shared == 0)
            node.Delete();
        CheckForErrors();
        var shared = node._node; // once this is disposed below, the node may serve another call
        try
        {
            return node.Tie(inputs, outputs, saved);
        }
        finally
        {
            THSAutograd_CSharpNode_disposeSharedPtr(shared);
            GC.KeepAlive(inputs);
            GC.KeepAlive(outputs);
            GC.KeepAlive(saved);
        }
    }

    /// <summary>What was saved at this place, in the current scope; null where nothing was.</summary>
    public Tensor? Saved(int index)
    {
        if (_saved[index] == 0)
            return null;
        var tensor = THSAutograd_SavedVariable_unpack(_saved[index], _node);
        CheckForErrors();
        return Tensor.UnsafeCreateTensor(tensor);
    }

    private Tensor[] Tie(Tensor[] inputs, Tensor[] outputs, Tensor?[] saved)
    {
        nint* variables = stackalloc nint[inputs.Length], results = stackalloc nint[outputs.Length], wrapped = stackalloc nint[outputs.Length];
        for (var i = 0; i < inputs.Length; i++)
            variables[i] = inputs[i].Handle;
        var given = new Handles { Array = variables, Count = inputs.Length };
        for (var i = 0; i < outputs.Length; i++)
            results[i] = outputs[i].Handle;

        _inputs = inputs.Length;
        THSAutograd_CSharpNode_setNextEdges(_node, given, 1);
        CheckForErrors();
        if (_saved.Length != saved.Length)
            _saved = new nint[saved.Length];
        for (var i = 0; i < saved.Length; i++)
        {
            if (saved[i] is not { } tensor)
                continue;
            _saved[i] = THSAutograd_SavedVariable_ctor(tensor.Handle, _node, 0);
            CheckForErrors(); // each time: a call that succeeds takes the error of the last away
        }

        _wrapped = wrapped; // last: after an error in what comes before, there are no new tensors to free
        THSAutograd_Function_wrapOutputs(given, default, default, new() { Array = results, Count = outputs.Length }, _node, &Wrapped);
        CheckForErrors();
        var tied = new Tensor[outputs.Length];
        for (var i = 0; i < tied.Length; i++)
            tied[i] = Tensor.UnsafeCreateTensor(wrapped[i]);
        return tied;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint* Wrapped(nint count) => _wrapped;

    private Handles Apply(nint* gradients, int count)
    {
        BackwardFailure.Enter();
        HandedOver.DisposeLast();
        var gradOutputs = new Tensor?[count];
        for (var i = 0; i < count; i++)
            gradOutputs[i] = gradients[i] == 0 ? null : Tensor.UnsafeCreateTensor(gradients[i]);
        Tensor?[] answer;
        try
        {
            answer = _function!.Backward(this, gradOutputs);
        }
        catch (Exception error)
        {
            BackwardFailure.Record(error, "A backward of Darts.Norm failed");
            answer = new Tensor?[_inputs];
        }
        _handedOver.Take(answer);
        if (_answer is null || _answer.Length < answer.Length)
            _answer = GC.AllocateUninitializedArray<nint>(answer.Length, pinned: true);
        for (var i = 0; i < answer.Length; i++)
            _answer[i] = answer[i]?.Handle ?? 0;
        BackwardFailure.Leave();
        return new() { Array = (nint*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_answer)), Count = answer.Length };
    }

    private void Delete()
    {
        _handedOver.DisposeAll();
        foreach (ref var saved in _saved.AsSpan())
        {
            if (saved != 0)
                (_savedOfDeleted ??= new()).Push(saved);
            saved = 0;
        }
        if (_node.Weak != 0)
            THSAutograd_CSharpNode_disposeWeakPtr(_node);
        _node = default;
        _function!.Dispose();
        _function = null;
        FreeSaved();
        lock (Unused)
        {
            if (Unused.Count < Most)
                Unused.Push(this);
            else
                _self.Free();
        }
    }

    // To free what was saved may free the graph before it, and so delete another node, which comes here again. A loop, since recursion over a long chain would overflow the stack.
    private static void FreeSaved()
    {
        if (_isFreeing || _savedOfDeleted is null)
            return;
        _isFreeing = true;
        while (_savedOfDeleted.TryPop(out var saved))
            THSAutograd_SavedVariable_dispose(saved);
        _isFreeing = false;
    }

    private struct Handles
    {
        public nint* Array;
        public long Count;
    }

    private readonly record struct Pointers(nint Shared, nint Weak);

    [DllImport("LibTorchSharp")]
    private static extern Pointers THSAutograd_CSharpNode_ctor(nint apply, nint delete);

    [DllImport("LibTorchSharp")]
    private static extern void THSAutograd_CSharpNode_disposeSharedPtr(Pointers node);

    [DllImport("LibTorchSharp")]
    private static extern void THSAutograd_CSharpNode_disposeWeakPtr(Pointers node);

    [DllImport("LibTorchSharp")]
    private static extern void THSAutograd_CSharpNode_setNextEdges(Pointers node, Handles variables, byte is_executable);

    [DllImport("LibTorchSharp")]
    private static extern void THSAutograd_Function_wrapOutputs(
        Handles variables, Handles nonDifferentiable, Handles dirty, Handles outputs, Pointers node, delegate* unmanaged[Cdecl]<nint, nint*> allocator);

    [DllImport("LibTorchSharp")]
    private static extern nint THSAutograd_SavedVariable_ctor(nint variable, Pointers node, byte is_inplace_on_view);

    [DllImport("LibTorchSharp")]
    private static extern void THSAutograd_SavedVariable_dispose(nint saved);

    [DllImport("LibTorchSharp")]
    private static extern nint THSAutograd_SavedVariable_unpack(nint saved, Pointers node);
}
