"""``npseq evaluate``: evaluate a trained model on the test part of its data, or on new data."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import data, status, tasks
from ..fused import blas
from ..nn.model import Model
from ..tasks import baselines, intervals, multistep
from ..tasks.recipe import Trained, load_trained
from ..tasks.scoring import outputs
from . import arguments, own_cell, progress
from .predict import add_column_options, fill_columns
from .tables import comparison, confusion_table


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq evaluate",
        description="Evaluate a trained model on the test part of its data, or on new data.",
        epilog="example: npseq evaluate rnn_lstm_best.pth",
    )
    p.add_argument("file", metavar="FILE.pth", help="of npseq train")
    own_cell.add_option(p, "of a file that npseq train --cell has written: that cell")
    p.add_argument("--data", metavar="NAME|FILE", help="default: the shipped data that the model was trained on")
    p.add_argument(
        "--part",
        choices=["test", "all"],
        help="of the data; default: test if the data set has the name of the training data, otherwise all",
    )
    p.add_argument(
        "--interval",
        default=0.9,
        type=arguments.share,
        metavar="P",
        help="nominal coverage of the prediction interval; default: 0.9",
    )
    add_column_options(p)
    p.add_argument("--label", metavar="COLUMN", help="of a classifier's data; default: as in the training")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        model, trained = load_trained(args.file)
        own_cell.check_needed(args, model)
        fill_columns(args, trained)
        name = trained.recipe.data
        if args.data is None and name not in [*data.SHIPPED, *data.SHIPPED_SEQUENCES, tasks.Adding.name]:
            raise data.DataError(f"{args.file} was trained on {name}: give its location, or other data, with --data")
        args.data = args.data or name
        args.part = args.part or ("test" if os.path.basename(args.data) == name else "all")
        evaluate = {"forecast": evaluate_forecast, "classify": evaluate_classes, "adding": evaluate_adding}
        with blas.limited(1):
            lines = evaluate[trained.recipe.task](args, model, trained)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return status.OK


def evaluate_forecast(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Return the lines of the error beside the baselines', the coverage of the interval, and both for recursive
    forecasts."""
    recipe = trained.recipe
    if args.part == "test":  # the same examples, baselines and filled values as in the training
        table = data.load(args.data, args.time, on_progress=progress.reading())
        task: Any = tasks.Forecast.from_recipe(recipe, table)
        rows, others = task.parts["test"], task.baselines()
    else:
        table = data.load(args.data, args.time, fill="past", on_progress=progress.reading())
        task = tasks.Windows.from_recipe(recipe, table)
        rows = np.arange(task.first, len(table.values) - task.horizon + 1)
        if len(rows) == 0:
            raise data.DataError(
                f"{table.name} has {len(table.values):,} rows: too few for a model that sees {task.first} "
                f"and forecasts {task.horizon}"
            )
        columns = range(len(task.target_columns))
        last = np.stack([baselines.persistence(task.values[:, k], rows, task.horizon) for k in columns], axis=2)
        others = {"persistence": task.metrics(last.reshape(len(rows), -1), rows)}
    forecast = outputs(model, task, rows, progress=progress.bar("forecasting"))
    lines = [f"{table.name}: {note}" for note in table.notes]
    lines += [
        f"{len(rows):,} examples, {_part(args, table.name)}",
        "",
        comparison(model.kind, task.metrics(forecast, rows), others),
    ]
    if trained.residual_quantiles is None:
        return lines
    nominal = f"the {args.interval:.0%} interval"
    residuals = task.to_units(task.targets(rows)) - forecast
    covered = coverage(residuals, *intervals.interval(trained, args.interval))
    lines += ["", f"{nominal}, from the residuals of the validation part, holds {covered:.1%} of the values"]
    ahead = multistep.recursive_residuals(model, recipe, table, rows[0], rows[-1] + task.horizon)
    steps = ahead.shape[1]
    if steps > task.horizon:
        covered = coverage(ahead, *intervals.interval(trained, args.interval, steps))
        lines.append(
            f"forecasts fed back for {steps} rows: RMSE {np.sqrt((ahead**2).mean()):.4g}; {nominal} holds {covered:.1%}"
        )
    return lines


def _part(args, name):
    return "the test part" if args.part == "test" else f"all of {name}"


def coverage(residuals: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return the fraction of residuals within their interval; residuals without an interval are ignored."""
    known = np.broadcast_to(np.isfinite(low), residuals.shape)
    return float(((low <= residuals) & (residuals <= high))[known].mean()) if known.any() else float("nan")


def evaluate_classes(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Return the lines of the accuracy beside that of the most frequent class, and the confusion matrix."""
    names = {name: value for name in ("sequence", "label") if (value := getattr(args, name))}
    train, test = data.load_sequences(args.data, inputs=trained.recipe.inputs, time=args.time, **names)
    if args.part == "test":
        drawn = tasks.Classification(train, test, trained.seed)
        sequences, rows = drawn.sequences, drawn.parts["test"]
    else:
        sequences = train if test is None else train.followed_by(test)
        rows = np.arange(len(sequences.labels))
    task = tasks.Frames.from_recipe(trained.recipe, sequences)
    results = task.metrics(outputs(model, task, rows, progress=progress.bar("classifying")), rows)
    most = {"accuracy": float(np.bincount(task.labels[rows]).max() / len(rows))}
    return [
        f"{len(rows):,} sequences, {_part(args, sequences.name)}",
        "",
        comparison(model.kind, results, {"one answer for all": most}),
        confusion_table(results, task.classes),
    ]


def evaluate_adding(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Return the lines of the mean squared error beside chance, on the test part that the training's seed generates."""
    if args.data != tasks.Adding.name:
        raise data.DataError(f"{args.file} was trained on the adding problem: leave out --data")
    task = tasks.Adding.from_recipe(trained.recipe)
    rows = task.parts["test"]
    results = task.metrics(outputs(model, task, rows), rows)
    return [f"{len(rows):,} sequences, the test part", "", comparison(model.kind, results, task.baselines())]
