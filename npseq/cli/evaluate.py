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
from ..tasks import baselines, intervals, multistep, text_samples
from ..tasks.recipe import Trained, load_trained
from ..tasks.scoring import outputs
from . import arguments, data_options, own_cell, progress
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
        known = [*data.SHIPPED, *data.SHIPPED_SEQUENCES, *data.SHIPPED_TEXTS, tasks.Adding.name]
        if args.data is None and name not in known:
            raise data.DataError(f"{args.file} was trained on {name}: give its location, or other data, with --data")
        args.data = args.data or name
        args.part = args.part or ("test" if os.path.basename(args.data) == name else "all")
        evaluate = {
            "forecast": evaluate_forecast,
            "classify": evaluate_sequences,
            "regress": evaluate_sequences,
            "adding": evaluate_adding,
            "text": evaluate_text,
        }
        with blas.limited(1):
            lines = evaluate[trained.recipe.task](args, model, trained)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return status.OK


def evaluate_forecast(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Return the lines of the error beside the baselines', the coverage of the interval, and both for recursive
    forecasts."""
    recipe, options = trained.recipe, data_options.table_options(args)
    if args.part == "test":  # the same examples, baselines and filled values as in the training
        table = data.load(args.data, args.time, on_progress=progress.reading(), options=options)
        task: Any = tasks.Forecast.from_recipe(recipe, table)
        rows, others = task.parts["test"], task.baselines()
    else:
        table = data.load(args.data, args.time, "past", progress.reading(), options)
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


def evaluate_sequences(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Return the lines of the metrics beside those of one answer for all, and the confusion matrix of classes."""
    recipe = trained.recipe
    names = data_options.sequence_columns({"sequence": args.sequence, "label": args.label}, args.data, recipe.data)
    regress, options = recipe.task == "regress", data_options.table_options(args)
    train, test = data.load_sequences(
        args.data, inputs=recipe.inputs, time=args.time, options=options, regress=regress, **names
    )
    whole = tasks.SequenceRegression if regress else tasks.Classification
    if args.part == "test":
        drawn = whole(train, test, trained.seed)
        sequences, rows = drawn.sequences, drawn.parts["test"]
    else:
        sequences = train if test is None else train.followed_by(test)
        rows = np.arange(len(sequences.names))
    task = (tasks.NumberedFrames if regress else tasks.Frames).from_recipe(recipe, sequences)
    predicting = "predicting" if regress else "classifying"
    results = task.metrics(outputs(model, task, rows, progress=progress.bar(predicting)), rows)
    lines = [f"{len(rows):,} sequences, {_part(args, sequences.name)}", ""]
    if regress:
        mean = np.full((len(rows), 1), recipe.target_scaler.mean)
        return [*lines, comparison(model.kind, results, {"mean of the training": task.metrics(mean, rows)})]
    most = {"accuracy": float(np.bincount(task.labels[rows]).max() / len(rows))}
    table = comparison(model.kind, results, {"one answer for all": most})
    return [*lines, table, confusion_table(results, task.classes)]


def evaluate_adding(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Return the lines of the mean squared error beside chance, on the test part that the training's seed generates."""
    if args.data != tasks.Adding.name:
        raise data.DataError(f"{args.file} was trained on the adding problem: leave out --data")
    task = tasks.Adding.from_recipe(trained.recipe)
    rows = task.parts["test"]
    results = task.metrics(outputs(model, task, rows), rows)
    return [f"{len(rows):,} sequences, the test part", "", comparison(model.kind, results, task.baselines())]


def evaluate_text(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Return the lines of the nats and bits a symbol, on the test part beside the n-grams of the training part, or on
    all of another text beside the uniform distribution."""
    vocabulary = text_samples.vocabulary_of(model)
    task = tasks.Text.from_recipe(trained.recipe, data.load_corpus(args.data, vocabulary.tokens))
    if args.part == "test":
        rows, others = task.parts["test"], task.baselines()
    else:
        rows, others = range(len(task.symbols) - 1), task.uniform()
    unknown = int((task.symbols[rows[0] + 1 : rows[-1] + 2] == vocabulary.unknown).sum())
    results = task.metrics(outputs(model, task, rows), rows)
    lines = [f"{len(rows):,} {vocabulary.tokens}, {_part(args, task.name)}"]
    if unknown:
        lines.append(f"{unknown:,} of them unknown to the model, predicted as one symbol")
    return [*lines, "", comparison(model.kind, results, others)]
