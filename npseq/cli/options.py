"""The options that say what is learned, by which network, and how it is trained."""

from __future__ import annotations

import argparse

from .. import data, optim, tasks
from ..forecast.base_choice import CHOICES as BASES
from ..forecast.windows import WINDOW
from ..nn.losses import LOSSES
from ..nn.registry import MODELS
from ..training.fit import BATCH_SIZE
from ..training.settings import ALONE, AUTO_PEAK, OPTIMIZERS
from . import arguments, data_options

models = arguments.one_of_several(MODELS, "models")


def add_data_options(p: argparse.ArgumentParser, default: str = "metro_traffic") -> None:
    """Add the options that say what is learned from which data."""
    d = p.add_argument_group("data and task")
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
    d.add_argument(
        "--base",
        default="auto",
        type=arguments.name,
        choices=BASES,
        help="the forecast that the model corrects; auto takes the best one on the validation part, none leaves the "
        "model alone; default: auto",
    )
    d.add_argument(
        "--window",
        default=None,
        type=arguments.positive_int,
        metavar="N",
        help=f"rows that the model sees; default: {WINDOW} or fewer; with --base none {ALONE['window']}",
    )
    d.add_argument(
        "--horizon", default=1, type=arguments.positive_int, metavar="N", help="rows to forecast at once; default: 1"
    )
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
    d.add_argument(
        "--sequence",
        metavar="COLUMN",
        help="classify: says to which sequence a row belongs; without it each row is a sequence",
    )
    d.add_argument("--label", metavar="COLUMN", help="classify: the class of the sequence")
    d.add_argument("--regress", action="store_true", help="the label is a number: predict it")
    d.add_argument(
        "--length", default=50, type=arguments.positive_int, metavar="N", help="of the adding problem; default: 50"
    )
    d.add_argument(
        "--label-each-row", action="store_true", help="the label is the class of its row, to be predicted there"
    )
    data_options.add_table_options(p)


def add_model_options(p: argparse.ArgumentParser) -> None:
    """Add the options of the recurrent layers."""
    m = p.add_argument_group("model")
    m.add_argument("--num-layers", default=1, type=arguments.layers, metavar="N", help="default: 1")
    m.add_argument("--bidirectional", action="store_true", help="also run from the last row to the first")
    m.add_argument("--dropout", default=0.0, type=arguments.probability, metavar="P", help="between layers")
    m.add_argument(
        "--recurrent-dropout", default=0.0, type=arguments.probability, metavar="P", help="one mask for all steps"
    )
    m.add_argument(
        "--forget-bias",
        default=None,
        type=arguments.bias,
        metavar="B",
        help="initial bias of the LSTM's forget gate",
    )


def add_training_options(p: argparse.ArgumentParser) -> None:
    """Add the options of the optimisation."""
    t = p.add_argument_group("training")
    t.add_argument("--init", metavar="FILE.pth", help="start from the weights of a file, of npseq or of torch")
    arguments.add_weights(t, "the file of --init, if it has several")
    t.add_argument(
        "--batch-size",
        default=None,
        type=arguments.positive_int,
        metavar="N",
        help=f"default: {BATCH_SIZE} for a forecast with a base, otherwise {ALONE['batch_size']}",
    )
    t.add_argument(
        "--clip", default=1.0, type=arguments.positive, metavar="NORM", help="largest norm of the gradient; default: 1"
    )
    t.add_argument(
        "--optimizer",
        default="adam",
        type=arguments.name,
        choices=OPTIMIZERS,
        help="default: adam; lbfgs takes all examples at once, one iteration per epoch",
    )
    t.add_argument(
        "--weight-decay", default=None, type=arguments.not_negative, metavar="D", help="default: the optimiser's own"
    )
    t.add_argument(
        "--schedule",
        default="auto",
        type=arguments.name,
        choices=["auto", *optim.SCHEDULES],
        help="of the learning rate; default: auto, for a forecast with a base one cycle with its peak at "
        f"{AUTO_PEAK} x --lr, otherwise constant",
    )
    t.add_argument(
        "--warmup", default=0, type=arguments.natural, metavar="N", help="updates over which the rate rises; default: 0"
    )
    t.add_argument(
        "--patience",
        default=None,
        type=arguments.positive_int,
        metavar="N",
        help="stop after N epochs without a better validation loss; default: never",
    )
    t.add_argument(
        "--loss",
        default=None,
        type=arguments.name,
        choices=[name for name in LOSSES if name != "cross_entropy"],
        help="of a forecast; default: mse",
    )
    arguments.add_seed(t, "initial weights, order of the examples and dropout")
    t.add_argument("--dtype", default="float32", choices=["float32", "float64"], help="default: float32")
    t.add_argument(
        "--threads", default=None, type=arguments.positive_int, metavar="N", help="default: chosen automatically"
    )
