using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>Brings an exception of a backward to the caller of <c>backward()</c>.</summary>
/// <remarks>
/// An exception must not leave a callback of libtorch: the process would end. On a CPU the callback runs on the caller's thread, where TorchSharp asks libtorch for its last error when
/// the pass is done: one is left there, and what TorchSharp throws for it gets the exception's text, and the exception itself as the inner one.
/// Where libtorch stops the pass with an error of its own, that gets them. A function of TorchSharp later in the pass takes the error away: then the thread's next pass through a layer ends in it.
/// Elsewhere a gradient of the wrong device makes libtorch raise an error of its own, to the same end.
/// </remarks>
internal static unsafe class BackwardFailure
{
    private const string LibtorchsWords = "returned an invalid gradient";

    [ThreadStatic]
    private static Failure? _here;

    [ThreadStatic]
    private static int _callbacks; // that this thread is in, one in another's pass

    private static Failure? _elsewhere;

    /// <summary>At the start of each callback.</summary>
    public static void Enter() => _callbacks++;

    public static void Record(Exception error, string where)
    {
        if (_here is not null)
            return;
        _here = new($"{where}: {error.GetType().Name}: {error.Message.Split('\n')[0]}", error, _callbacks); // the rest is libtorch's stack
        AppDomain.CurrentDomain.FirstChanceException += Surface;
    }

    /// <summary>What a backward that failed answers for a tensor of this size.</summary>
    public static Tensor Gradient(long[] shape, ScalarType dtype, Device device)
    {
        if (device.type == DeviceType.CPU)
        {
            using var unknown = full([], double.NaN, dtype, CPU); // takes no memory: that may be what there is none of
            return unknown.expand(shape); // seen where the error is not; autograd.grad of TorchSharp ends the process where one is missing or wrong
        }
        _elsewhere = Interlocked.Exchange(ref _here, null) ?? _elsewhere;
        return empty(shape, dtype, device.type == DeviceType.META ? CPU : META);
    }

    /// <summary>At the end of each callback leaves the error again: what was called there has taken it away.</summary>
    public static void Leave()
    {
        _callbacks--;
        if (_here is null)
            return;
        fixed (byte* text = System.Text.Encoding.UTF8.GetBytes(_here.Text + '\0'))
            _ = THSTensor_load(text); // there is no file of this name, and the error says so
    }

    private static void Surface(object? sender, FirstChanceExceptionEventArgs thrown)
    {
        if (thrown.Exception is not ExternalException error || error.GetType() != typeof(ExternalException))
            return;
        if (_here is { } here && _callbacks < here.Callbacks) // out of the pass: what is thrown in a callback may be caught there
        {
            _here = null;
            Explain(error, here.Error is OutOfMemoryException || error.Message.Contains(here.Text, StringComparison.Ordinal) ? here : here with { Text = $"{here.Text}\n{error.Message}" });
        }
        else if (_elsewhere is { } elsewhere && error.Message.Contains(LibtorchsWords, StringComparison.Ordinal))
        {
            _elsewhere = null;
            Explain(error, elsewhere);
        }
    }

    private static void Explain(ExternalException error, Failure failure)
    {
        AppDomain.CurrentDomain.FirstChanceException -= Surface;
        try
        {
            Message(error) = failure.Text;
            InnerException(error) = failure.Error;
        }
        catch (MissingFieldException) // another runtime's exceptions: the text is in the message all the same
        {
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_message")]
    private static extern ref string? Message(Exception exception);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_innerException")]
    private static extern ref Exception? InnerException(Exception exception);

    [DllImport("LibTorchSharp")]
    private static extern nint THSTensor_load(byte* location);

    private sealed record Failure(string Text, Exception Error, int Callbacks);
}
