"""``npseq predict``: write a trained model's predictions for new data.

The weights file alone carries what is needed: the names of the columns, window, scaler, calendar, classes, and the
quantiles of the validation residuals, from which intervals are made.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from .. import data, status, tasks
from ..data.table import Table
from ..fused import blas
from ..nn.losses import probabilities
from ..nn.model import Model
from ..tasks import intervals, multistep
from ..tasks.recipe import Trained, load_trained
from ..tasks.scoring import outputs
from . import arguments, data_options, output, own_cell, plots, progress

SHOWN, BEFORE = 336, 168  # rows of forecasts, and of data before the first of --steps, in the picture


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq predict",
        description="Write a trained model's predictions for new data.",
        epilog="example: npseq predict rnn_lstm_best.pth --data metro_traffic --output forecast.csv --steps 24",
    )
    p.add_argument("file", metavar="FILE.pth", help="of npseq train")
    own_cell.add_option(p, "of a file that npseq train --cell has written: that cell")
    p.add_argument("--data", required=True, metavar="NAME|FILE", help="with the columns that the model was trained on")
    p.add_argument("--output", required=True, metavar="FILE.csv", help="to write the predictions to")
    p.add_argument(
        "--steps",
        type=arguments.positive_int,
        metavar="N",
        help="forecast only the N rows after the end of the data; default: a forecast of every row, and of the first "
        "row after the end of the data",
    )
    p.add_argument(
        "--interval",
        type=arguments.share,
        metavar="P",
        help="also write a prediction interval with coverage P, such as 0.9",
    )
    p.add_argument("--plot", metavar="FILE.png", help="draw the forecast there (.png or .svg)")
    add_column_options(p)
    return p


def add_column_options(p: argparse.ArgumentParser) -> None:
    """Add the options that name columns of new data."""
    p.add_argument("--time", metavar="COLUMN[,COLUMN]", help="time column; default: as in the training")
    p.add_argument("--sequence", metavar="COLUMN", help="of labelled sequences; default: as in the training")
    p.add_argument(
        "--label",
        metavar="COLUMN",
        help="of labelled sequences; default: as in the training; npseq predict only leaves it out, and takes none for "
        "rows without one",
    )
    data_options.add_table_options(p)


def fill_columns(args: argparse.Namespace, trained: Trained) -> None:
    """Take the names of columns that were not given from the training."""
    for name, column in trained.columns.items():
        if getattr(args, name, column) is None:
            setattr(args, name, column)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        model, trained = load_trained(args.file)
        own_cell.check_needed(args, model)
        fill_columns(args, trained)
        task = trained.recipe.task
        if task == "adding":
            raise data.DataError(
                f"{args.file} was trained on the adding problem, which has no data to predict; use npseq evaluate"
            )
        if task == "text":
            raise data.DataError(f"{args.file} was trained on a text; use npseq sample or npseq evaluate")
        if task != "forecast" and (args.steps or args.interval or args.plot):
            raise data.DataError(
                f"{args.file} predicts a class or a number for each sequence; --steps, --interval and --plot apply to "
                "forecasts only: leave them out"
            )
        if args.plot:
            plots.check(args.plot)
        for file in (args.output, args.plot):
            if file:
                output.check_file(file)
        write = {"forecast": write_forecast, "classify": write_sequences, "regress": write_sequences}[task]
        with blas.limited(1):
            lines = write(args, model, trained)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return status.OK


# ---- forecasts ----


def write_forecast(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Write a line for each forecast value: its time (or row), how many rows ahead it is, the values, the interval.

    Returns:
        lines to print.
    """
    options = data_options.table_options(args)
    table = data.load(args.data, args.time, "past", progress.reading(), options)  # nothing may look ahead
    windows = tasks.Windows.from_recipe(trained.recipe, table)
    n, h, O = len(table.values), windows.horizon, len(windows.target_columns)
    if n < windows.first:
        raise data.DataError(f"{table.name} has {n:,} rows: too few for a model that sees {windows.first}")
    bar = progress.bar("forecasting")
    if args.steps:
        rows, ahead = n + np.arange(args.steps), np.arange(args.steps)
        values = multistep.recursive_forecast(model, trained.recipe, table, np.array([n]), args.steps)[0]
    else:
        first = np.arange(windows.first, n + 1)
        rows, ahead = (first[:, None] + np.arange(h)).reshape(-1), np.tile(np.arange(h), len(first))
        values = outputs(model, windows, first, progress=bar).reshape(-1, O)
    low = high = None
    lines = [f"{table.name}: {note}" for note in table.notes]
    if args.interval:
        bounds = intervals.interval(trained, args.interval, args.steps)
        low, high = (values + bound.reshape(-1, O)[ahead] for bound in bounds)
        if unknown := int(np.isnan(low[:, 0]).sum()):
            lines.append(
                f"no interval for the last {unknown:,} of {len(rows):,} rows: the errors of forecasts so far "
                "ahead were not measured in the training"
            )
    _write(args.output, _times(table, rows), ahead + 1, windows.target_columns, values, low, high)
    if args.plot:
        _draw(args, table, windows, rows, values, low, high)
    return [*lines, f"{len(rows):,} forecasts of {', '.join(windows.target_columns)} in {args.output}"]


def _times(table: Table, rows: np.ndarray) -> np.ndarray:
    """The times of rows, after the end too; their numbers if there is no time, or the next one is unknown."""
    if table.grid is not None:
        return table.grid.at(rows)
    if table.irregular is not None and rows.max() < len(table.irregular):
        return table.irregular[rows]
    return rows


def _write(path, times, ahead, names, values, low, high):
    parts = [values] if low is None else [values, low, high]
    header = [name + ending for name in names for ending in ("", "_low", "_high")[: len(parts)]]
    cells = np.stack(parts, axis=2).reshape(len(values), -1)
    when = [str(time).replace("T", " ") for time in times]
    with output.csv_writer(path) as writer:
        writer.writerow(["time" if times.dtype.kind == "M" else "row", "steps_ahead", *header])
        for k, row in enumerate(cells):
            writer.writerow([when[k], ahead[k], *("" if np.isnan(value) else f"{value:.10g}" for value in row)])


def _draw(args, table, windows, rows, values, low, high):
    """Draw the first target: the rows after the end and the data before them, or the last one-row forecasts."""
    if args.steps:
        before = np.arange(max(0, len(table.values) - BEFORE), len(table.values))
        shown, predicted = np.concatenate([before, rows]), np.arange(len(rows))
    else:
        before = rows[:0]
        predicted = np.arange(0, len(rows), windows.horizon)[-SHOWN:]
        shown = rows[predicted]
    blank = np.full(len(before), np.nan)
    lines = [None if part is None else np.concatenate([blank, part[predicted, 0]]) for part in (values, low, high)]
    name = windows.target_columns[0]
    what = f"the next {len(rows)} rows" if args.steps else "one row ahead"
    plots.forecast(
        args.plot,
        _times(table, shown),
        windows.values[shown[shown < len(table.values)], 0],
        lines[0],
        name,
        f"{table.name}: {name}, {what}",
        lines[1],
        lines[2],
        args.interval,
    )


# ---- sequences ----


def write_sequences(args: argparse.Namespace, model: Model, trained: Trained) -> list[str]:
    """Write a line for each sequence: the predicted class and the probability of each, or the predicted number. No
    labels are needed.

    Returns:
        lines to print.
    """
    recipe = trained.recipe
    names = data_options.sequence_columns({"sequence": args.sequence}, args.data, recipe.data)
    unused = [] if args.label in (None, "none") else [args.label]
    first, second = data.load_sequences(
        args.data,
        label=None,
        inputs=recipe.inputs,
        time=args.time,
        options=data_options.table_options(args),
        unused=unused,
        **names,
    )
    regress = recipe.task == "regress"
    sequences = first if second is None else second  # shipped: the test part
    task = (tasks.NumberedFrames if regress else tasks.Frames).from_recipe(recipe, sequences)
    bar = progress.bar("predicting" if regress else "classifying")
    y = outputs(model, task, np.arange(len(sequences.names)), progress=bar)
    with output.csv_writer(args.output) as writer:
        if regress:
            writer.writerow(["sequence", "prediction"])
            writer.writerows([name, f"{value:.10g}"] for name, value in zip(sequences.names, y[:, 0]))
        else:
            writer.writerow(["sequence", "answer", *(f"p_{name}" for name in task.classes)])
            for name, row in zip(sequences.names, probabilities(y)):
                writer.writerow([name, task.classes[row.argmax()], *(f"{value:.4f}" for value in row)])
    return [
        *(f"{sequences.name}: {note}" for note in sequences.notes),
        f"{len(y):,} sequences {'predicted' if regress else 'classified'} in {args.output}",
    ]
