using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Darts.Norm.Kernels;

/// <summary>Brings an exception of a backward to the caller of <c>backward()</c>.</summary>
/// <remarks>
/// <para>An exception must not leave a callback of libtorch: the process would end. So it is recorded, and becomes text and inner exception of what TorchSharp throws.</para>
/// <para>
/// On a CPU the callback runs on the thread that called <c>backward()</c>. When the pass is done, TorchSharp asks libtorch for that thread's last error, and throws if there is one:
/// each callback that follows a failure leaves one. Where libtorch stops the pass with an error of its own, that one is used. Where a function of TorchSharp later in the pass
/// clears the last error, the thread's next pass through a layer ends in the failure.
/// </para>
/// <para>On other devices the callback runs on libtorch's threads. There it answers a gradient on the wrong device, which makes libtorch raise an error.</para>
/// </remarks>
internal static unsafe class BackwardFailure
{
    /// <summary>In libtorch's error for a gradient on the wrong device.</summary>
    private const string InvalidGradient = "returned an invalid gradient";

    [ThreadStatic]
    private static Failure? _here;

    [ThreadStatic]
    private static int _callbacks; // that this thread is in: a hook may run a pass of its own, whose callbacks count too

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
            using var unknown = full([], double.NaN, dtype, CPU); // one value, expanded: memory may be what has run out
            return unknown.expand(shape); // NaN shows where the error is lost. One of the right size, since autograd.grad of TorchSharp ends the process otherwise
        }
        _elsewhere = Interlocked.Exchange(ref _here, null) ?? _elsewhere;
        return empty(shape, dtype, device.type == DeviceType.META ? CPU : META);
    }

    /// <summary>At the end of each callback. Leaves the error again, since what the callback called has cleared it.</summary>
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
        if (_here is { } here && _callbacks < here.Callbacks) // no longer in the callback that failed: what is thrown in it may be caught there
        {
            _here = null;
            Explain(error, here.Error is OutOfMemoryException || error.Message.Contains(here.Text, StringComparison.Ordinal) ? here : here with { Text = $"{here.Text}\n{error.Message}" });
        }
        else if (_elsewhere is { } elsewhere && error.Message.Contains(InvalidGradient, StringComparison.Ordinal))
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
