namespace Forecasting;

/// <summary>One forecaster's errors on one series.</summary>
internal sealed record Result(string Data, string Model, string Norm, bool RINorm, int Horizon, Errors Errors, double Seconds);
