using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Darts.Norm.Kernels;

namespace Darts.Norm;

/// <summary>One call of a module with backward hooks: ties the gradients of its outputs to those of its inputs, as PyTorch's <c>BackwardHook</c> does.</summary>
[RequiresUnreferencedCode("A tuple that forward answers is made anew by its constructor.")]
internal sealed class BackwardCall
{
    private static readonly ConditionalWeakTable<Tensor, BackwardCall> Calls = new();

    // The views that this thread's calls gave to a forward that has not answered yet. It may also have thrown, of which nothing tells: then the next call frees them.
    // Weak references, since the graph holds this class: if there is no next call, the garbage collector frees them.
    [ThreadStatic]
    private static List<(WeakReference<Tensor> view, nint frame)>? _views;

    private readonly nn.Module _module;
    private readonly IReadOnlyList<BackwardPreHook> _preHooks;
    private readonly IReadOnlyList<BackwardHook> _hooks;
    private TensorMetadata?[] _inputs; // null where an argument is no tensor
    private object?[]? _given; // the caller's arguments, until forward has answered
    private bool _areInputsTied;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly List<(WeakReference<Tensor> view, WeakReference<Tensor> output)> _outputs = []; // weak: what the caller drops is the garbage collector's
    private readonly ConcurrentDictionary<int, Pass> _passes = []; // by thread: several may run one graph backward

    private BackwardCall(nn.Module module, ModuleRecord record, int inputs)
    {
        _module = module;
        _preHooks = record.BackwardPreHooks.Hooks;
        _hooks = record.BackwardHooks.Hooks;
        _inputs = new TensorMetadata?[inputs];
    }

    /// <summary>A call with the backward hooks that there are now; null where there are none.</summary>
    public static BackwardCall? Start(nn.Module module, ModuleRecord record, int inputs) =>
        record.BackwardPreHooks.IsEmpty && record.BackwardHooks.IsEmpty ? null : new(module, record, inputs);

    /// <summary>The arguments for forward: views of those that need a gradient.</summary>
    /// <param name="args">The arguments for the module.</param>
    /// <param name="frame">The call's address on the stack. Of a module that calls itself, the outer call's is higher: its views are in use still.</param>
    public object?[] TieInputs(object?[] args, nint frame)
    {
        _views?.RemoveAll(entry => !entry.view.TryGetTarget(out var view) || view.IsInvalid || (entry.frame <= frame && FreeOwn(view)));
        _inputs = MetadataOf(args);
        var tied = Tie(args, _inputs, isInput: true);
        if (tied is null)
            return args;
        _areInputsTied = true;
        _given = args;
        var result = args.ToArray();
        foreach (var (index, view) in tied)
        {
            result[index] = view;
            Calls.Add(view, this);
            (_views ??= []).Add((new(view), frame));
        }
        return result;
    }

    /// <summary>The call that gave these arguments to forward; a new one where no input needed a gradient.</summary>
    public static BackwardCall? Find(nn.Module module, ModuleRecord record, object?[] args)
    {
        foreach (var arg in args)
        {
            if (arg is Tensor tensor && Calls.TryGetValue(tensor, out var call) && ReferenceEquals(call._module, module)) // not the call of a parent that passes its input on
                return call;
        }
        return Start(module, record, args.Length);
    }

    /// <summary>The arguments as the caller gave them.</summary>
    public object?[] Given(object?[] args) => _given ?? args;

    /// <summary>The output with its tensors tied, and the inputs' views freed.</summary>
    public object? TieOutputs(object?[] args, object? output)
    {
        object?[] items = [.. Items(output)];
        var views = Views(args);
        if (Tie(items, MetadataOf(items), isInput: false) is { } tied)
        {
            foreach (var (index, view) in tied)
            {
                var own = (Tensor)items[index]!;
                if (!own.is_leaf && !Holds(args, own) && AreOfOneScope(own, view))
                    _outputs.Add((new(view), new(own)));
                items[index] = view;
            }
            output = WithItems(output, items);
        }
        _views?.RemoveAll(entry => entry.view.TryGetTarget(out var view) && views.Exists(own => ReferenceEquals(own, view)));
        views.FindAll(view => !Holds(items, view)).ForEach(view => view.Dispose());
        _given = null; // or the graph would keep the caller's tensors
        return output;
    }

    /// <summary>Frees the inputs' views where a forward hook threw.</summary>
    public void FreeInputs(object?[] args)
    {
        Views(args).ForEach(view => view.Dispose());
        _given = null;
    }

    private List<Tensor> Views(object?[] args) => _given is null ? [] : [.. args.Where((arg, i) => !ReferenceEquals(arg, _given[i])).OfType<Tensor>()];

    private bool FreeOwn(Tensor view)
    {
        var isOwn = Calls.TryGetValue(view, out var call) && ReferenceEquals(call._module, _module);
        if (isOwn)
            view.Dispose();
        return isOwn;
    }

    // Without hooks, the caller would have got forward's own output and disposed it. Here it got a view: where it disposed that, the output goes too.
    private void FreeOutputs()
    {
        if (Environment.CurrentManagedThreadId != _thread) // dispose scopes belong to a thread
            return;
        foreach (var (view, output) in _outputs)
        {
            if (view.TryGetTarget(out _) && output.TryGetTarget(out var own)) // not where the collector has freed the view
                own.Dispose();
        }
    }

    private List<(int index, Tensor view)>? Tie(object?[] items, TensorMetadata?[] metadata, bool isInput)
    {
        if (!is_grad_enabled())
            return null;
        var indices = Enumerable.Range(0, items.Length).Where(i => items[i] is Tensor { IsInvalid: false, requires_grad: true }).ToArray();
        if (indices.Length == 0)
            return null;
        var side = new Side(this, metadata, indices, isInput);
        Tensor[] tensors = [.. indices.Select(i => (Tensor)items[i]!)];
        return [.. indices.Zip(AutogradNode.Tie(tensors, tensors, [], side))];
    }

    private Tensor?[] AtOutputs(Tensor?[] gradients)
    {
        var gradOutput = gradients;
        foreach (var hook in _preHooks)
        {
            if (hook(_module, [.. gradOutput]) is not { } replaced)
                continue;
            if (replaced.Length != gradOutput.Length)
                throw new InvalidOperationException($"Backward pre hook returned an invalid number of grad_output, got {replaced.Length}, but expected {gradOutput.Length}");
            gradOutput = replaced;
        }
        if (_areInputsTied)
        {
            Current.GradOutput = gradOutput;
            return gradOutput;
        }
        foreach (var hook in _hooks)
        {
            if (hook(_module, new Tensor?[_inputs.Length], [.. gradOutput]) is { } given && given.Any(gradient => gradient is not null))
                throw new InvalidOperationException("Backward hook for Modules where no input requires gradient should always return None or None for all gradients.");
        }
        return gradOutput;
    }

    private Tensor?[] AtInputs(Tensor?[] gradients)
    {
        if (Current.GradOutput is not { } gradOutput) // this pass did not come through the module's output, as in a second derivative
            return gradients;
        var gradInput = gradients.Select((gradient, i) => gradient ?? Zeros(_inputs[i])).ToArray();
        foreach (var hook in _hooks)
        {
            if (hook(_module, [.. gradInput], [.. gradOutput]) is not { } replaced)
                continue;
            if (replaced.Length != gradInput.Length)
                throw new InvalidOperationException($"Backward hook returned an invalid number of grad_input, got {replaced.Length}, but expected {gradInput.Length}");
            gradInput = replaced;
        }
        return gradInput;

        Tensor? Zeros(TensorMetadata? metadata)
        {
            if (metadata is null)
                return null;
            var zero = zeros(metadata.Shape, metadata.Dtype, metadata.Device).DetachFromDisposeScope();
            Current.Own.Add(zero);
            return zero;
        }
    }

    private Pass Current => _passes.GetOrAdd(Environment.CurrentManagedThreadId, _ => new());

    private void Own(IEnumerable<Tensor?> gradients) => Current.Own.AddRange(gradients.OfType<Tensor>().Select(gradient => gradient.DetachFromDisposeScope()));

    private void Release(int thread)
    {
        if (_passes.TryRemove(thread, out var pass))
            pass.Own.ForEach(gradient => gradient.Dispose());
    }

    /// <summary>One backward pass through the module.</summary>
    private sealed class Pass
    {
        public Tensor?[]? GradOutput { get; set; } // between the outputs' backward and the inputs'

        public List<Tensor> Own { get; } = []; // gradients that came from libtorch or were made here
    }

    private static TensorMetadata?[] MetadataOf(object?[] items) => Array.ConvertAll(items, item => item is Tensor { IsInvalid: false } tensor ? new TensorMetadata(tensor.shape, tensor.dtype, tensor.device) : null);

    // By reference: equality of tensors is that of their values.
    private static bool Holds(object?[] items, Tensor tensor) => Array.Exists(items, item => ReferenceEquals(item, tensor));

    private static object?[] Items(object? output) => output switch
    {
        ITuple tuple => [.. Enumerable.Range(0, tuple.Length).Select(i => tuple[i])],
        Tensor[] tensors => tensors,
        _ => [output],
    };

    private static object? WithItems(object? output, object?[] items) => output switch
    {
        ITuple tuple when Enumerable.Range(0, tuple.Length).All(i => ReferenceEquals(tuple[i], items[i])) => output,
        ITuple => Tuple(output.GetType(), items),
        Tensor[] => items.Cast<Tensor>().ToArray(),
        _ => items[0],
    };

    // The eighth part of a tuple type is a tuple of the rest.
    private static object? Tuple(Type type, object?[] items) =>
        Activator.CreateInstance(type, items.Length > 7 ? [.. items[..7], Tuple(type.GenericTypeArguments[7], items[7..])] : items);

    private static bool AreOfOneScope(Tensor one, Tensor other)
    {
        try
        {
            return ReferenceEquals(OwningScope(one), OwningScope(other));
        }
        catch (MissingMethodException) // another TorchSharp's tensors: left to the garbage collector
        {
            return false;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_OwningDisposeScope")]
    private static extern DisposeScope? OwningScope(Tensor tensor);

    /// <summary>The shape, dtype and device of an input or output, whose tensor may be freed by the time of the backward.</summary>
    private sealed record TensorMetadata(long[] Shape, ScalarType Dtype, Device Device)
    {
        // As libtorch checks it: a gradient of a larger shape is summed to this one.
        public bool Fits(Tensor gradient)
        {
            var shape = gradient.shape;
            var extra = shape.Length - Shape.Length;
            return extra >= 0 && Enumerable.Range(0, Shape.Length).All(i => Shape[i] == shape[i + extra] || Shape[i] == 1)
                && gradient.device_type == Device.type && gradient.device_index == Device.index;
        }
    }

    /// <summary>The backward of the inputs, or of the outputs. Only those at the indices <paramref name="tied"/> are part of the graph.</summary>
    private sealed class Side(BackwardCall call, TensorMetadata?[] metadata, int[] tied, bool isInput) : IBackward
    {
        /// <summary>The gradients of the tied tensors, as the hooks leave them. The hooks see null for an output without one.</summary>
        public Tensor?[] Backward(AutogradNode node, Tensor?[] gradOutputs)
        {
            if (!isInput)
                call.Release(Environment.CurrentManagedThreadId); // what is left of a backward that did not reach the inputs
            call.Own(gradOutputs);
            Tensor?[] answer;
            try
            {
                var gradients = new Tensor?[metadata.Length];
                foreach (var (index, gradient) in tied.Zip(gradOutputs))
                    gradients[index] = gradient;
                gradients = isInput ? call.AtInputs(gradients) : call.AtOutputs(gradients);
                answer = Array.ConvertAll(tied, index => Reference(gradients[index], metadata[index]!, index));
            }
            catch (Exception error)
            {
                BackwardFailure.Record(error, $"A backward hook of {PythonText.ClassName(call._module)} failed");
                call.Current.GradOutput = null;
                answer = Array.ConvertAll(tied, index => (Tensor?)BackwardFailure.Gradient(metadata[index]!.Shape, metadata[index]!.Dtype, metadata[index]!.Device).DetachFromDisposeScope());
            }
            if (call.Current.GradOutput is null || isInput)
                call.Release(Environment.CurrentManagedThreadId);
            return answer;
        }

        /// <summary>Frees what passes left, when the graph is freed.</summary>
        public void Dispose()
        {
            foreach (var thread in call._passes.Keys)
                call.Release(thread);
            if (!isInput)
                call.FreeOutputs();
        }

        // A second tensor object for the same gradient, which is freed here: the hook's object stays the hook's.
        private static Tensor? Reference(Tensor? gradient, TensorMetadata metadata, int index)
        {
            if (gradient is null)
                return null;
            if (gradient.IsInvalid)
                throw new ObjectDisposedException("gradient", $"The gradient at index {index} that a backward hook returned is disposed.");
            if (!metadata.Fits(gradient))
                throw new InvalidOperationException(
                    $"A backward hook returned an invalid gradient at index {index} - got {Require.Size(gradient.shape)} on {gradient.device} but expected shape compatible with {Require.Size(metadata.Shape)} on {metadata.Device}");
            return gradient.positive().DetachFromDisposeScope();
        }
    }
}
