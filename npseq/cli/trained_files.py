"""Weights files on the command line: the options that name them and the columns of new data, and the loading."""

from __future__ import annotations

import argparse
from typing import Any

from ..data.errors import DataError
from ..nn.model import Model
from ..tasks.metadata import Metadata, load_trained
from . import arguments, data_options, own_cell

Members = list[tuple[Model, Metadata]]  # the models of the files, and what each was trained on


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the weights files, and ``--cell``."""
    arguments.add(p, "files FILE.pth", "of npseq train; the forecasts of several are averaged", nargs="+")
    arguments.add_weights(p)
    own_cell.add_option(p, "of a file that npseq train --cell has written: that cell")


def add_column_options(p: argparse.ArgumentParser) -> None:
    """Add the options that name columns of new data."""
    arguments.add(p, "--time COLUMN[,COLUMN]", "time column; default: as in the training")
    arguments.add(p, "--sequence COLUMN", "of labelled sequences; default: as in the training")
    about = (
        "of labelled sequences; default: as in the training; npseq predict only leaves it out, and takes none for "
        "rows without one"
    )
    arguments.add(p, "--label COLUMN", about)
    data_options.add_table_options(p)


def load(args: argparse.Namespace) -> tuple[argparse.Namespace, Members]:
    """Return the models of the files, and what each was trained on.

    The options, returned first, have ``file``, the first file, and what was said at the training about columns and
    tables, where nothing else was given.

    Raises:
        DataError: for files of different tasks. OSError, ValueError: as ``load_trained``, and for a missing ``--cell``.
    """
    args = arguments.changed(args, file=args.files[0])
    members = [load_trained(file, args.weights) for file in args.files]
    for model, _ in members:
        own_cell.check_needed(args, model)
    first = members[0][1]
    if any(other.recipe.task != first.recipe.task for _, other in members):
        raise DataError("the files are of different tasks: only forecasts can be averaged")
    columns: dict[str, str] = {}
    for _, trained in reversed(members):
        columns |= {name: column for name, column in trained.columns.items() if vars(args).get(name) is None}
    return arguments.changed(args, **columns, **data_options.as_in_training(args, first.table)), members


def only(args: argparse.Namespace, members: Members, *of_forecasts: str) -> tuple[Model, Any]:
    """Return the one model of a task that is no forecast, and its metadata.

    Args:
        of_forecasts: names of options.

    Raises:
        DataError: for several files, or if one of the options was given.
    """
    if len(members) > 1 or any(getattr(args, name) for name in of_forecasts):
        options = ", ".join(map(arguments.option, of_forecasts))
        raise DataError(
            f"{args.file} is no forecaster: several files, {options} apply to forecasts only: leave them out"
        )
    return members[0]
