namespace Darts.Norm.Tests;

/// <summary>The process's default dtype and device, which a layer without its own takes.</summary>
[Collection(nameof(Alone))]
public sealed class DefaultsTests
{
    public static TheoryData<string> NamesWithParameters => Layers.NamesWithParameters;

    [Theory]
    [MemberData(nameof(NamesWithParameters))]
    public void Constructor_NoDtypeOrDevice_TakesThoseSetForTheProcess(string name)
    {
        try
        {
            set_default_dtype(ScalarType.Float64);
            set_default_device(META);
            using var layer = Layers.All[name].Make(null, null);
            layer.parameters().All(parameter => parameter.dtype == ScalarType.Float64 && parameter.device_type == DeviceType.META).Should().BeTrue();
            using var explicitly = Layers.All[name].Make(CPU, ScalarType.Float16);
            explicitly.parameters().All(parameter => parameter.dtype == ScalarType.Float16 && parameter.device_type == DeviceType.CPU).Should().BeTrue();
        }
        finally
        {
            set_default_dtype(ScalarType.Float32);
            set_default_device(CPU);
        }
    }
}
