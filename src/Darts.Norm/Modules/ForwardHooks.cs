using System.Collections;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Linq.Expressions;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Darts.Norm;

/// <summary>Runs a module's hooks, as PyTorch's <c>_call_impl</c> does, from one hook of TorchSharp's before forward and one after it.</summary>
[RequiresUnreferencedCode("The fields that hold a module's hooks are found by name.")]
[RequiresDynamicCode(Why)]
internal static class ForwardHooks
{
    public const string Why = "Hooks are compiled for the module's arguments.";

    private const string Key = "Darts.Norm";

    private const BindingFlags Hidden = BindingFlags.Instance | BindingFlags.NonPublic;

    private static readonly ConcurrentDictionary<Type, Delegate> Runners = new();

    /// <summary>Makes <c>call</c> run the module's hooks.</summary>
    /// <exception cref="NotSupportedException">The module has no <c>call</c>.</exception>
    public static void Install(nn.Module module)
    {
        var hookable = module.GetType();
        while (hookable is not null && !(hookable.IsGenericType && hookable.GetGenericTypeDefinition() == typeof(nn.HookableModule<,>)))
            hookable = hookable.BaseType;
        if (hookable is null && Registry.IsContainer(module))
            return; // containers are never called. PyTorch takes hooks for them all the same, as a loop over all modules registers
        if (hookable is null)
            throw new NotSupportedException(
                $"Hooks run on call, and {PythonText.ClassName(module)} has none: it is no nn.Module<T, TResult>. Hook the modules that it holds: foreach (var child in module.children()).");
        Add(module, hookable, "pre_hooks", PreHook);
        Add(module, hookable, "post_hooks", PostHook);
    }

    // Into a new dictionary: TorchSharp may be iterating over the old one, in the hook that registers this one.
    private static void Add(nn.Module module, Type hookable, string name, Func<Type, Delegate> runner)
    {
        var field = hookable.GetField(name, Hidden) ?? throw Registry.Unknown(name);
        var hooks = (IDictionary)field.GetValue(module)!;
        if (hooks.Contains(Key))
            return;
        var type = field.FieldType.GenericTypeArguments[1];
        var copy = (IDictionary)Activator.CreateInstance(field.FieldType, hooks)!;
        copy.Add(Key, Runners.GetOrAdd(type, runner));
        field.SetValue(module, copy);
    }

    // Optimised from the start, never compiled a second time: so that the frames of nested calls can be compared.
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static unsafe object?[] Before(nn.Module module, object?[] args)
    {
        byte here;
        var record = ModuleRecord.Of(module);
        var call = BackwardCall.Start(module, record, args.Length); // hooks that a pre-hook registers are for the next call
        foreach (var hook in record.ForwardPreHooks.Hooks)
        {
            if (hook(module, [.. args]) is not { } replaced)
                continue;
            var given = replaced as object?[] ?? [replaced];
            if (given.Length != args.Length)
                throw new ArgumentTypeException($"{PythonText.ClassName(module)}.forward() takes {args.Length} arguments, but a forward pre-hook returned {given.Length}. Return null, or one for each.");
            args = given;
        }
        return call?.TieInputs(args, (nint)(&here)) ?? args;
    }

    private static object? After(nn.Module module, object?[] args, object? output)
    {
        var record = ModuleRecord.Of(module);
        var call = BackwardCall.Find(module, record, args);
        var given = call?.Given(args) ?? args;
        try
        {
            foreach (var hook in record.ForwardHooks.Hooks)
                output = hook(module, [.. given], output) ?? output;
            return call is null ? output : call.TieOutputs(args, output);
        }
        catch
        {
            call?.FreeInputs(args);
            throw;
        }
    }

    private static T Cast<T>(object? value, nn.Module module) => value switch
    {
        T typed => typed,
        null when default(T) is null => default!,
        _ => throw new ArgumentTypeException($"A hook of {PythonText.ClassName(module)} returned a {value?.GetType().Name ?? "null"} for a {typeof(T).Name}. Return null to leave it alone."),
    };

    // (module, a, b) => Before(module, [a, b]) as a tuple
    private static Delegate PreHook(Type type)
    {
        var (parameters, module, args) = Signature(type, 0);
        var answer = Expression.Variable(typeof(object?[]));
        var items = parameters.Skip(1).Select((parameter, i) => Casted(parameter.Type, Expression.ArrayIndex(answer, Expression.Constant(i)), module)).ToArray();
        var result = type.GetMethod("Invoke")!.ReturnType;
        Expression tuple = items.Length == 1
            ? items[0]
            : Expression.Convert(Expression.New(Nullable.GetUnderlyingType(result)!.GetConstructor([.. items.Select(item => item.Type)])!, items), result);
        var call = Expression.Call(((Func<nn.Module, object?[], object?[]>)Before).Method, module, args);
        return Expression.Lambda(type, Expression.Block([answer], Expression.Assign(answer, call), tuple), parameters).Compile();
    }

    // (module, a, b, output) => After(module, [a, b], output)
    private static Delegate PostHook(Type type)
    {
        var (parameters, module, args) = Signature(type, 1);
        var call = Expression.Call(((Func<nn.Module, object?[], object?, object?>)After).Method, module, args, Expression.Convert(parameters[^1], typeof(object)));
        return Expression.Lambda(type, Casted(parameters[^1].Type, call, module), parameters).Compile();
    }

    private static (ParameterExpression[] parameters, Expression module, Expression args) Signature(Type type, int trailing)
    {
        var parameters = type.GetMethod("Invoke")!.GetParameters().Select(parameter => Expression.Parameter(parameter.ParameterType)).ToArray();
        var inputs = parameters[1..^trailing].Select(parameter => Expression.Convert(parameter, typeof(object)));
        return (parameters, Expression.Convert(parameters[0], typeof(nn.Module)), Expression.NewArrayInit(typeof(object), inputs));
    }

    private static MethodCallExpression Casted(Type type, Expression value, Expression module) =>
        Expression.Call(((Func<object?, nn.Module, object?>)Cast<object?>).Method.GetGenericMethodDefinition().MakeGenericMethod(type), value, module);
}
