"""``npseq predict``: a trained model's answers for new data, as a file.

The weights file alone carries what is needed: the names of the columns, window, scaler, calendar, classes, and the
quantiles of the validation part's residuals, from which intervals are made.
"""

import numpy as np

from .. import data, status, tasks
from ..data import DataError
from ..formats import checkpoint, model_file
from ..fused import blas
from ..tasks import intervals, multistep
from . import arguments, output, plots, progress
from .output import csv_writer

SHOWN, BEFORE = 336, 168  # rows of forecasts, and of data before the first of --steps, in the picture


def parser():
    p = arguments.Parser(
        prog="npseq predict",
        description="Write a trained model's answers for new data.",
        epilog="example: npseq predict rnn_lstm_best.pth --data metro_traffic --output forecast.csv --steps 24",
    )
    p.add_argument("file", metavar="FILE.pth", help="of npseq train")
    p.add_argument("--data", required=True, metavar="NAME|FILE", help="with the columns that the model was trained on")
    p.add_argument("--output", required=True, metavar="FILE.csv", help="to write the answers to")
    p.add_argument(
        "--steps",
        type=arguments.positive_int,
        metavar="N",
        help="forecast only the N rows after the end of "
        "the data; default: each row from the rows before it, and the first one after the end",
    )
    p.add_argument(
        "--interval",
        type=arguments.share,
        metavar="P",
        help="also the bounds between which a value lies with probability P, such as 0.9",
    )
    p.add_argument("--plot", metavar="FILE.png", help="draw the forecast there (.png or .svg)")
    column_options(p)
    return p


def column_options(p):
    p.add_argument("--time", metavar="COLUMN", help="of dates; default: as in the training")
    p.add_argument("--sequence", metavar="COLUMN", help="of a classifier's data; default: as in the training")


def main(argv=None):
    """``npseq predict``; -> exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        model, recipe = load(args.file)
        fill_columns(args, model)
        if recipe["task"] == "adding":
            raise DataError(
                f"{args.file} was trained on the adding problem, which has no data to predict; npseq evaluate judges it"
            )
        if recipe["task"] == "classify" and (args.steps or args.interval or args.plot):
            raise DataError(
                f"{args.file} names classes: --steps, --interval and --plot are for forecasts; leave them out"
            )
        if args.plot:
            plots.check(args.plot)
        for file in (args.output, args.plot):
            if file:
                output.check_file(file)
        with blas.limited(1):
            lines = {"forecast": write_forecast, "classify": write_classes}[recipe["task"]](args, model, recipe)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return status.OK


def _count(value):
    return type(value) is int and 0 < value < 10**9


def _listed(fits):
    return lambda values: isinstance(values, list) and all(map(fits, values))


_text, _number = (lambda value: isinstance(value, str)), (lambda value: isinstance(value, (int, float)))
RECIPES = {  # task -> what its recipe has, and what that must be: a file may come from anywhere
    "forecast": {
        "data": _text,
        "target": _listed(_text),
        "inputs": _listed(_text),
        "window": _count,
        "horizon": _count,
        "lags": _listed(_count),
        "step": lambda value: value is None or _count(value),
        "calendar": lambda value: isinstance(value, bool),
        "mean": _listed(_number),
        "spread": _listed(_number),
    },
    "classify": {
        "data": _text,
        "inputs": _listed(_text),
        "classes": _listed(_text),
        "mean": _listed(_number),
        "spread": _listed(_number),
    },
    "adding": {
        "data": _text,
        "length": _count,
        "count": _count,
        "held_out": _count,
        "seed": lambda value: type(value) is int,
    },
}


def load(path):
    """-> the model, and the recipe of its data.

    Raises:
        CheckpointError: for a file that no ``npseq train`` has written. OSError: when there is none.
    """
    model = model_file.load_model(path)
    recipe = (model.metadata or {}).get("recipe")
    if not isinstance(recipe, dict) or recipe.get("task") not in RECIPES:
        raise checkpoint.CheckpointError(
            f"{path} does not say how its data were prepared: a file of npseq train "
            "expected; in Python, npseq.load(path).predict(x) takes any"
        )
    wrong = [name for name, fits in RECIPES[recipe["task"]].items() if not fits(recipe.get(name))]
    columns = model.metadata.get("columns", {})
    if not isinstance(columns, dict) or not all(map(_text, columns.values())):
        wrong.append("columns")
    if not wrong and recipe["task"] != "adding":
        named = len(recipe["inputs"]) + len(recipe.get("target", ()))
        wrong = [name for name in ("mean", "spread") if len(recipe[name]) != named]
    if wrong:
        raise checkpoint.CheckpointError(f"{path}: what it says of its data is broken ({', '.join(wrong)})")
    return model, recipe


def fill_columns(args, model):
    """Names of columns that were not given are those of the training."""
    for name, column in model.metadata.get("columns", {}).items():
        if getattr(args, name, column) is None:
            setattr(args, name, column)


# ---- forecasts ----


def write_forecast(args, model, recipe):
    """A line for each forecast value: its time (or row), how many rows ahead it is, the values, the interval."""
    table = data.load(args.data, args.time, fill="past", on_progress=progress.reading())  # nothing may look ahead
    windows = tasks.Windows.from_recipe(recipe, table)
    n, h, O = len(table.values), windows.horizon, len(windows.target_columns)
    if n < windows.first:
        raise DataError(f"{table.name} has {n:,} rows: too few for a model that sees {windows.first}")
    if args.steps:
        rows, ahead = n + np.arange(args.steps), np.arange(args.steps)
        values = multistep.recursive_forecast(model, recipe, table, np.array([n]), args.steps)[0]
    else:
        first = np.arange(windows.first, n + 1)
        rows, ahead = (first[:, None] + np.arange(h)).reshape(-1), np.tile(np.arange(h), len(first))
        values = multistep.outputs(model, windows, first).reshape(-1, O)
    low = high = None
    lines = [f"{table.name}: {note}" for note in table.notes]
    if args.interval:
        add = intervals.interval(model, args.interval, args.steps)
        low, high = (values + part.reshape(-1, O)[ahead] for part in add)
        if unknown := int(np.isnan(low[:, 0]).sum()):
            lines.append(
                f"no interval for the last {unknown:,} of {len(rows):,} rows: the errors of forecasts so far "
                "ahead were not measured in the training"
            )
    _write(args.output, _times(table, rows), ahead + 1, windows.target_columns, values, low, high)
    if args.plot:
        _draw(args, table, windows, rows, values, low, high)
    return [*lines, f"{len(rows):,} forecasts of {', '.join(windows.target_columns)} in {args.output}"]


def _times(table, rows):
    """The times of rows, after the end too; their numbers where there is no time, or the next one is unknown."""
    if table.start is not None:
        return table.start + rows * np.timedelta64(table.step, "s")
    if table.irregular is not None and rows.max() < len(table.irregular):
        return table.irregular[rows]
    return rows


def _write(path, times, ahead, names, values, low, high):
    parts = [values] if low is None else [values, low, high]
    header = [name + ending for name in names for ending in ("", "_low", "_high")[: len(parts)]]
    cells = np.stack(parts, axis=2).reshape(len(values), -1)
    when = [str(time).replace("T", " ") for time in times]
    with csv_writer(path) as writer:
        writer.writerow(["time" if times.dtype.kind == "M" else "row", "steps_ahead", *header])
        for k, row in enumerate(cells):
            writer.writerow([when[k], ahead[k], *("" if np.isnan(value) else f"{value:.10g}" for value in row)])


def _draw(args, table, windows, rows, values, low, high):
    """The first target: the rows after the end and the data before them, or the last forecasts of the next row."""
    if args.steps:
        before = np.arange(max(0, len(table.values) - BEFORE), len(table.values))
        shown, predicted = np.concatenate([before, rows]), np.arange(len(rows))
    else:
        before = rows[:0]
        predicted = np.arange(0, len(rows), windows.horizon)[-SHOWN:]
        shown = rows[predicted]
    gap = np.full(len(before), np.nan)
    lines = [None if part is None else np.concatenate([gap, part[predicted, 0]]) for part in (values, low, high)]
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


# ---- classes ----


def write_classes(args, model, recipe):
    """A line for each sequence: the answer and the probability of each class. No labels are needed."""
    names = {} if args.sequence is None else {"sequence": args.sequence}
    first, second = data.load_sequences(args.data, label=None, inputs=recipe["inputs"], time=args.time, **names)
    sequences = first if second is None else second  # of shipped data the test part
    z = logits(model, recipe, sequences, np.arange(len(sequences.labels)))
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    with csv_writer(args.output) as writer:
        writer.writerow(["sequence", "answer", *(f"p_{name}" for name in recipe["classes"])])
        for name, row in zip(sequences.names, p):
            writer.writerow([name, recipe["classes"][row.argmax()], *(f"{value:.4f}" for value in row)])
    return [*(f"{sequences.name}: {note}" for note in sequences.notes), f"{len(p):,} sequences named in {args.output}"]


def logits(model, recipe, sequences, rows, batch_size=256):
    """The model's (len(rows), classes) for the sequences ``rows``, scaled as in the training."""
    mean, spread = np.array(recipe["mean"]), np.array(recipe["spread"])
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return np.concatenate(
        [
            model.outputs(*sequences.batch(batch, mean, spread, model.dtype))
            for batch in progress.progress(batches, "classifying")
        ]
    )


def check_classes(sequences, recipe):
    """Raises DataError for a class that the model does not know."""
    for name in sequences.classes:
        if name not in recipe["classes"]:
            raise DataError(f"{sequences.name} has the class {name!r}; the model knows {', '.join(recipe['classes'])}")
