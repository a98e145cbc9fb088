"""``npseq export``: a trained model as an ONNX file or a C header."""

from __future__ import annotations

import os
from typing import Any

from ..forecast import c_program
from ..forecast.metadata import load_forecast
from ..forecast.recipe import ForecastRecipe
from ..formats import c, checkpoint, model_file, onnx, paths, schema
from ..nn.conversion import from_state_dict
from ..nn.reading import READS
from ..tasks import recipe
from . import arguments, files

ONNX_ONLY, C_ONLY = ("with_state", "with_lengths"), ("name", "example")  # options


def parser() -> arguments.Parser:
    """Return the options."""
    p = arguments.Parser(
        prog="npseq export",
        description="Write a trained model as an ONNX file (.onnx) or a C header (.h).",
        epilog="example: npseq export rnn_lstm_best.pth --to rnn_lstm.onnx --with-scaler",
    )
    arguments.add(p, "file FILE.pth")
    arguments.add(p, "--to FILE.onnx|FILE.h", "its ending says which of the two", required=True)
    arguments.add(p, "--with-scaler", "inputs and outputs in the data's own units")
    about = (
        "only the recurrent layer whose parameters have names that start with PREFIX, such as lstm. (with the "
        "point); FILE.pth may then be any state_dict of torch"
    )
    arguments.add(p, "--prefix PREFIX", about)
    arguments.add_weights(p)
    about = "of an RNN in a file that torch alone has written, which does not say it; default: tanh, with a warning"
    arguments.add(p, "--nonlinearity", about, choices=["tanh", "relu"])
    about = (
        "what the head reads in such a file: the last hidden state (final, the default, with a warning; last: of "
        "both directions that of the last step), or the mean or maximum over the steps"
    )
    arguments.add(p, "--read", about, choices=READS)
    arguments.add(p, "--with-state", ".onnx: initial and final states as inputs and outputs")
    arguments.add(p, "--with-lengths", ".onnx: lengths of the sequences as an input")
    arguments.add(p, "--name NAME", ".h: what its names start with; default: the file's name without its ending")
    arguments.add(p, "--example", ".h: also main.c beside it, which reads CSV and prints answers")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run ``npseq export`` and return its exit status."""
    p = parser()
    args = p.parse_args(argv)
    ending = os.path.splitext(args.to)[1].lower()
    if ending not in (".onnx", ".h"):
        p.error(f"--to {args.to}: an ending of .onnx or .h expected")
    for name in C_ONLY if ending == ".onnx" else ONNX_ONLY:
        if getattr(args, name):
            p.error(f"{arguments.option(name)} is not for {ending} files; leave it out")
    if args.example:
        p.check_files(args, [files.File("the program of --example", c.program_beside(args.to), True)])
    with p.refusing():
        model = _load(args)
        if ending == ".onnx":
            onnx.export(model, args.to, args.with_state, args.with_lengths, args.with_scaler)
        else:
            c.export(model, args.to, args.name, args.with_scaler, args.example and _example(args, model))
    if ending == ".onnx" and args.with_scaler and onnx.needs_double(model):
        print("x and y are double: float32 cannot hold data so large against their standard deviation")
    kind = getattr(model, "kind", type(model).__name__.lower())
    print(f"{args.to}: {kind}, {model.theta.size:,} parameters, {os.path.getsize(args.to):,} bytes")
    return 0


def _example(args: Any, model: Any) -> bool | str:
    """Return the program for ``main.c``: of a forecaster with scaler one that reads the rows of its table."""
    kept = schema.entry(getattr(model, "metadata", None), "recipe")
    if args.with_scaler and schema.entry(kept, "task") == ForecastRecipe.task:
        found = recipe.from_json(kept)
        assert isinstance(found, ForecastRecipe)
        return c_program.text(args.name or c.name_of(args.to), paths.name_of(args.to), found)
    return True


def _load(args: Any) -> Any:
    """Return the model of the file, or the layer under the prefix; of a forecaster the one that forecasts new rows."""
    if args.prefix is None:
        model = model_file.load_model(args.file, args.nonlinearity, args.read, args.weights)
        if schema.entry(kept := model.metadata, "final") is not None:
            model, used = load_forecast(args.file, args.weights)[1].in_use(model)
            model.metadata = {**kept, **used.to_json()}
        return model
    file = checkpoint.load(args.file)
    nonlinearity = args.nonlinearity or schema.entry(file.metadata, "config", "nonlinearity") or "tanh"
    return from_state_dict(file.weights(args.weights), args.prefix, nonlinearity=nonlinearity)
