using System.Runtime.CompilerServices;

namespace Darts.Norm.Kernels;

/// <summary><c>y = (x - center) · factor + shift</c>, each of these one number for a component of a series.</summary>
/// <param name="Center">What is subtracted.</param>
/// <param name="CenterLow">What <paramref name="Center"/> lost by rounding.</param>
/// <param name="Factor">What is multiplied by.</param>
/// <param name="Shift">What is added.</param>
internal readonly record struct MapCoefficients(double Center, double CenterLow, double Factor, double Shift);

/// <summary>What a component of a series is mapped by.</summary>
internal readonly record struct SeriesCoefficients(double Mean, double MeanLow, double Stdev, double Weight, double Bias);

/// <summary>A map whose coefficients come from a series' statistics and a component's parameters. Only what differs between them.</summary>
internal interface ISeriesFormula
{
    /// <summary>How many values of a time step belong to one component.</summary>
    public long Repeat { get; }

    /// <summary>In how many equal runs these are mapped each in its own way.</summary>
    public long Kinds { get; }

    public MapCoefficients Coefficients(long kind, SeriesCoefficients of);

    /// <summary>The gradients of weight and bias, from the sums over a series of <c>go · (x - center)</c> and of <c>go</c>.</summary>
    public (double weight, double bias) Gradients(long kind, double along, double sum, SeriesCoefficients of);
}

/// <summary>Forward and backward of an <see cref="ISeriesFormula"/>, whatever the dtypes, strides, sizes and threads.</summary>
internal static unsafe class SeriesMap<TFormula>
    where TFormula : struct, ISeriesFormula
{
    /// <param name="formula">What to compute.</param>
    /// <param name="inputs">x is (batch, time, ..., components) and, where the formula repeats, an axis of that size; weight and bias are (components), or null for one and zero.</param>
    /// <param name="measure">How to take the statistics from x first; null where they are there.</param>
    /// <param name="gaps">Which values of x are missing.</param>
    public static Tensor Forward(TFormula formula, Inputs inputs, Measure? measure, Gaps gaps) => (inputs.X.dtype, gaps.Missing != Missing.None) switch
    {
        (ScalarType.Float16, false) => Forward<Float16>(formula, inputs, measure, gaps),
        (ScalarType.BFloat16, false) => Forward<BFloat16>(formula, inputs, measure, gaps),
        (ScalarType.Float32, false) => Forward<Float32>(formula, inputs, measure, gaps),
        (_, false) => Forward<Float64>(formula, inputs, measure, gaps),
        (ScalarType.Float16, true) => Forward<Gaps<Float16>>(formula, inputs, measure, gaps),
        (ScalarType.BFloat16, true) => Forward<Gaps<BFloat16>>(formula, inputs, measure, gaps),
        (ScalarType.Float32, true) => Forward<Gaps<Float32>>(formula, inputs, measure, gaps),
        (_, true) => Forward<Gaps<Float64>>(formula, inputs, measure, gaps),
    };

    /// <summary>The gradients that are wanted, the others null.</summary>
    public static Gradients Backward(TFormula formula, Inputs inputs, Tensor gradOutput, Gaps gaps, Wanted wanted) =>
        (inputs.X.dtype, gaps.Missing != Missing.None) switch
        {
            (ScalarType.Float16, false) => Backward<Float16>(formula, inputs, gradOutput, wanted),
            (ScalarType.BFloat16, false) => Backward<BFloat16>(formula, inputs, gradOutput, wanted),
            (ScalarType.Float32, false) => Backward<Float32>(formula, inputs, gradOutput, wanted),
            (_, false) => Backward<Float64>(formula, inputs, gradOutput, wanted),
            (ScalarType.Float16, true) => Backward<Gaps<Float16>>(formula, inputs, gradOutput, wanted),
            (ScalarType.BFloat16, true) => Backward<Gaps<BFloat16>>(formula, inputs, gradOutput, wanted),
            (ScalarType.Float32, true) => Backward<Gaps<Float32>>(formula, inputs, gradOutput, wanted),
            (_, true) => Backward<Gaps<Float64>>(formula, inputs, gradOutput, wanted),
        };

    private static Tensor Forward<T>(TFormula formula, Inputs inputs, Measure? measure, Gaps gaps)
        where T : IElement
    {
        var (x, weight, bias, statistics, mask) = inputs;
        var output = Memory.Like(x);
        var components = statistics!.size(-1);
        var source = new SeriesGroups(ref x, components * formula.Repeat, ref mask);
        var groups = mask is null ? source : new(ref output, components * formula.Repeat);
        using var w = Doubles.Of(weight, components);
        using var b = Doubles.Of(bias, components);
        var blocks = new Blocks(groups.Batch, groups.Steps * groups.Width);
        Workers.Run(
            new ForwardWork<T>
            {
                Source = source,
                IsMasked = mask is not null,
                X = groups,
                Y = Memory.Start(output),
                Series = new(formula, groups, statistics, w, b),
                Measured = measure is null ? null : (double*)Memory.Start(statistics),
                Measure = measure.GetValueOrDefault(),
                FillsWithZero = gaps.Missing == Missing.Zero,
                Blocks = blocks,
            },
            blocks.Count,
            groups.Batch * groups.Steps * groups.Width);
        GC.KeepAlive(x);
        GC.KeepAlive(mask);
        GC.KeepAlive(statistics);
        return output;
    }

    private static Gradients Backward<T>(TFormula formula, Inputs inputs, Tensor gradOutput, Wanted wanted)
        where T : IElement
    {
        var (x, weight, bias, statistics, mask) = inputs;
        var gradX = wanted.X ? Memory.Like(x) : null;
        var components = statistics!.size(-1);
        var groups = new SeriesGroups(ref x, components * formula.Repeat, ref mask);
        var gradGroups = new SeriesGroups(ref gradOutput, components * formula.Repeat);
        using var w = Doubles.Of(weight, components);
        using var b = Doubles.Of(bias, components);
        var blocks = new Blocks(groups.Batch, groups.Steps * groups.Width);
        var length = Doubles.Padded<T>(components);
        using var weightSums = wanted.Weight || wanted.Bias ? new Doubles(length * blocks.Count) : default;
        using var biasSums = wanted.Weight || wanted.Bias ? new Doubles(length * blocks.Count) : default;
        Workers.Run(
            new BackwardWork<T>
            {
                X = groups,
                GradOutput = gradGroups,
                GradX = gradX is null ? null : Memory.Start(gradX),
                WeightSums = weightSums.At,
                BiasSums = biasSums.At,
                Series = new(formula, groups, statistics, w, b),
                Blocks = blocks,
            },
            blocks.Count,
            groups.Batch * groups.Steps * groups.Width);
        GC.KeepAlive(x);
        GC.KeepAlive(mask);
        GC.KeepAlive(gradOutput);
        GC.KeepAlive(statistics);
        return new(
            gradX,
            wanted.Weight ? Sum.Combined<T>(weightSums, blocks.Count, weight!) : null,
            wanted.Bias ? Sum.Combined<T>(biasSums, blocks.Count, bias!) : null);
    }

    /// <summary>The coefficients of each column of a group.</summary>
    private readonly struct Coefficients(TFormula formula, SeriesGroups groups, Tensor statistics, Doubles weight, Doubles bias)
    {
        private readonly TFormula _formula = formula;
        private readonly double* _statistics = (double*)Memory.Start(statistics);
        private readonly double* _weight = weight.At;
        private readonly double* _bias = bias.At;
        private readonly long _columns = groups.Columns;
        private readonly long _plane = groups.Batch * (groups.Width / formula.Repeat);

        public long Components { get; } = groups.Width / formula.Repeat;

        public long Kinds { get; } = formula.Kinds;

        /// <summary>How many columns of a component follow each other that are mapped alike.</summary>
        public long Alike { get; } = formula.Repeat / formula.Kinds;

        public (double weight, double bias) Gradients(long series, long component, long kind, double along, double sum) =>
            _formula.Gradients(kind, along, sum, Of(series, component));

        /// <summary>Writes four runs of columns: centers, what they lost, factors, shifts.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Write(long series, double* to, long run)
        {
            long i = 0;
            for (long c = 0; c < Components; c++)
            {
                var of = Of(series, c);
                for (long kind = 0; kind < Kinds; kind++)
                {
                    var map = _formula.Coefficients(kind, of);
                    for (var end = i + Alike; i < end; i++)
                        (to[i], to[run + i], to[(2 * run) + i], to[(3 * run) + i]) = (map.Center, map.CenterLow, map.Factor, map.Shift);
                }
            }
            for (var written = i; written < _columns; written *= 2)
            {
                var more = Math.Min(written, _columns - written) * sizeof(double);
                for (var coefficient = to; coefficient < to + (4 * run); coefficient += run)
                    Buffer.MemoryCopy(coefficient, coefficient + written, more, more);
            }
        }

        private SeriesCoefficients Of(long series, long component)
        {
            var at = _statistics + (series * Components) + component;
            return new(at[0], at[_plane], at[2 * _plane], _weight is null ? 1 : _weight[component], _bias is null ? 0 : _bias[component]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes Centered<T>(Lanes x, double* center, long run)
        where T : IElement
    {
        var v = x - Lanes.Load(center);
        return T.FitsInDouble ? v : v - Lanes.Load(center + run);
    }

    private struct ForwardWork<T> : IWork
        where T : IElement
    {
        public SeriesGroups Source; // with a mask it is copied to the output, NaN where values are missing, and mapped there
        public bool IsMasked;
        public SeriesGroups X;
        public byte* Y;
        public Coefficients Series;
        public double* Measured;
        public Measure Measure;
        public bool FillsWithZero;
        public Blocks Blocks;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long block)
        {
            var run = Lanes.Padded(X.Columns);
            using var coefficients = new Doubles(4 * run);
            using var gathered = new Doubles(Source.Gathered);
            using var statistics = Measured is null ? default : new SeriesStatistics<T>(X, Measured, Measure);
            for (var series = Blocks.First(block); series < Blocks.End(block); series++)
            {
                if (IsMasked)
                    Source.Copy<T>(series, Y, (byte*)gathered.At);
                if (Measured is not null)
                    statistics.Measure(series);
                Series.Write(series, coefficients.At, run);
                for (long group = 0; group < X.Count; group++)
                    Write(X.Read<T>(series, group, (byte*)gathered.At), X.Write<T>(Y, series, group, keepsTheNext: IsMasked), coefficients.At, run, FillsWithZero);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Write(Row<T> x, Row<T> y, double* coefficients, long run, bool fillsWithZero)
        {
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
                y.Set(i, Mapped(x[i], coefficients + i, run, fillsWithZero));
            if (i < x.Length)
                y.SetTail(Mapped(x.Tail, coefficients + i, run, fillsWithZero));
        }

        /// <summary><c>y = (x - center) · factor + shift</c>, and a missing value that does not stay NaN becomes zero.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Lanes Mapped(Lanes x, double* center, long run, bool fillsWithZero)
        {
            var y = (Centered<T>(x, center, run) * Lanes.Load(center + (2 * run))) + Lanes.Load(center + (3 * run));
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
            var (columns, run, length) = (X.Columns, Lanes.Padded(X.Columns), Doubles.Padded<T>(Series.Components));
            using var coefficients = new Doubles(4 * run);
            using var along = new Doubles(Doubles.Padded<T>(columns));
            using var sums = new Doubles(Doubles.Padded<T>(columns));
            using var gathered = new Doubles(X.Gathered);
            using var gatheredGrad = new Doubles(GradOutput.Gathered);
            var weightSums = Sum.Cleared(WeightSums, block, length);
            var biasSums = Sum.Cleared(BiasSums, block, length);
            for (var series = Blocks.First(block); series < Blocks.End(block); series++)
            {
                Series.Write(series, coefficients.At, run);
                if (weightSums is not null)
                {
                    along.Clear();
                    sums.Clear();
                }
                for (long group = 0; group < X.Count; group++)
                {
                    var go = GradOutput.Read<T>(series, group, (byte*)gatheredGrad.At);
                    var x = T.HasGaps || weightSums is not null ? X.Read<T>(series, group, (byte*)gathered.At) : go;
                    if (GradX is not null)
                        Scale(x, go, X.Write<T>(GradX, series, group), coefficients.At + (2 * run));
                    if (weightSums is not null)
                        AddUp(x, go, coefficients.At, run, along.At, sums.At);
                }
                if (weightSums is not null)
                    AddSeries(series, along.At, sums.At, weightSums, biasSums);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Scale(Row<T> x, Row<T> go, Row<T> gx, double* factor)
        {
            var i = 0L;
            for (; i < go.Whole; i += Lanes.Count)
                gx.Set(i, Reaching(go[i], x, i) * Lanes.Load(factor + i));
            if (i < go.Length)
                gx.SetTail((T.HasGaps ? go.Tail & x.Tail.Observed() : go.Tail) * Lanes.Load(factor + i));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void AddUp(Row<T> x, Row<T> go, double* center, long run, double* along, double* sums)
        {
            var i = 0L;
            for (; i < x.Whole; i += Lanes.Count)
            {
                var v = Centered<T>(x[i], center + i, run);
                Add(T.HasGaps ? v & x[i].Observed() : v, Reaching(go[i], x, i), along, sums, run, i);
            }
            if (i < x.Length)
            {
                var v = x.OnRow(Centered<T>(x.Tail, center + i, run));
                Add(T.HasGaps ? v & x.Tail.Observed() : v, T.HasGaps ? go.Tail & x.Tail.Observed() : go.Tail, along, sums, run, i);
            }
        }

        /// <summary>The incoming gradient where there is a value for it to reach, else zero.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Lanes Reaching(Lanes go, Row<T> x, long i) => T.HasGaps ? go & x[i].Observed() : go;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Add(Lanes v, Lanes go, double* along, double* sums, long run, long i)
        {
            Sum.AddProductAt<T>(along, run, i, go, v);
            Sum.AddAt<T>(sums, run, i, go);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void AddSeries(long series, double* along, double* sums, double* weightSums, double* biasSums)
        {
            var (columns, width, lost) = (X.Columns, X.Width, Lanes.Padded(Series.Components));
            Sum.Round<T>(along, columns);
            Sum.Round<T>(sums, columns);
            for (long kind = 0; kind < Series.Components * Series.Kinds; kind++)
            {
                double total = 0, totalLost = 0, dot = 0, dotLost = 0;
                for (var first = kind * Series.Alike; first < columns; first += width)
                {
                    for (var i = first; i < first + Series.Alike; i++)
                    {
                        Sum.Add<T>(ref total, ref totalLost, sums[i]);
                        Sum.Add<T>(ref dot, ref dotLost, along[i]);
                    }
                }
                var c = kind / Series.Kinds;
                var (weight, bias) = Series.Gradients(series, c, kind % Series.Kinds, dot + dotLost, total + totalLost);
                if (T.FitsInDouble)
                {
                    weightSums[c] += weight;
                    biasSums[c] += bias;
                    continue;
                }
                Sum.Add<T>(ref weightSums[c], ref weightSums[lost + c], weight);
                Sum.Add<T>(ref biasSums[c], ref biasSums[lost + c], bias);
            }
        }
    }
}

/// <summary>Which values are missing: those that are NaN, and those where the mask is false.</summary>
/// <param name="Missing">What becomes of them; <see cref="Missing.None"/> where NaN is a value like any other.</param>
/// <param name="Mask">Of the values' shape, or with a last axis of 1, true where there is one; null for all.</param>
internal readonly record struct Gaps(Missing Missing, Tensor? Mask);
