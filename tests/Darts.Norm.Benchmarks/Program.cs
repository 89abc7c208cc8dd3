using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Darts.Norm.Benchmarks;

if (args is ["--missing", ..])
{
    MissingValues.Print([1, 2], [ScalarType.Float32, ScalarType.BFloat16]);
    return;
}

if (args is ["--quick", .. var which])
{
    // A dtype, a number of threads and parts of rows' names narrow the table: --quick Float64 threads=1 RINorm.
    var threads = which.Where(argument => argument.StartsWith("threads=")).Select(argument => int.Parse(argument[8..])).ToList();
    var dtypes = which.Where(argument => Enum.IsDefined(typeof(ScalarType), argument)).Select(Enum.Parse<ScalarType>).ToList();
    var names = which.Where(argument => !argument.StartsWith("threads=") && !Enum.IsDefined(typeof(ScalarType), argument)).ToList();
    Quick.Print([.. Row.All.Where(row => names.All(name => row.ToString().Contains(name)))], threads is [] ? [1, 2] : threads, dtypes is [] ? ScalarType.Float32 : dtypes[0]);
    return;
}

// In this process: BenchmarkDotNet's own projects would not get the mended native library.
var job = Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance);
var wholeNames = SummaryStyle.Default.WithMaxParameterColumnWidth(60);
BenchmarkSwitcher.FromAssembly(typeof(NormBenchmarks).Assembly).Run(args, DefaultConfig.Instance.AddJob(job).WithSummaryStyle(wholeNames));
