using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Darts.Norm.Kernels;

/// <summary>Forward and backward of an <see cref="ISeriesFormula"/>, whatever the dtypes, strides, sizes and threads.</summary>
internal static unsafe class SeriesMap<TFormula>
    where TFormula : struct, ISeriesFormula
{
    /// <param name="formula">What to compute.</param>
    /// <param name="inputs">x is (batch, time, ..., components) and, where the formula repeats, an axis of that size; weight and bias are (components), or null for one and zero.</param>
    /// <param name="options">How to take the statistics from x first; null where they are there.</param>
    /// <param name="missing">What becomes of values that are NaN, or where the mask is false.</param>
    public static Tensor Forward(TFormula formula, Inputs inputs, StatisticsOptions? options, Missing missing) => (inputs.X.dtype, missing != Missing.None) switch
    {
        (ScalarType.Float64, false) => Forward<Float64>(formula, inputs, options, missing),
        (ScalarType.Float64, true) => Forward<WithGaps<Float64>>(formula, inputs, options, missing),
        (_, false) => Forward<Float32>(formula, inputs, options, missing),
        _ => Forward<WithGaps<Float32>>(formula, inputs, options, missing),
    };

    /// <summary>The gradients that are wanted, the others null, with the statistics that were kept.</summary>
    public static Gradients Backward(TFormula formula, Inputs inputs, long components, Tensor gradOutput, Missing missing, Wanted wanted) =>
        (inputs.X.dtype, missing != Missing.None) switch
        {
            (ScalarType.Float64, false) => Backward<Float64>(formula, inputs, components, gradOutput, wanted),
            (ScalarType.Float64, true) => Backward<WithGaps<Float64>>(formula, inputs, components, gradOutput, wanted),
            (_, false) => Backward<Float32>(formula, inputs, components, gradOutput, wanted),
            _ => Backward<WithGaps<Float32>>(formula, inputs, components, gradOutput, wanted),
        };

    private static Tensor Forward<T>(TFormula formula, Inputs inputs, StatisticsOptions? options, Missing missing)
        where T : IElement
    {
        var (x, weight, bias, statistics, mask, kept) = inputs;
        var output = TensorMemory.Like(x);
        var components = statistics!.size(-1);
        var source = new SeriesGroups(ref x, components * formula.Repeat, ref mask);
        var isCopied = mask is not null && !source.IsHalf;
        var groups = isCopied ? new(ref output, components * formula.Repeat) : source;
        using var w = Float64Buffer.Of(weight, components);
        using var b = Float64Buffer.Of(bias, components);
        var blocks = new Blocks(groups.Batch, groups.Steps * groups.Width);
        Workers.Run(
            new ForwardWork<T>
            {
                Source = source,
                IsCopied = isCopied,
                X = groups,
                Y = TensorMemory.Start(output),
                Series = new(formula, groups, (double*)TensorMemory.Start(statistics), w, b),
                Measured = options is null ? null : (double*)TensorMemory.Start(statistics),
                Options = options.GetValueOrDefault(),
                FillsWithZero = missing == Missing.Zero,
                Blocks = blocks,
            },
            blocks.Count,
            groups.Batch * groups.Steps * groups.Width);
        if (kept.At is not null)
            Buffer.MemoryCopy(TensorMemory.Start(statistics), kept.At, kept.Length * sizeof(double), statistics.numel() * sizeof(double));
        GC.KeepAlive(x);
        GC.KeepAlive(mask);
        GC.KeepAlive(statistics);
        return output;
    }

    private static Gradients Backward<T>(TFormula formula, Inputs inputs, long components, Tensor gradOutput, Wanted wanted)
        where T : IElement
    {
        var (x, weight, bias, _, mask, kept) = inputs;
        var gradX = wanted.X ? TensorMemory.Like(x) : null;
        var groups = new SeriesGroups(ref x, components * formula.Repeat, ref mask);
        var gradGroups = new SeriesGroups(ref gradOutput, components * formula.Repeat);
        using var w = Float64Buffer.Of(weight, components);
        using var b = Float64Buffer.Of(bias, components);
        var blocks = new Blocks(groups.Batch, groups.Steps * groups.Width);
        var length = wanted.Weight is null && wanted.Bias is null ? 0 : Float64Buffer.Padded<T>(components) * blocks.Count;
        using var weightSums = new Float64Buffer(length);
        using var biasSums = new Float64Buffer(length);
        Workers.Run(
            new BackwardWork<T>
            {
                X = groups,
                GradOutput = gradGroups,
                GradX = gradX is null ? null : TensorMemory.Start(gradX),
                WeightSums = weightSums.At,
                BiasSums = biasSums.At,
                Series = new(formula, groups, kept.At, w, b),
                Blocks = blocks,
            },
            blocks.Count,
            groups.Batch * groups.Steps * groups.Width);
        GC.KeepAlive(x);
        GC.KeepAlive(mask);
        GC.KeepAlive(gradOutput);
        return new(gradX, Sum.Combined<T>(weightSums, blocks.Count, components, wanted.Weight), Sum.Combined<T>(biasSums, blocks.Count, components, wanted.Bias));
    }

    /// <summary>The coefficients of each column of a group.</summary>
    private readonly struct Coefficients(TFormula formula, SeriesGroups groups, double* statistics, Float64Buffer weight, Float64Buffer bias)
    {
        private readonly TFormula _formula = formula;
        private readonly double* _statistics = statistics;
        private readonly double* _weight = weight.At;
        private readonly double* _bias = bias.At;
        private readonly long _width = groups.Width;
        private readonly long _plane = groups.Batch * (groups.Width / formula.Repeat);

        public long Components { get; } = groups.Width / formula.Repeat;

        public long Kinds { get; } = formula.Kinds;

        /// <summary>How many columns of a component follow each other that are mapped alike.</summary>
        public long Alike { get; } = formula.Repeat / formula.Kinds;

        /// <summary>Of weight and bias.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public (double weight, double bias) Gradients(long series, long component, long kind, double along, double sum)
        {
            var stdev = Vector256.CreateScalar(_statistics[(2 * _plane) + (series * Components) + component]);
            var (weight, bias) = _formula.Gradients(kind, Vector256.CreateScalar(along), Vector256.CreateScalar(sum), stdev, Vector256.CreateScalar(_weight is null ? 1 : _weight[component]));
            return (weight.ToScalar(), bias.ToScalar());
        }

        /// <summary>The same of four components.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public (Vector256<double> weight, Vector256<double> bias) Gradients(long series, long component, Vector256<double> along, Vector256<double> sum) =>
            _formula.Gradients(0, along, sum, Vector256.Load(_statistics + (2 * _plane) + (series * Components) + component), _weight is null ? Vector256<double>.One : Vector256.Load(_weight + component));

        /// <summary>Writes the first columns of each run: centers, what they lost, factors, shifts, and of float64 what these two lost.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        public void Write<T>(long series, double* to, long run)
            where T : IElement
        {
            var of = _statistics + (series * Components);
            var (c, whole) = (0L, Components == _width ? Components - Vector256<double>.Count : -1);
            for (; c <= whole; c += Vector256<double>.Count)
            {
                var four = Of(of + c, c);
                var map = _formula.Coefficients(0, four);
                map.Center.Store(to + c);
                map.CenterLow.Store(to + run + c);
                map.Factor.Store(to + (2 * run) + c);
                Shift<T>(map).Store(to + (3 * run) + c);
                if (T.IsSingle)
                    continue;
                var (factor, shift) = _formula.Rests(0, four);
                factor.Store(to + (4 * run) + c);
                shift.Store(to + (5 * run) + c);
            }
            for (; c < Components; c += Vector256<double>.Count)
                WriteSome<T>(of, c, to, run);
        }

        /// <summary>Up to four components, each of as many columns as it has.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private void WriteSome<T>(double* statistics, long first, double* to, long run)
            where T : IElement
        {
            var count = (int)Math.Min(Vector256<double>.Count, Components - first);
            var of = Some(statistics + first, first, count);
            for (long kind = 0; kind < Kinds; kind++)
            {
                var map = _formula.Coefficients(kind, of);
                var added = Shift<T>(map);
                var (factor, shift) = T.IsSingle ? default : _formula.Rests(kind, of);
                for (var c = 0; c < count; c++)
                {
                    var i = (((first + c) * Kinds) + kind) * Alike;
                    for (var end = i + Alike; i < end; i++)
                    {
                        (to[i], to[run + i], to[(2 * run) + i], to[(3 * run) + i]) = (map.Center[c], map.CenterLow[c], map.Factor[c], added[c]);
                        if (!T.IsSingle)
                            (to[(4 * run) + i], to[(5 * run) + i]) = (factor[c], shift[c]);
                    }
                }
            }
        }

        /// <summary>What is added; to values of float32, whose map has one number for a center, also what that lost: a bias may leave little else of a level far from zero.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector256<double> Shift<T>(MapCoefficients map)
            where T : IElement =>
            T.IsSingle ? map.Shift - Vector256.ConditionalSelect(Vector256.Equals(map.CenterLow, Vector256<double>.Zero), Vector256<double>.Zero, map.CenterLow * map.Factor) : map.Shift;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private SeriesCoefficients Of(double* at, long component) => new(
            Vector256.Load(at),
            Vector256.Load(at + _plane),
            Vector256.Load(at + (2 * _plane)),
            Vector256.Load(at + (3 * _plane)),
            _weight is null ? Vector256<double>.One : Vector256.Load(_weight + component),
            _bias is null ? Vector256<double>.Zero : Vector256.Load(_bias + component));

        /// <summary>The same of the first <paramref name="count"/>: the statistics may end there; the parameters are padded.</summary>
        private SeriesCoefficients Some(double* at, long component, int count)
        {
            var padded = stackalloc double[4 * Vector256<double>.Count];
            for (var i = 0; i < count; i++)
                (padded[i], padded[4 + i], padded[8 + i], padded[12 + i]) = (at[i], at[_plane + i], at[(2 * _plane) + i], at[(3 * _plane) + i]);
            return new(
                Vector256.Load(padded),
                Vector256.Load(padded + 4),
                Vector256.Load(padded + 8),
                Vector256.Load(padded + 12),
                _weight is null ? Vector256<double>.One : Vector256.Load(_weight + component),
                _bias is null ? Vector256<double>.Zero : Vector256.Load(_bias + component));
        }
    }

    /// <summary>How many runs of coefficients there are.</summary>
    private static int Runs<T>()
        where T : IElement => T.IsSingle ? 4 : 6;

    /// <summary>The columns of a series that float32 does not do for, by float64, from what was there before the others were mapped: without a center and a shift where these are null.</summary>
    private static void MapLost<T>(Float32Series singles, SeriesGroups x, byte* y, long series, double* center, double* factor, double* shift, bool fillsWithZero, byte* gathered, byte* narrowed)
        where T : IElement
    {
        if (singles.CountLost(x.Width) == 0)
            return;
        var listed = singles.ListLost(x.Width);
        for (long group = 0; group < x.Count; group += x.Chunk)
        {
            var (from, to) = (x.Read<T>(series, group, x.Chunk, gathered), x.Results<T>(y, series, group, x.Chunk, narrowed));
            singles.MapLost((float*)from.Start, (float*)to.Start, from.Length / x.Width, x.Width, listed, center, factor, shift, fillsWithZero);
            x.Narrow(y, series, group, x.Chunk, narrowed);
        }
    }

    private struct ForwardWork<T> : IWork
        where T : IElement
    {
        public SeriesGroups Source; // with a mask, and not of half precision, it is copied to the output, NaN where values are missing, and mapped there
        public bool IsCopied;
        public SeriesGroups X;
        public byte* Y;
        public Coefficients Series;
        public double* Measured;
        public StatisticsOptions Options;
        public bool FillsWithZero;
        public Blocks Blocks;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long block)
        {
            var (run, singles) = (Lanes.Padded(X.Columns), Float32Series.Room<T>(X));
            var chunk = IsCopied ? 1 : X.Chunk; // in float64 a row's last values are written with some of the next, which a mask's rows still hold
            using var room = new Float64Buffer((Runs<T>() * run) + singles + Source.Gathered + X.Narrowed + (Measured is null ? 0 : SeriesStatistics<T>.Room(X)));
            var coefficients = room.At;
            var gathered = coefficients + (Runs<T>() * run) + singles;
            var narrowed = (byte*)(gathered + Source.Gathered);
            var statistics = new SeriesStatistics<T>(X, Measured, Options, (byte*)gathered, gathered + Source.Gathered + X.Narrowed);
            for (var series = Blocks.First(block); series < Blocks.End(block); series++)
            {
                if (IsCopied)
                    Source.Copy<T>(series, Y, (byte*)gathered);
                if (Measured is not null)
                    statistics.Measure(series);
                Series.Write<T>(series, coefficients, run);
                if (T.IsSingle && TryMapSingles(series, coefficients, run, (byte*)gathered, narrowed))
                    continue;
                X.Repeat(coefficients, run, Runs<T>());
                for (long group = 0; group < X.Count; group += chunk)
                {
                    Row<T> x = X.Read<T>(series, group, chunk, (byte*)gathered), y = X.Write<T>(Y, series, group, chunk, narrowed, keepsTheNext: IsCopied);
                    if (T.IsSingle)
                        Write(x, y, X.Columns, coefficients, run, FillsWithZero);
                    else if (Vector512.IsHardwareAccelerated)
                        Write<Float64x8>((double*)x.Start, (double*)y.Start, x.Length, X.Columns, coefficients, run, FillsWithZero);
                    else
                        Write<Float64x4>((double*)x.Start, (double*)y.Start, x.Length, X.Columns, coefficients, run, FillsWithZero);
                    X.Narrow(Y, series, group, chunk, narrowed);
                }
            }
        }

        /// <summary>The same in float32, where that is as good.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private readonly bool TryMapSingles(long series, double* coefficients, long run, byte* gathered, byte* narrowed)
        {
            var singles = new Float32Series(X, coefficients, run, (float*)(coefficients + (Runs<T>() * run)));
            if (singles.CountLost(X.Width) == X.Width)
                return false;
            var (chunk, haveReached) = (X.Chunk, false);
            singles.ClearReached();
            for (long group = 0; group < X.Count; group += chunk)
            {
                var (x, y) = (X.Read<T>(series, group, chunk, gathered), X.Write<T>(Y, series, group, chunk, narrowed));
                singles.Map(x.Start, y.Start, x.Length, FillsWithZero);
                haveReached = haveReached || singles.Reach(y.Start, y.Length, X.Width);
                X.Narrow(Y, series, group, chunk, narrowed);
            }
            if (!haveReached)
                singles.LoseUnreached(X.Width);
            MapLost<T>(singles, Source, Y, series, coefficients, coefficients + (2 * run), coefficients + (3 * run), FillsWithZero, gathered, narrowed);
            return true;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void Write(Row<T> x, Row<T> y, long columns, double* coefficients, long run, bool fillsWithZero)
        {
            for (long at = 0; at < x.Length; at += columns)
            {
                var (i, length) = (0L, Math.Min(columns, x.Length - at));
                for (; i <= length - Lanes.Count; i += Lanes.Count)
                    y.Set(at + i, Mapped(x[at + i], coefficients + i, run, fillsWithZero));
                if (i < length)
                    y.SetPart(at + i, Mapped(x.Part(at + i), coefficients + i, run, fillsWithZero), length - i);
            }
        }

        /// <summary>The same of float64, with what each operation loses.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void Write<TVector>(double* x, double* y, long length, long columns, double* coefficients, long run, bool fillsWithZero)
            where TVector : struct, IFloat64Vector<TVector>
        {
            for (; length > 0; length -= columns, x += columns, y += columns)
            {
                var (i, count) = (0L, Math.Min(columns, length));
                for (; i <= count - TVector.Count; i += TVector.Count)
                    Mapped(TVector.Load(x + i), coefficients + i, run, fillsWithZero).Store(y + i);
                if (i < count)
                    WriteLast<TVector>(x + i, y + i, count - i, coefficients + i, run, fillsWithZero);
            }
        }

        // A method of its own: what may call another keeps nothing in registers.
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void WriteLast<TVector>(double* x, double* y, long count, double* coefficients, long run, bool fillsWithZero)
            where TVector : struct, IFloat64Vector<TVector>
        {
            var last = stackalloc double[TVector.Count];
            Buffer.MemoryCopy(x, last, count * sizeof(double), count * sizeof(double));
            Mapped(TVector.Load(last), coefficients, run, fillsWithZero).Store(last);
            Buffer.MemoryCopy(last, y, count * sizeof(double), count * sizeof(double));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVector Mapped<TVector>(TVector x, double* center, long run, bool fillsWithZero)
            where TVector : struct, IFloat64Vector<TVector>
        {
            var v = Pair<TVector>.Difference(x, TVector.Load(center));
            v = new Pair<TVector>(v.High, v.Low - TVector.Load(center + run)) * new Pair<TVector>(TVector.Load(center + (2 * run)), TVector.Load(center + (4 * run)));
            var y = new Pair<TVector>(v.High, v.Low + TVector.Load(center + (5 * run))).Plus(TVector.Load(center + (3 * run)));
            return T.HasGaps && fillsWithZero ? y & x.Observed() : y;
        }

        /// <summary><c>y = (x - center) · factor + shift</c>, and a missing value that does not stay NaN becomes zero.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Lanes Mapped(Lanes x, double* center, long run, bool fillsWithZero)
        {
            var y = ((x - Lanes.Load(center)) * Lanes.Load(center + (2 * run))) + Lanes.Load(center + (3 * run));
            return T.HasGaps && fillsWithZero ? y & x.Observed() : y;
        }
    }

    private struct BackwardWork<T> : IWork
        where T : IElement
    {
        public SeriesGroups X;
        public SeriesGroups GradOutput;
        public byte* GradX;
        public double* WeightSums;
        public double* BiasSums;
        public Coefficients Series;
        public Blocks Blocks;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long block)
        {
            var (columns, run, length) = (X.Columns, Lanes.Padded(X.Columns), Float64Buffer.Padded<T>(Series.Components));
            var isSingle = T.IsSingle && !T.HasGaps && GradX is not null;
            var (singles, sums, chunk) = (isSingle ? Float32Series.Room<T>(X) : 0, Float64Buffer.Padded<T>(columns), Math.Min(X.Chunk, GradOutput.Chunk));
            using var room = new Float64Buffer((Runs<T>() * run) + singles + (2 * sums) + X.Gathered + GradOutput.Gathered + X.Narrowed);
            var coefficients = room.At;
            var along = coefficients + (Runs<T>() * run) + singles;
            var gathered = (byte*)(along + (2 * sums));
            var gatheredGrad = gathered + (X.Gathered * sizeof(double));
            var narrowed = gatheredGrad + (GradOutput.Gathered * sizeof(double));
            var weightSums = Sum.Cleared(WeightSums, block, length);
            var biasSums = Sum.Cleared(BiasSums, block, length);
            for (var series = Blocks.First(block); series < Blocks.End(block); series++)
            {
                Series.Write<T>(series, coefficients, run);
                var inSingles = isSingle ? new(X, coefficients, run, (float*)(coefficients + (Runs<T>() * run))) : default(Float32Series);
                var areSingles = isSingle && inSingles.CountLost(X.Width) < X.Width;
                X.Repeat(coefficients, run, areSingles ? 1 : Runs<T>());
                if (weightSums is not null)
                    new Span<double>(along, (int)(2 * sums)).Clear();
                for (long group = 0; group < X.Count; group += chunk)
                {
                    var go = GradOutput.Read<T>(series, group, chunk, gatheredGrad);
                    var x = T.HasGaps || weightSums is not null ? X.Read<T>(series, group, chunk, gathered) : go;
                    var gx = GradX is null ? default : X.Write<T>(GradX, series, group, chunk, narrowed);
                    var scaled = 0L;
                    if (weightSums is not null && T.IsSingle)
                        scaled = AddUp(x, go, areSingles ? (float*)gx.Start : null, columns, coefficients, inSingles.Factors, along, along + sums);
                    else if (weightSums is not null && Vector512.IsHardwareAccelerated)
                        AddUp<Float64x8>((double*)x.Start, (double*)go.Start, x.Length, columns, coefficients, run, along, along + sums);
                    else if (weightSums is not null)
                        AddUp<Float64x4>((double*)x.Start, (double*)go.Start, x.Length, columns, coefficients, run, along, along + sums);
                    if (areSingles)
                        inSingles.Scale((float*)go.Start + scaled, (float*)gx.Start + scaled, go.Length - scaled);
                    else if (GradX is not null)
                        Scale(x, go, gx, columns, coefficients + (2 * run));
                    if (GradX is not null)
                        X.Narrow(GradX, series, group, chunk, narrowed);
                }
                if (areSingles)
                    MapLost<T>(inSingles, GradOutput, GradX, series, null, coefficients + (2 * run), null, false, gatheredGrad, narrowed);
                if (weightSums is not null)
                    AddSeries(series, along, along + sums, coefficients + run, weightSums, biasSums);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void Scale(Row<T> x, Row<T> go, Row<T> gx, long columns, double* factor)
        {
            for (long at = 0; at < go.Length; at += columns)
            {
                var (i, length) = (0L, Math.Min(columns, go.Length - at));
                for (; i <= length - Lanes.Count; i += Lanes.Count)
                    gx.Set(at + i, Reaching(go[at + i] * Lanes.Load(factor + i), x, at + i)); // last, as the factor may be infinite
                if (i < length)
                    gx.SetPart(at + i, ReachingPart(go.Part(at + i) * Lanes.Load(factor + i), x, at + i), length - i);
            }
        }

        /// <summary>Adds up what the parameters' gradients need, and multiplies gradients by the factors where <paramref name="gx"/> is not null: the processor computes the one while it waits for the memory of the other.</summary>
        /// <returns>How many gradients are in whole fours of groups, which are those that it multiplies.</returns>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static long AddUp(Row<T> x, Row<T> go, float* gx, long columns, double* center, float* factors, double* along, double* sums)
        {
            var (at, four, run) = (0L, SeriesGroups.AtATime * columns, Lanes.Padded(columns));
            for (; at <= x.Length - four; at += four) // four groups at a time: the sums pass through registers once
            {
                var i = 0L;
                for (; i <= columns - Lanes.Count; i += Lanes.Count)
                {
                    var last = at + (3 * columns) + i;
                    if (Vector512.IsHardwareAccelerated)
                        AddFour<Float64x8>((float*)x.Start + at + i, (float*)go.Start + at + i, columns, center + i, along + i, sums + i);
                    else
                        AddFour<Float64x4>((float*)x.Start + at + i, (float*)go.Start + at + i, columns, center + i, along + i, sums + i);
                    if (gx is not null)
                        Float32Series.ScaleFour((float*)go.Start + at + i, gx + at + i, columns, factors + i, run);
                    for (var next = last + columns; next <= last + four; next += columns)
                        Row<T>.Prefetch(x, go, next);
                }
                if (i == columns)
                    continue;
                AddLastFour(x, go, at + i, columns, center + i, along + i, sums + i);
                i = columns - Lanes.Count;
                if (gx is not null)
                    Float32Series.ScaleFour((float*)go.Start + at + i, gx + at + i, columns, factors + i, run);
            }
            var inFours = at;
            for (; at < x.Length; at += columns)
            {
                var (i, length) = (0L, Math.Min(columns, x.Length - at));
                for (; i <= length - Lanes.Count; i += Lanes.Count)
                    Add(x[at + i], go[at + i], center + i, along + i, sums + i);
                if (i < length)
                    AddLast(x, go, at + i, length - i, center + i, along + i, sums + i);
            }
            return inFours;
        }

        /// <summary>The same of float64, with what each operation loses.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void AddUp<TVector>(double* x, double* go, long length, long columns, double* center, long run, double* along, double* sums)
            where TVector : struct, IFloat64Vector<TVector>
        {
            for (; length > 0; length -= columns, x += columns, go += columns)
            {
                var (i, count) = (0L, Math.Min(columns, length));
                for (; i <= count - TVector.Count; i += TVector.Count)
                    Add(TVector.Load(x + i), TVector.Load(go + i), center + i, run, along + i, sums + i);
                if (i < count)
                    AddLast<TVector>(x + i, go + i, count - i, center + i, run, along + i, sums + i);
            }
        }

        /// <summary>Takes sixteen columns of four groups.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void AddFour<TVector>(float* x, float* go, long columns, double* center, double* along, double* sums)
            where TVector : struct, IFloat64Vector<TVector>
        {
            for (var i = 0; i < Lanes.Count; i += TVector.Count)
            {
                TVector first = TVector.Load(center + i), dot = TVector.Load(along + i), sum = TVector.Load(sums + i);
                for (var group = 0; group < SeriesGroups.AtATime; group++)
                {
                    TVector value = TVector.Widen(x + (group * columns) + i), v = value - first, g = TVector.Widen(go + (group * columns) + i);
                    if (T.HasGaps)
                        (v, g) = (v & value.Observed(), g & value.Observed());
                    dot += g * v;
                    sum += g;
                }
                dot.Store(along + i);
                sum.Store(sums + i);
            }
        }

        // A method of its own, as the one below: what may call another keeps nothing in registers.
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void AddLastFour(Row<T> x, Row<T> go, long at, long columns, double* center, double* along, double* sums)
        {
            var (first, dot, sum) = (Lanes.Load(center), Lanes.Load(along), Lanes.Load(sums));
            for (var group = 0; group < SeriesGroups.AtATime; group++)
                AddTo(ref dot, ref sum, x.Part(at + (group * columns)), go.Part(at + (group * columns)), first);
            dot.Store(along);
            sum.Store(sums);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void AddLast(Row<T> x, Row<T> go, long at, long count, double* center, double* along, double* sums) =>
            Add(x.Part(at).First(count), go.Part(at).First(count), center, along, sums);

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void AddLast<TVector>(double* x, double* go, long count, double* center, long run, double* along, double* sums)
            where TVector : struct, IFloat64Vector<TVector>
        {
            double* lastX = stackalloc double[TVector.Count], lastGo = stackalloc double[TVector.Count];
            Buffer.MemoryCopy(x, lastX, count * sizeof(double), count * sizeof(double));
            Buffer.MemoryCopy(go, lastGo, count * sizeof(double), count * sizeof(double));
            Add(TVector.Load(lastX), TVector.Load(lastGo), center, run, along, sums);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Add(Lanes x, Lanes go, double* center, double* along, double* sums)
        {
            var (dot, sum) = (Lanes.Load(along), Lanes.Load(sums));
            AddTo(ref dot, ref sum, x, go, Lanes.Load(center));
            dot.Store(along);
            sum.Store(sums);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Add<TVector>(TVector x, TVector go, double* center, long run, double* along, double* sums)
            where TVector : struct, IFloat64Vector<TVector>
        {
            var v = Pair<TVector>.Difference(x, TVector.Load(center));
            v = new(v.High, v.Low - TVector.Load(center + run));
            if (T.HasGaps)
                (v, go) = (new(v.High & x.Observed(), v.Low & x.Observed()), go & x.Observed());
            v *= go;
            TVector dot = TVector.Load(along), dotLost = TVector.Load(along + run), sum = TVector.Load(sums), sumLost = TVector.Load(sums + run);
            Sum.Add(ref dot, ref dotLost, v.High);
            Sum.Add(ref sum, ref sumLost, go);
            dot.Store(along);
            (dotLost + v.Low).Store(along + run);
            sum.Store(sums);
            sumLost.Store(sums + run);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void AddTo(ref Lanes dot, ref Lanes sum, Lanes x, Lanes go, Lanes center)
        {
            var (v, g) = (x - center, go);
            if (T.HasGaps)
                (v, g) = (v & x.Observed(), g & x.Observed());
            dot += g * v;
            sum += g;
        }

        /// <summary>A gradient where there is a value for it to reach, else zero.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Lanes Reaching(Lanes go, Row<T> x, long i) => T.HasGaps ? go & x[i].Observed() : go;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Lanes ReachingPart(Lanes go, Row<T> x, long i) => T.HasGaps ? go & x.Part(i).Observed() : go;

        /// <summary>Of float32, whose components have a column each: adds them four at a time. Answers how many.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private readonly long AddComponents(long series, double* along, double* sums, double* centerLow, double* weightSums, double* biasSums)
        {
            var (c, columns, width) = (0L, X.Columns, X.Width);
            for (; c <= width - Vector256<double>.Count; c += Vector256<double>.Count)
            {
                Vector256<double> total = default, dot = default;
                for (var i = c; i < columns; i += width)
                {
                    total += Vector256.Load(sums + i);
                    dot += Vector256.Load(along + i);
                }
                dot -= Vector256.Load(centerLow + c) * total & Vector256.Equals(total - total, Vector256<double>.Zero);
                var (weight, bias) = Series.Gradients(series, c, dot, total);
                (Vector256.Load(weightSums + c) + weight).Store(weightSums + c);
                (Vector256.Load(biasSums + c) + bias).Store(biasSums + c);
            }
            return c;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void AddSeries(long series, double* along, double* sums, double* centerLow, double* weightSums, double* biasSums)
        {
            var (columns, width, run, lost) = (X.Columns, X.Width, Lanes.Padded(X.Columns), Lanes.Padded(Series.Components));
            for (var kind = T.IsSingle && Series.Components == width ? AddComponents(series, along, sums, centerLow, weightSums, biasSums) : 0; kind < Series.Components * Series.Kinds; kind++)
            {
                double total = 0, totalLost = 0, dot = 0, dotLost = 0; // of float32 nothing is lost that shows
                for (var first = kind * Series.Alike; first < columns; first += width)
                {
                    for (var i = first; i < first + Series.Alike; i++)
                    {
                        Sum.Add<T>(ref total, ref totalLost, sums[i]);
                        Sum.Add<T>(ref dot, ref dotLost, along[i]);
                        if (!T.IsSingle)
                            (totalLost, dotLost) = (totalLost + sums[run + i], dotLost + along[run + i]);
                    }
                }
                var (c, of) = (kind / Series.Kinds, kind % Series.Kinds);
                if (T.IsSingle)
                    dot -= double.IsFinite(total) ? centerLow[kind * Series.Alike] * total : 0; // what the center lost, of all values at once: in float64 each lost its own
                var (weight, bias) = Series.Gradients(series, c, of, dot, total);
                if (T.IsSingle)
                {
                    weightSums[c] += weight;
                    biasSums[c] += bias;
                    continue;
                }
                Sum.Add<T>(ref weightSums[c], ref weightSums[lost + c], weight);
                Sum.Add<T>(ref biasSums[c], ref biasSums[lost + c], bias);
                (weight, bias) = Series.Gradients(series, c, of, double.IsFinite(dot) ? dotLost : 0, double.IsFinite(total) ? totalLost : 0); // what an infinity lost says nothing
                weightSums[lost + c] += weight;
                biasSums[lost + c] += bias;
            }
        }
    }
}
