using System.Globalization;

namespace Darts.Norm.Tests;

/// <summary>Numbers and tuples as Python prints them. The expected texts were printed by Python.</summary>
public sealed class PythonTextTests
{
    public static TheoryData<double, string> Floats => new()
    {
        { 0.0, "0.0" },
        { 1e-05, "1e-05" },
        { 1e-08, "1e-08" },
        { 0.001, "0.001" },
        { 0.0001, "0.0001" },
        { 0.00012, "0.00012" },
        { 9.999e-05, "9.999e-05" },
        { 1e-06, "1e-06" },
        { 1.5e-07, "1.5e-07" },
        { 0.1, "0.1" },
        { 0.5, "0.5" },
        { 1.0, "1.0" },
        { 2.0, "2.0" },
        { 3.25, "3.25" },
        { 10.0, "10.0" },
        { 100.0, "100.0" },
        { 12345.678, "12345.678" },
        { 100000.0, "100000.0" },
        { 1000000.0, "1000000.0" },
        { 123456789.0, "123456789.0" },
        { 1000000000000000.0, "1000000000000000.0" },
        { 9007199254740992.0, "9007199254740992.0" },
        { 1e+16, "1e+16" },
        { 1.2345678901234568e+17, "1.2345678901234568e+17" },
        { 1e+21, "1e+21" },
        { 1e+22, "1e+22" },
        { 1e+100, "1e+100" },
        { 1.7976931348623157e+308, "1.7976931348623157e+308" },
        { 5e-324, "5e-324" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 0.3333333333333333, "0.3333333333333333" },
        { 0.6666666666666666, "0.6666666666666666" },
        { 0.30000000000000004, "0.30000000000000004" },
        { 3.0000000000000004e-05, "3.0000000000000004e-05" },
        { 1.23e-05, "1.23e-05" },
        { 4503599627370496.0, "4503599627370496.0" },
        { 999999999999999.9, "999999999999999.9" },
        { 9999999999999998.0, "9999999999999998.0" },
        { 5.593551894876305e-122, "5.593551894876305e-122" },
        { 2.447344824270737e+136, "2.447344824270737e+136" },
        { 1.9815067512786456e-13, "1.9815067512786456e-13" },
        { 4.160936901026679e-253, "4.160936901026679e-253" },
        { 1.9395563593289908e-296, "1.9395563593289908e-296" },
        { 2.978917500951542e+30, "2.978917500951542e+30" },
        { 2.9601991824650615e-130, "2.9601991824650615e-130" },
        { 1.3465354175380008e+302, "1.3465354175380008e+302" },
        { 2.245983022630971e-272, "2.245983022630971e-272" },
        { 3639001684489.115, "3639001684489.115" },
        { 7.164674396951389e-87, "7.164674396951389e-87" },
        { 5.9325075851448815e+172, "5.9325075851448815e+172" },
        { -0.0, "-0.0" },
        { -1.5e-7, "-1.5e-07" },
        { -2.5, "-2.5" },
        { double.NaN, "nan" },
        { double.PositiveInfinity, "inf" },
        { double.NegativeInfinity, "-inf" },
    };

    [Theory]
    [MemberData(nameof(Floats))]
    public void Float_AnyValue_IsPythonsRepr(double value, string expected) => PythonText.Float(value).Should().Be(expected);

    [Fact]
    public void Tuple_AnyLength_IsPythonsRepr()
    {
        PythonText.Tuple([4]).Should().Be("(4,)");
        PythonText.Tuple([2, 4]).Should().Be("(2, 4)");
        PythonText.Tuple([1, 2, 3, 4]).Should().Be("(1, 2, 3, 4)");
    }

    [Theory]
    [InlineData(ScalarType.Byte, "torch.uint8")]
    [InlineData(ScalarType.Int8, "torch.int8")]
    [InlineData(ScalarType.Bool, "torch.bool")]
    [InlineData(ScalarType.BFloat16, "torch.bfloat16")]
    [InlineData(ScalarType.ComplexFloat32, "torch.complex64")]
    [InlineData(ScalarType.ComplexFloat64, "torch.complex128")]
    public void Dtype_Values_AreAsPyTorchPrintsThem(ScalarType dtype, string expected) => PythonText.Dtype(dtype).Should().Be(expected);

    [Fact]
    public void Text_AnotherCulture_IsTheSame()
    {
        var german = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        german.NumberFormat.NumberDecimalSeparator = ",";
        german.NumberFormat.NumberGroupSeparator = ".";
        german.NumberFormat.NegativeSign = "−";
        var before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = german;
            foreach (var (value, expected) in Floats.Select(row => ((double)row[0], (string)row[1])))
                PythonText.Float(value).Should().Be(expected);
            using var norm = new LayerNorm([2, 4], eps: 1.5e-3);
            norm.ToString().Should().Be("LayerNorm((2, 4), eps=0.0015, elementwise_affine=True, bias=True)");
            var error = norm.Invoking(n => n.eps = -1.5).Should().Throw<ArgumentOutOfRangeException>().Which;
            error.Message.Should().Contain("but is -1.5.");
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }
}
