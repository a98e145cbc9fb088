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
    d.add_argument(
        "--data",
        default=default,
        metavar="NAME|FILE",
        help=f"a table (.csv, .xlsx, .parquet, .npz, …; - for standard input), a text (.txt), or {known}; "
        f"default: {default}",
    )
    d.add_argument("--target", type=arguments.names, metavar="COLUMNS", help="to forecast; default: the first column")
    d.add_argument(
        "--time", metavar="COLUMN[,COLUMN]", help="time column, or date and hour; default: the first column with times"
    )
    d.add_argument("--inputs", type=arguments.names, metavar="COLUMNS", help="other columns that the model sees")
    d.add_argument(
        "--future", type=arguments.names, metavar="COLUMNS", help="other columns, whose values are known ahead"
    )
    d = p.add_argument_group("forecasts")
    d.add_argument(
        "--base",
        default="auto",
        type=arguments.name,
        choices=BASES,
        help="the forecast that the model corrects; auto combines the best ones on the validation part, none leaves "
        "the model alone; default: auto",
    )
    d.add_argument(
        "--log",
        default="auto",
        type=arguments.name,
        choices=LOGS,
        help="forecast the logarithm with the base; auto where that is better; default: auto",
    )
    about = f"rows ahead over which bases are compared; default: the horizon, or a season of at most {MEASURED} rows"
    arguments.add_number(d, "--steps", arguments.positive_int, about)
    d.add_argument(
        "--no-refit",
        action="store_true",
        help="keep the base of the training rows for forecasts after the last row; default: fit it again to all rows",
    )
    corrects, alone = DEFAULTS["forecast"]["window"], DEFAULTS["alone"]["window"]
    about = f"rows that the model sees; default: {corrects} or fewer; with --base none {alone}"
    arguments.add_number(d, "--window", arguments.positive_int, about)
    arguments.add_number(d, "--horizon", arguments.positive_int, "rows to forecast at once", 1)
    d.add_argument(
        "--lags",
        default=None,
        type=arguments.lags,
        metavar="N,N",
        help="additional inputs: the values this many rows earlier, comma-separated; none disables them; default: "
        "none, with --base none the season detected in the training rows, and the day within it",
    )
    d.add_argument(
        "--scale", default="standard", choices=["standard", "none"], help="default: standard, by the training rows"
    )
    d = p.add_argument_group("labelled sequences")
    d.add_argument(
        "--sequence",
        metavar="COLUMN",
        help="classify: says to which sequence a row belongs; without it each row is a sequence",
    )
    d.add_argument("--label", metavar="COLUMN", help="classify: the class of the sequence")
    d.add_argument("--regress", action="store_true", help="the label is a number: predict it")
    arguments.add_number(d, "--length", arguments.positive_int, "of the adding problem", 50)
    d.add_argument(
        "--label-each-row", action="store_true", help="the label is the class of its row, to be predicted there"
    )
    d.add_argument(
        "--patch",
        default=1,
        type=arguments.positive_int,
        metavar="N",
        help="rows of a sequence that are one step of the model, half overlapping; default: by the length of the "
        "sequences for a class of each, otherwise 1",
    )
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
