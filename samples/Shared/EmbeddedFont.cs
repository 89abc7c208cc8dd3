using ScottPlot;
using SkiaSharp;

namespace Samples;

/// <summary>The font inside the program: a machine without fonts shows text, and every machine the same.</summary>
internal sealed class EmbeddedFont : IFontResolver
{
    private const string Name = "Open Sans";

    /// <summary>Makes every plot use it.</summary>
    public static void Register()
    {
        if (Fonts.Default == Name)
            return;
        Fonts.FontResolvers.Insert(0, new EmbeddedFont());
        Fonts.Default = Name;
    }

    public SKTypeface? CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) =>
        fontName == Name ? SKTypeface.FromStream(typeof(EmbeddedFont).Assembly.GetManifestResourceStream("OpenSans-Regular.ttf")) : null;

    public SKTypeface? CreateTypeface(string fontName, bool bold, bool italic) =>
        CreateTypeface(fontName, FontWeight.Normal, FontSlant.Upright, FontSpacing.Normal);
}
