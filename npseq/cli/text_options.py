"""The options of a text, how a text is told from a table, and the defaults that suit it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

from .. import data
from ..data.corpus import TOKENS
from ..data.sources import ending
from ..formats.messages import marked
from ..training.config import DEFAULTS
from . import arguments, data_options

OF_TABLES = ".csv", ".tsv", ".dat", ".npy", ".npz", ".parquet", ".feather", ".xlsx", ".xlsm", ".xls"
TASKS = "forecast", "classify", "text"

OF_FORECASTS = {"horizon": 1, "lags": None, "scale": "standard", "base": "auto", "future": None}  # and their defaults
OF_TEXTS = {"tokens": "characters", "split": None, "embedding": 0, "reset_state": False}


def add_options(p: argparse.ArgumentParser) -> None:
    """Add ``--task`` and the options of a text."""
    d = p.add_argument_group("text")
    arguments.add(d, "--task", "default: follows from the data: a .txt that is no table is a text", choices=TASKS)
    about = "to predict; bytes reads any file; default: characters"
    arguments.add(d, "--tokens", about, default="characters", choices=TOKENS)
    about = "fractions of the training, validation and test part, in order; default: 0.9,0.05,0.05"
    arguments.add(d, "--split A,B,C", about, fractions)
    about = "numbers of each symbol's embedding, 0 for one-hot inputs; default: 64"
    arguments.add(d, "--embedding N", about, arguments.natural, 0)
    arguments.add(d, "--reset-state", "start every chunk of --window symbols from the zero state")


def fractions(text: str) -> list[float]:
    """Return the fractions of a comma-separated list: three, or two without a test part."""
    try:
        values = [float(part) for part in arguments.names(text)]
    except ValueError:
        values = []
    if len(values) == 2:
        values.append(0.0)
    if len(values) != 3 or not all(0 <= value <= 1 for value in values) or abs(sum(values) - 1) > 1e-9:
        raise argparse.ArgumentTypeError(f"{text!r} given, two or three fractions expected that add up to 1")
    return values


def defaults(args: argparse.Namespace, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a text that were not typed, with the defaults of a text; {} for other data.

    Args:
        args: all options. A run that is resumed has its own.
        given: name and value of the options that were typed.
    """
    if args.resume or not is_text(args):
        return {}
    return {"task": "text", **{name: value for name, value in DEFAULTS["text"].items() if name not in given}}


def is_text(args: argparse.Namespace) -> bool:
    """True if the options describe a text: by ``--task``, or by the data. A file that cannot be read is none."""
    if args.task is not None:
        return bool(args.task == "text")
    return args.data in data.SHIPPED_TEXTS or kind_of(args) == "text"


def kind_of(args: argparse.Namespace) -> str:
    """Return what the file of the data holds, as ``data.kind_of``; "table" if it cannot be read."""
    try:
        kind = data.kind_of(args.data, data_options.table_options(args), data_options.are_said(args))
    except (OSError, ValueError):
        return "table"
    return str(kind)


def report_of(args: argparse.Namespace, given: Mapping[str, Any]) -> list[str]:
    """Return the line that says what a .txt was taken for, unless ``--task`` was typed."""
    if "task" in given or args.resume or ending(args.data) != ".txt":
        return []
    other = "forecast" if args.task == "text" else "text"
    taken = "text: the file is no table" if args.task == "text" else "forecast: the file is a table"
    return [f"task        {taken}; --task {other} overrides"]


def advise(args: argparse.Namespace, error: data.DataError) -> data.DataError:
    """Return the error of a file that was taken for a table; if it may be a text, with the option that says so."""
    said = args.task is not None or data_options.are_said(args)
    if said or args.data in data.sources.NAMES or ending(args.data) in OF_TABLES or not os.path.isfile(args.data):
        return error
    return data.DataError(f"{marked(error)}; --task text reads the file as a text")


def check(args: argparse.Namespace) -> None:
    """Refuse options of a text for other data.

    Raises:
        DataError: naming the first.
    """
    for name, default in OF_TEXTS.items():
        if getattr(args, name) != default:
            raise data.DataError(f"{arguments.option(name)} is for texts, and {args.data} is none (--task text)")
