"""The options that say what is learned, by which network, and how it is trained."""

from __future__ import annotations

import argparse
from dataclasses import Field, fields
from typing import Any

from .. import data, tasks
from ..forecast.combination import CHOICES as BASES
from ..forecast.combination import LOGS
from ..forecast.combination import STEPS as MEASURED
from ..nn.registry import MODELS
from ..training.config import DEFAULTS, TrainingConfig
from . import arguments, data_options, text_options

models = arguments.one_of_several(MODELS, "models")
USUAL = ("model", "epochs", "hidden_size", "lr", "data", "target", "inputs", "horizon", "sequence", "label")
USUAL += ("seed", "out_dir", "plot", "checkpoint", "resume")  # what npseq train -h shows


def add_data_options(p: arguments.Parser, default: str = "metro_traffic") -> None:
    """Add the options that say what is learned from which data."""
    d, before = p.add_argument_group("data"), len(p._actions)
    known = ", ".join([*data.sources.NAMES, tasks.Adding.name])
    about = (
        f"a table (.csv, .xlsx, .parquet, .npz, …; - for standard input), a text (.txt), or {known}; default: {default}"
    )
    arguments.add(d, "--data NAME|FILE", about, default=default)
    arguments.add(d, "--target COLUMNS", "to forecast; default: the first column", arguments.names)
    arguments.add(d, "--time COLUMN[,COLUMN]", "time column, or date and hour; default: the first column with times")
    arguments.add(d, "--inputs COLUMNS", "other columns that the model sees", arguments.names)
    arguments.add(d, "--future COLUMNS", "other columns, whose values are known ahead", arguments.names)
    d = p.add_argument_group("forecasts")
    about = (
        "the forecast that the model corrects; auto combines the best ones on the validation part, none leaves "
        "the model alone; default: auto"
    )
    arguments.add(d, "--base", about, arguments.name, "auto", choices=BASES)
    about = "forecast the logarithm with the base; auto where that is better; default: auto"
    arguments.add(d, "--log", about, arguments.name, "auto", choices=LOGS)
    about = f"rows ahead over which bases are compared; default: the horizon, or a season of at most {MEASURED} rows"
    arguments.add(d, "--steps N", about, arguments.positive_int)
    about = "keep the base of the training rows for forecasts after the last row; default: fit it again to all rows"
    arguments.add(d, "--no-refit", about)
    corrects, alone = DEFAULTS["forecast"]["window"], DEFAULTS["alone"]["window"]
    about = f"rows that the model sees; default: {corrects} or fewer; with --base none {alone}"
    arguments.add(d, "--window N", about, arguments.positive_int)
    arguments.add(d, "--horizon N", "rows to forecast at once", arguments.positive_int, 1)
    about = (
        "additional inputs: the values this many rows earlier, comma-separated; none disables them; default: "
        "none, with --base none the season detected in the training rows, and the day within it"
    )
    arguments.add(d, "--lags N,N", about, arguments.lags)
    about = "default: standard, by the training rows"
    arguments.add(d, "--scale", about, default="standard", choices=["standard", "none"])
    d = p.add_argument_group("labelled sequences")
    about = "classify: says to which sequence a row belongs; without it each row is a sequence"
    arguments.add(d, "--sequence COLUMN", about)
    arguments.add(d, "--label COLUMN", "classify: the class of the sequence")
    arguments.add(d, "--regress", "the label is a number: predict it")
    arguments.add(d, "--length N", "of the adding problem", arguments.positive_int, 50)
    arguments.add(d, "--label-each-row", "the label is the class of its row, to be predicted there")
    about = (
        "rows of a sequence that are one step of the model, half overlapping; default: by the length of the "
        "sequences for a class of each, otherwise 1"
    )
    arguments.add(d, "--patch N", about, arguments.positive_int, 1)
    data_options.add_table_options(p)
    p.rare |= {action.dest for action in p._actions[before:]} - {*USUAL}
    p.set_defaults(**text_options.OF_TEXTS, task=None, quiet=False, bidirectional=False)  # where these are no options


def add_training_options(p: Any, group: str) -> None:
    """Add an option for each field of ``TrainingConfig`` in this ``group``, to a parser or a group of one."""
    for each in fields(TrainingConfig):
        if each.metadata["group"] == group:
            p.add_argument(arguments.option(each.name), default=each.default, **_form(each))


def _form(each: Field[Any]) -> dict[str, Any]:
    """What argparse needs to know of the option of a field."""
    about, choices = each.metadata["about"], each.metadata.get("choices")
    if each.type == "bool":
        return {"action": argparse.BooleanOptionalAction, "help": about}
    if each.default is not None:
        default = f"default: {f'{each.default:g}' if each.type == 'float' else each.default}"
        about = f"{about}; {default}" if about else default
    if choices:
        return {"type": arguments.name, "choices": list(choices), "help": about}
    kind = arguments.field(int if str(each.type).startswith("int") else float, each.metadata["check"])
    return {"type": kind, "metavar": each.metadata.get("metavar", "N"), "help": about}
