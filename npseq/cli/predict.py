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
from ..forecast.calendar_slots import row_times
from ..forecast.ensemble import Ensemble
from ..fused import blas
from ..nn.losses import probabilities
from ..nn.model import Model
from ..tasks.metadata import Metadata
from ..tasks.scoring import outputs
from . import arguments, data_options, labelling, output, plots, progress, trained_files

FAR = 0.5  # of the width of the training range: values further outside are told
SHOWN, BEFORE = 336, 168  # rows of forecasts, and of data before the first of --steps, in the picture


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq predict",
        description="Write a trained model's predictions for new data.",
        epilog="example: npseq predict rnn_lstm_best.pth --data metro_traffic --output forecast.csv --steps 24",
    )
    trained_files.add_options(p)
    p.add_argument("--data", required=True, metavar="NAME|FILE", help="with the columns that the model was trained on")
    p.add_argument("--output", required=True, metavar="FILE.csv", help="to write the predictions to")
    p.add_argument(
        "--steps",
        type=arguments.positive_int,
        metavar="N",
        help="forecast only the N rows after the last value; default: the rows at the end whose target is empty, or, "
        "if there are none, every row and the first one after the end",
    )
    p.add_argument(
        "--interval",
        type=arguments.share,
        metavar="P",
        help="also write a prediction interval with coverage P, such as 0.9",
    )
    p.add_argument("--whole", action="store_true", help="write whole numbers, for counts")
    p.add_argument("--plot", metavar="FILE.png", help="draw the forecast there (.png or .svg)")
    trained_files.add_column_options(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        members = trained_files.load(args)
        model, trained = members[0]
        task = trained.recipe.task
        if task == "adding":
            raise data.DataError(
                f"{args.file} was trained on the adding problem, which has no data to predict; use npseq evaluate"
            )
        if task == "text":
            raise data.DataError(f"{args.file} was trained on a text; use npseq sample or npseq evaluate")
        if task != "forecast" and (args.steps or args.interval or args.plot or args.whole or len(members) > 1):
            raise data.DataError(
                f"{args.file} predicts a class or a number for each sequence; several files, --steps, --interval, "
                "--whole and --plot apply to forecasts only: leave them out"
            )
        if args.plot:
            plots.check(args.plot)
        for file in (args.output, args.plot):
            if file:
                output.check_file(file)
        with blas.limited(1):
            if task == "forecast":
                lines = write_forecast(args, members)
            else:
                lines = (labelling.write if task == "label" else write_sequences)(args, model, trained)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return status.OK


# ---- forecasts ----


def write_forecast(args: argparse.Namespace, members: list[tuple[Model, Metadata]]) -> list[str]:
    """Write a line for each forecast value: its time (or row), how many rows ahead it is, the values, the interval.

    Returns:
        lines to print.
    """
    options = data_options.table_options(args)
    table = data.load(args.data, args.time, "past", progress.reading(), options)  # nothing may look ahead
    forecaster = Ensemble(members, table, args.interval)
    windows = forecaster.windows[0]
    rows, ahead, values, low, high, after = forecaster.predict(args.steps, progress.bar("forecasting"))
    lines = [f"{table.name}: {note}" for note in table.notes] + outside(forecaster)
    if args.whole:
        values, low, high = np.rint(values), _rounded(np.floor, low), _rounded(np.ceil, high)
    if low is not None and (unknown := int(np.isnan(low[:, 0]).sum())):
        lines.append(
            f"no interval for the last {unknown:,} of {len(rows):,} rows: the errors of forecasts so far "
            "ahead were not measured in the training"
        )
    _write(args.output, _times(table, rows), ahead, windows.target_columns, values, low, high)
    if args.plot:
        _draw(args, table, windows, after, rows, values, low, high)
    return [*lines, f"{len(rows):,} forecasts of {', '.join(windows.target_columns)} in {args.output}"]


def _rounded(how, bound):
    return None if bound is None else how(bound)


def outside(forecaster: Ensemble) -> list[str]:
    """Return a line for each column whose values lie far outside the range of the training rows."""
    lines = {}
    for (_, trained), windows in zip(forecaster.members, forecaster.windows):
        for (low, high), name, column in zip(trained.range or (), windows.column_names, windows.values.T):
            far = np.maximum(low - column, column - high) > FAR * (high - low or abs(high) or 1.0)
            if far.any():
                row = int(np.argmax(far))
                lines[name] = (
                    f"{windows.name}: {int(far.sum()):,} values of {name} lie far outside the range of the training "
                    f"rows, {low:.6g} to {high:.6g}, the first in row {row}: {column[row]:.6g}; forecasts after them "
                    "extrapolate"
                )
    return list(lines.values())


def _times(table: Table, rows: np.ndarray) -> np.ndarray:
    """The times of rows, after the end too; their numbers if there is no time, or the next one is unknown."""
    if not len(rows):
        return rows
    start = int(rows.min())
    try:
        times = row_times(table, start, int(rows.max()) + 1)
    except data.DataError:
        return rows
    return rows if times is None else times[rows - start]


def _write(path, times, ahead, names, values, low, high):
    parts = [values] if low is None else [values, low, high]
    header = [name + ending for name in names for ending in ("", "_low", "_high")[: len(parts)]]
    cells = np.stack(parts, axis=2).reshape(len(values), -1)
    when = [str(time).replace("T", " ") for time in times]
    with output.csv_writer(path) as writer:
        writer.writerow(["time" if times.dtype.kind == "M" else "row", "steps_ahead", *header])
        for k, row in enumerate(cells):
            writer.writerow([when[k], ahead[k], *("" if np.isnan(value) else f"{value:.10g}" for value in row)])


def _draw(args, table, windows, after, rows, values, low, high):
    """Draw each target: the rows after the end and the data before them, or the last forecasts of the first steps."""
    panels, h = [], windows.horizon
    if after:
        before = np.arange(max(0, int(rows[0]) - BEFORE), int(rows[0]))
        shown = np.concatenate([before, rows])
        blank = np.full(len(before), np.nan)
        for k, name in enumerate(windows.target_columns):
            lines = [None if part is None else np.append(blank, part[:, k]) for part in (values, low, high)]
            panels.append(plots.Panel(name, windows.values[before, k], {"forecast": lines[0]}, *lines[1:]))
        what = f"the next {len(rows)} rows"
    else:
        first = np.arange(0, len(rows), h)[-SHOWN:]
        shown = rows[first]
        for k, name in enumerate(windows.target_columns):
            ahead = {}
            for step in range(min(h, plots.FIRST_STEPS)):
                line = np.full(len(shown), np.nan)  # at the row that it forecasts
                line[step:] = values[first + step, k][: len(shown) - step]
                ahead["forecast" if h == 1 else f"{step + 1} ahead"] = line
            bounds = [None if part is None else part[first, k] for part in (low, high)]
            panels.append(plots.Panel(name, windows.values[shown[shown < len(windows.values)], k], ahead, *bounds))
        what = "one row ahead" if h == 1 else f"the first {min(h, plots.FIRST_STEPS)} rows ahead"
    plots.forecasts(args.plot, _times(table, shown), panels, f"{table.name}: {what}", args.interval)


# ---- sequences ----


def write_sequences(args: argparse.Namespace, model: Model, trained: Metadata) -> list[str]:
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
    task = tasks.SequenceDataset.from_recipe(recipe, sequences)
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
