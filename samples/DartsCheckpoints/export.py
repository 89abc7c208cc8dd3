#!/usr/bin/env python3
"""Export a trained Darts model, with a forecast that it makes, to what this sample reads. Runs where Darts is installed.

    python export.py my_model.pt exported/my_model
    python export.py my_model.pt exported/my_model --series target.csv [--past-covariates FILE] [--future-covariates FILE] [--time COLUMN]

my_model.pt is what model.save("my_model.pt") wrote, with my_model.pt.ckpt beside it. The forecast starts from the series that the model
keeps from its training, or from those given. From Python, with series of any kind:

    from export import export
    export(model, "exported/my_model", series=series, past_covariates=..., future_covariates=...)

Writes NAME.json (class, hyper-parameters, names of targets and of likelihood parameters, the module's text, every tensor's size) and
NAME.dat, in the form of TorchSharp's Module.save: "state/<key>" the module's state_dict; "in/past_target", "in/past_covariates",
"in/historic_future_covariates", "in/future_covariates", "in/static_covariates" what the network was given, (batch, time, components);
"out/prediction" what it answered in evaluation mode, (batch, output_chunk_length, targets, nr_params), RINorm's inverse included;
"rin.mean", "rin.stdev" the statistics that its RINorm held then.
"""
import argparse
import dataclasses
import json
import pathlib

import torch

# TorchSharp's numbers of the dtypes.
CODES = {torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4, torch.float16: 5, torch.float32: 6, torch.float64: 7,
         torch.bool: 11, torch.bfloat16: 15}
PLAIN = (int, float, str, bool, type(None))
INPUTS = ("past_target", "past_covariates", "historic_future_covariates", "future_covariates", "static_covariates")
QUIET = dict(accelerator="cpu", enable_progress_bar=False, logger=False, enable_model_summary=False)
WINDOWS = 4


def leb128(n):
    out = bytearray()
    while True:
        low, n = n & 0x7F, n >> 7
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def raw(tensor):
    tensor = tensor.detach().cpu().contiguous()
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy().tobytes()


def save(path, tensors):
    with open(path, "wb") as file:
        file.write(leb128(len(tensors)))
        for key, tensor in tensors.items():
            name = key.encode()
            file.write(leb128(len(name)) + name + leb128(CODES[tensor.dtype]) + leb128(tensor.dim()))
            for size in tensor.shape:
                file.write(leb128(size))
            file.write(raw(tensor))


def named_inputs(net, x):
    """The network's inputs by name. Older Darts give a tuple, with everything known over the past in its first tensor."""
    if dataclasses.is_dataclass(x):
        named = {name: getattr(x, name, None) for name in INPUTS}
    else:
        past, future, static = x[:3]
        futures = 0 if future is None else future.shape[2]
        parts = past.split([net.n_targets, past.shape[2] - net.n_targets - futures, futures], dim=2)
        named = dict(zip(INPUTS, (*(part if part.shape[2] else None for part in parts), future, static)))
    return {f"in/{name}": tensor for name, tensor in named.items() if tensor is not None}


def prediction(output):
    if isinstance(output, torch.Tensor):
        return output
    return output.prediction if dataclasses.is_dataclass(output) else output[0]


def plain(value):
    """What JSON can hold of a hyper-parameter: a class goes by its name."""
    return value.__name__ if isinstance(value, type) else value


def last_windows(model, series):
    """The series up to some ends, a forecast apart, the future after each still inside it: covariates are known there."""
    length, step = model.input_chunk_length, model.output_chunk_length
    length = length if isinstance(length, int) else max(length)
    ends = [len(series) - (getattr(model, "output_chunk_shift", 0) or 0) - step * i for i in range(1, WINDOWS + 1)]
    return [series[:end] for end in ends if end >= length] or ([series] if len(series) >= length else [])


def export(model, name, series=None, past_covariates=None, future_covariates=None):
    """Write NAME.json and NAME.dat for a fitted Darts torch model.

    series: what to forecast from, a TimeSeries (its last windows are taken) or a list of them; default: the model's own training series.
    past_covariates, future_covariates: as for model.predict, for a single series or one for each of a list.
    """
    if series is None:
        series = model.training_series
        if series is None:
            raise SystemExit("The model does not keep its training series (fitted on several, or saved with clean=True): pass series, or --series FILE.")
    covariates = dict(past_covariates=past_covariates, future_covariates=future_covariates)
    if isinstance(series, (list, tuple)):
        series = list(series)
        given = {key: list(value) for key, value in covariates.items() if value is not None}
    else:
        series = last_windows(model, series)
        given = {key: [value] * len(series) for key, value in covariates.items() if value is not None}
    if not series:
        raise SystemExit(f"The series is too short: a forecast sees {model.input_chunk_length} time steps.")

    net = model.model.eval().cpu()
    captured = []

    def hook(module, args, kwargs, output):
        captured.append((args[0] if args else kwargs["x_in"], output))

    handle = net.register_forward_hook(hook, with_kwargs=True)
    try:
        model.predict(model.output_chunk_length, series, verbose=False, num_samples=1, **given)
    finally:
        handle.remove()
    net = net.cpu()
    x, output = captured[0]

    tensors = {f"state/{key}": value for key, value in net.state_dict().items()}
    tensors |= named_inputs(net, x)
    tensors["out/prediction"] = prediction(output)
    rin = getattr(net, "rin", None)
    if rin is not None:
        tensors["rin.mean"], tensors["rin.stdev"] = rin.mean, rin.stdev

    import darts
    hyper_parameters = {key: plain(value) for key, value in model.model_params.items() if isinstance(plain(value), PLAIN)}
    hyper_parameters["use_reversible_instance_norm"] = getattr(net, "use_reversible_instance_norm", False) or False
    info = dict(
        model=type(model).__name__, torch=torch.__version__, darts=darts.__version__, hyper_parameters=hyper_parameters,
        targets=[str(component) for component in series[0].components],
        parameters=[str(parameter) for parameter in getattr(getattr(net, "likelihood", None), "parameter_names", None) or []],
        n_parameters=sum(parameter.numel() for parameter in net.parameters()), repr=str(net),
        tensors={key: [str(tensor.dtype).replace("torch.", ""), list(tensor.shape)] for key, tensor in tensors.items()})
    stem = pathlib.Path(name)
    stem.parent.mkdir(parents=True, exist_ok=True)
    save(f"{stem}.dat", tensors)
    pathlib.Path(f"{stem}.json").write_text(json.dumps(info, indent=1) + "\n")
    print(f"{stem}.json, {stem}.dat: {info['model']}, {info['n_parameters']} parameters,",
          {key: tuple(tensor.shape) for key, tensor in tensors.items() if not key.startswith("state/")})


def main():
    parser = argparse.ArgumentParser(description="Export a trained Darts model, with a forecast that it makes.")
    parser.add_argument("model", help="what model.save wrote")
    parser.add_argument("name", help="where NAME.json and NAME.dat go")
    for option in ("--series", "--past-covariates", "--future-covariates"):
        parser.add_argument(option, metavar="FILE.csv", help="default: what the model keeps from its training")
    parser.add_argument("--time", metavar="COLUMN", help="the files' time column; default: none, rows are numbered")
    arguments = parser.parse_args()

    from darts import TimeSeries
    from darts.models.forecasting.torch_forecasting_model import TorchForecastingModel
    model = TorchForecastingModel.load(arguments.model, map_location="cpu", pl_trainer_kwargs=QUIET)
    dtype = str(next(model.model.parameters()).dtype).replace("torch.", "")

    def read(path):
        return None if path is None else TimeSeries.from_csv(path, time_col=arguments.time).astype(dtype)

    export(model, arguments.name, read(arguments.series), read(arguments.past_covariates), read(arguments.future_covariates))


if __name__ == "__main__":
    main()
