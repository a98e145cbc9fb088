"""Use a trained model: ``npseq predict`` writes its answers for new data, ``npseq evaluate`` judges them.

The weights file alone carries what is needed: columns, window, scaler, calendar, and the residuals of the validation
part, from whose quantiles the intervals are made.
"""

import csv
import os
import sys

import numpy as np

from . import baselines, checkpoint, data, options, plots, tasks
from .train import QUANTILES, comparison, confusion_table
from .data import DataError
from .text import read_csv


def load(path):
    """-> model, recipe.

    Raises:
        CheckpointError: for a file that no ``npseq train`` has written.
    """
    model = checkpoint.load_model(path)
    recipe = (model.metadata or {}).get("recipe")
    if not isinstance(recipe, dict) or "task" not in recipe:
        raise checkpoint.CheckpointError(f"{path} does not say how its data were prepared: only files of npseq train can be used here; "
                                         "in Python, npseq.load(path).predict(x) takes any")
    return model, recipe


def outputs(model, windows, rows, batch_size=512):
    """The model's forecasts for the first predicted rows ``rows``, in the data's own units."""
    parts = [model.outputs(windows.inputs(rows[start:start + batch_size], model.dtype)) for start in range(0, len(rows), batch_size)]
    return windows.to_units(np.concatenate(parts))


def interval(model, share):
    """What to add to a forecast for an interval that holds ``share`` of the values: -> low (O,), high (O,).

    They are the quantiles of the residuals on the validation part (split conformal prediction without its correction for
    small samples; Papadopoulos et al. 2002).

    Raises:
        DataError: when the file has no residuals: the training was cut off before its end.
    """
    quantiles = (model.metadata or {}).get("residual_quantiles")
    if quantiles is None:
        raise DataError("the weights file has no residuals to make an interval from: its training did not come to its end")
    tails = (1 - share) / 2, (1 + share) / 2
    return tuple(np.array([np.interp(tail, QUANTILES, column) for column in np.transpose(quantiles)]) for tail in tails)


def beyond(model, recipe, table, steps):
    """Forecasts of the rows after the last one, each fed back as if it had been seen: (steps, targets) in the data's units.

    Other inputs, whose future is not known, keep their last value.
    """
    n = len(table.values)
    if table.irregular is not None and recipe["calendar"]:
        raise DataError(f"{table.name} has irregular times, so the times after its end are not known: --steps needs regular ones")
    longer = data.Table(table.name, np.concatenate([table.values, np.repeat(table.values[-1:], steps, axis=0)]), table.columns,
                        table.step, table.start, all_columns=table.all_columns, refused=table.refused)
    windows = tasks.Windows.from_recipe(recipe, longer)
    windows.values = windows.values.copy()
    O, h = len(windows.target_columns), windows.horizon
    for row in range(n, n + steps, h):
        forecast = outputs(model, windows, np.array([row])).reshape(h, O)
        count = min(h, n + steps - row)
        windows.values[row:row + count, :O] = forecast[:count]
    return windows.values[n:, :O]


def main(argv=None):
    """``npseq predict``; -> exit status."""
    p = options.Parser(prog="npseq predict", description="Write a trained model's answers for new data.",
                       epilog="example: npseq predict rnn_lstm_best.pth --data metro_traffic --output forecast.csv --steps 24")
    p.add_argument("file", metavar="FILE.pth")
    p.add_argument("--data", required=True, metavar="NAME|FILE", help="with the columns that the model was trained on")
    p.add_argument("--output", required=True, metavar="FILE.csv")
    p.add_argument("--steps", type=options.positive_int, metavar="N", help="only the N rows after the end of the data")
    p.add_argument("--interval", type=options.probability, metavar="P", help="also the bounds between which a value lies with "
                   "probability P, as 0.9")
    p.add_argument("--time", metavar="COLUMN", help="of dates; default: the first column that holds them")
    p.add_argument("--sequence", default="utterance", metavar="COLUMN", help="of a classifier: which rows belong together")
    p.add_argument("--plot", metavar="FILE.png", help="draw the forecast there (.png or .svg)")
    args = p.parse_args(argv)
    try:
        for file in (args.output, args.plot):
            if file:
                options.check_folder(os.path.dirname(file) or ".")
        if args.plot:
            plots.check(args.plot)
        model, recipe = load(args.file)
        if recipe["task"] == "forecast":
            lines = _forecast(args, model, recipe)
        elif recipe["task"] == "classify":
            lines = _classify(args, model, recipe)
        else:
            raise DataError(f"{args.file} was trained on the adding problem, which has no data to predict; npseq evaluate judges it")
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return options.OK


def _forecast(args, model, recipe):
    table = data.load(args.data, args.time, fill="past")  # nothing may look ahead
    windows = tasks.Windows.from_recipe(recipe, table)
    n, h, names = len(table.values), windows.horizon, windows.target_columns
    O = len(names)
    if windows.first > n:
        raise DataError(f"{table.name} has {n:,} rows; the model sees {windows.first}")
    if args.steps:
        rows, step_of = np.arange(n, n + args.steps), np.arange(args.steps) % h
        forecast = beyond(model, recipe, table, args.steps)
    else:
        origins = np.arange(windows.first, n + 1)
        rows, step_of = (origins[:, None] + np.arange(h)).reshape(-1), np.tile(np.arange(h), len(origins))
        forecast = outputs(model, windows, origins).reshape(-1, O)
    low = high = None
    if args.interval is not None:
        add_low, add_high = (part.reshape(h, O)[step_of] for part in interval(model, args.interval))
        low, high = forecast + add_low, forecast + add_high
        if args.steps:  # the residuals are those of forecasts from seen values; fed back ones have no measured interval
            low[h:] = high[h:] = np.nan
    times = None if table.start is None else table.start + rows * np.timedelta64(table.step, "s")
    with checkpoint.replacing(args.output) as file:
        writer = csv.writer(_Text(file))
        writer.writerow(["row" if times is None else "time", "steps_ahead"]
                        + [column for name in names for column in [name, *([f"{name}_low", f"{name}_high"] if low is not None else [])]])
        for k, row in enumerate(rows):
            when = row if times is None else str(times[k]).replace("T", " ")
            cells = [[forecast[k, j]] if low is None else [forecast[k, j], low[k, j], high[k, j]] for j in range(O)]
            ahead = row - n + 1 if args.steps else step_of[k] + 1
            writer.writerow([when, ahead] + ["" if np.isnan(value) else f"{value:.10g}" for part in cells for value in part])
    if args.plot:
        first = step_of == 0 if not args.steps else np.ones(len(rows), bool)
        shown = np.flatnonzero(first)[-336:]
        before = np.arange(max(0, n - 168), n) if args.steps else rows[shown]
        at = np.concatenate([before, rows]) if args.steps else rows[shown]
        x = at if times is None else table.start + at * np.timedelta64(table.step, "s")
        pad = np.full(len(before), np.nan) if args.steps else np.empty(0)
        line = [np.concatenate([pad, part[:, 0] if args.steps else part[shown, 0]]) if part is not None else None
                for part in (forecast, low, high)]
        plots.forecast(args.plot, x, windows.values[at[at < n], 0], line[0], names[0], f"{table.name}: {names[0]}", line[1], line[2],
                       args.interval)
    return [*(f"{table.name}: {note}" for note in table.notes),
            f"{len(rows):,} forecasts of {', '.join(names)} in {args.output}"]


class _Text:
    """What csv needs of a text file, on a binary one."""

    def __init__(self, file):
        self.file = file

    def write(self, text):
        self.file.write(text.encode())


def _classify(args, model, recipe):
    """One line a sequence: the answer and the probability of each class. No labels are needed."""
    paths = [data.shipped(data.SHIPPED_SEQUENCES[args.data][1])] if args.data in data.SHIPPED_SEQUENCES else [args.data]
    if not os.path.isfile(paths[0]):
        raise DataError(f"there is no file {args.data}")
    content = read_csv(paths[0], args.time, [args.sequence])
    ((number, names),) = content.labels.values()
    missing = [name for name in recipe["inputs"] if name not in content.columns]
    if missing:
        raise DataError(f"{args.data} has no column {missing[0]!r} of numbers; the model was trained with {', '.join(recipe['inputs'])}")
    frames = content.values[:, [content.columns.index(name) for name in recipe["inputs"]]]
    order = np.argsort(number, kind="stable")
    starts = np.append(np.flatnonzero(np.append(True, np.diff(number[order]) != 0)), len(number))
    sequences = data.Sequences(args.data, frames[order], recipe["inputs"], starts, np.zeros(len(starts) - 1, int), [])
    if np.isnan(sequences.frames).any():
        raise DataError(f"{args.data} has empty cells; fill them first")
    logits = np.concatenate([model.outputs(*sequences.batch(np.arange(s, min(s + 256, len(starts) - 1)), np.array(recipe["mean"]),
                                                            np.array(recipe["spread"]), model.dtype))
                             for s in range(0, len(starts) - 1, 256)])
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    with checkpoint.replacing(args.output) as file:
        writer = csv.writer(_Text(file))
        writer.writerow([args.sequence, "answer", *(f"p_{name}" for name in recipe["classes"])])
        for name, row in zip(names, p):
            writer.writerow([name, recipe["classes"][row.argmax()], *(f"{v:.4f}" for v in row)])
    return [f"{len(p):,} sequences classified in {args.output}"]


def evaluate_main(argv=None):
    """``npseq evaluate``; -> exit status."""
    p = options.Parser(prog="npseq evaluate", description="Judge a trained model on the test part of its data, or on all of new data.",
                       epilog="example: npseq evaluate rnn_lstm_best.pth")
    p.add_argument("file", metavar="FILE.pth")
    p.add_argument("--data", metavar="NAME|FILE", help="default: the shipped data that the model was trained on, its test part")
    p.add_argument("--interval", default=0.9, type=options.probability, metavar="P", help="whose coverage is told; default: 0.9")
    p.add_argument("--time", metavar="COLUMN", help="of dates; default: the first column that holds them")
    p.add_argument("--sequence", default="utterance", metavar="COLUMN")
    p.add_argument("--label", default="speaker", metavar="COLUMN")
    args = p.parse_args(argv)
    try:
        model, recipe = load(args.file)
        lines = {"forecast": _judge_forecast, "classify": _judge_classes, "adding": _judge_adding}[recipe["task"]](args, model, recipe)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return options.OK


def _source(args, recipe):
    if args.data is None and recipe["data"] not in [*data.SHIPPED, *data.SHIPPED_SEQUENCES]:
        raise DataError(f"{args.file} was trained on {recipe['data']}: say with --data where that, or other data, are")
    return args.data or recipe["data"]


def _judge_forecast(args, model, recipe):
    table = data.load(_source(args, recipe), args.time, fill="linear" if args.data is None else "past")
    windows = tasks.Windows.from_recipe(recipe, table)
    n, h, O = len(table.values), windows.horizon, len(windows.target_columns)
    rows = np.arange(windows.first if args.data else max(windows.first, int(0.85 * n)), n - h + 1)
    if len(rows) == 0:
        raise DataError(f"{table.name} has {n:,} rows; the model sees {windows.first} and forecasts {h} more")
    forecast, actual = outputs(model, windows, rows), windows.to_units(windows.targets(rows))

    def errors(y):
        e = y - actual
        return {"rmse": float(np.sqrt((e * e).mean())), "mae": float(np.abs(e).mean())}

    last = np.stack([baselines.persistence(windows.values[:, k], rows, h) for k in range(O)], axis=2).reshape(len(rows), -1)
    lines = [f"{table.name}: {note}" for note in table.notes]
    lines += [f"{len(rows):,} examples, {'the test part' if args.data is None else 'all of ' + table.name}", "",
              comparison(model.kind, errors(forecast), {"persistence": errors(last)})]
    if (model.metadata or {}).get("residual_quantiles") is not None:
        low, high = interval(model, args.interval)
        inside = ((forecast + low <= actual) & (actual <= forecast + high)).mean()
        lines += ["", f"the {args.interval:.0%} interval, from the validation part's residuals, holds {inside:.1%} of the values"]
    return lines


def _judge_classes(args, model, recipe):
    train, test = data.load_sequences(_source(args, recipe), args.sequence, args.label, recipe["inputs"], args.time)
    sequences = train if test is None else test
    unknown = [name for name in sequences.classes if name not in recipe["classes"]]
    if unknown:
        raise DataError(f"{sequences.name} has the class {unknown[0]!r}; the model knows {', '.join(recipe['classes'])}")
    labels = np.array([recipe["classes"].index(name) for name in sequences.classes])[sequences.labels]
    x = [sequences.batch(np.arange(s, min(s + 256, len(labels))), np.array(recipe["mean"]), np.array(recipe["spread"]), model.dtype)
         for s in range(0, len(labels), 256)]
    answers = np.concatenate([model.outputs(*part) for part in x]).argmax(axis=1)
    table = np.zeros((len(recipe["classes"]),) * 2, int)
    np.add.at(table, (labels, answers), 1)
    counts = table.sum(axis=1)
    results = {"accuracy": float((labels == answers).mean()), "confusion": table.tolist(),
               "recall": [table[k, k] / c if c else None for k, c in enumerate(counts)]}
    most = {"accuracy": float(counts.max() / counts.sum())}
    return [f"{len(labels):,} sequences of {sequences.name}", "", comparison(model.kind, results, {"one class for all": most}),
            confusion_table(results, recipe["classes"])]


def _judge_adding(args, model, recipe):
    task = tasks.Adding(recipe["length"], recipe["count"], recipe["seed"], recipe["held_out"])
    rows = task.parts["test"]
    batch = task.batch(rows, model.dtype)
    return [comparison(model.kind, task.metrics(model.outputs(batch.x), rows), task.baselines())]


if __name__ == "__main__":
    sys.exit(main())
