"""``npseq evaluate``: a trained model judged on the test part of its data, or on all of new data."""

import os

import numpy as np

from .. import data, status, tasks
from ..data import DataError
from ..fused import blas
from ..tasks import baselines, intervals, metrics, multistep
from . import arguments, progress
from .predict import check_classes, column_options, fill_columns, load, logits
from .tables import comparison, confusion_table


def parser():
    p = arguments.Parser(
        prog="npseq evaluate",
        description="Judge a trained model on the test part of its data, or on all of new data.",
        epilog="example: npseq evaluate rnn_lstm_best.pth",
    )
    p.add_argument("file", metavar="FILE.pth", help="of npseq train")
    p.add_argument("--data", metavar="NAME|FILE", help="default: the shipped data that the model was trained on")
    p.add_argument(
        "--part",
        choices=["test", "all"],
        help="of the data; default: test where the data have the name of those of the training, else all",
    )
    p.add_argument(
        "--interval", default=0.9, type=arguments.share, metavar="P", help="whose coverage is told; default: 0.9"
    )
    column_options(p)
    p.add_argument("--label", metavar="COLUMN", help="of a classifier's data; default: as in the training")
    return p


def main(argv=None):
    """``npseq evaluate``; -> exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        model, recipe = load(args.file)
        fill_columns(args, model)
        if args.data is None and recipe["data"] not in [
            *data.SHIPPED,
            *data.SHIPPED_SEQUENCES,
            tasks.Adding.name,
        ]:
            raise DataError(
                f"{args.file} was trained on {recipe['data']}: say with --data where that is, or other data"
            )
        args.data = args.data or recipe["data"]
        args.part = args.part or ("test" if os.path.basename(args.data) == recipe["data"] else "all")
        judge = {"forecast": judge_forecast, "classify": judge_classes, "adding": judge_adding}[recipe["task"]]
        with blas.limited(1):
            lines = judge(args, model, recipe)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return status.OK


def judge_forecast(args, model, recipe):
    """Lines: the error beside the baselines', the coverage of the interval, and both when forecasts are fed back."""
    if args.part == "test":  # the training's own examples and baselines, its gaps filled as they were then
        table = data.load(args.data, args.time, on_progress=progress.reading())
        task = tasks.Forecast.from_recipe(recipe, table)
        rows, others = task.parts["test"], task.baselines()
    else:
        table = data.load(args.data, args.time, fill="past", on_progress=progress.reading())
        task = tasks.Windows.from_recipe(recipe, table)
        rows = np.arange(task.first, len(table.values) - task.horizon + 1)
        if len(rows) == 0:
            raise DataError(
                f"{table.name} has {len(table.values):,} rows: too few for a model that sees {task.first} "
                f"and forecasts {task.horizon}"
            )
        columns = range(len(task.target_columns))
        last = np.stack([baselines.persistence(task.values[:, k], rows, task.horizon) for k in columns], axis=2)
        others = {"persistence": task.metrics(last.reshape(len(rows), -1), rows)}
    forecast = multistep.outputs(model, task, rows)
    lines = [f"{table.name}: {note}" for note in table.notes]
    lines += [
        f"{len(rows):,} examples, {_part(args, table.name)}",
        "",
        comparison(model.kind, task.metrics(forecast, rows), others),
    ]
    if "residual_quantiles" not in model.metadata:
        return lines
    share = f"the {args.interval:.0%} interval"
    residuals = task.to_units(task.targets(rows)) - forecast
    lines += [
        "",
        f"{share}, from the residuals of the validation part, holds "
        f"{_inside(residuals, *intervals.interval(model, args.interval)):.1%} of the values",
    ]
    ahead = multistep.residuals_ahead(model, recipe, table, rows[0], rows[-1] + task.horizon)
    steps = ahead.shape[1]
    if steps > task.horizon:
        lines.append(
            f"forecasts fed back for {steps} rows: RMSE {np.sqrt((ahead**2).mean()):.4g}; {share} holds "
            f"{_inside(ahead, *intervals.interval(model, args.interval, steps)):.1%}"
        )
    return lines


def _part(args, name):
    return "the test part" if args.part == "test" else f"all of {name}"


def _inside(residuals, low, high):
    """The share of the residuals for which there is an interval that lies in it."""
    known = np.broadcast_to(np.isfinite(low), residuals.shape)
    return ((low <= residuals) & (residuals <= high))[known].mean() if known.any() else np.nan


def judge_classes(args, model, recipe):
    """Lines: the share of right answers beside that of the most frequent class, and the table of answers."""
    names = {"sequence": args.sequence, "label": args.label}
    train, test = data.load_sequences(
        args.data, inputs=recipe["inputs"], time=args.time, **{name: value for name, value in names.items() if value}
    )
    check_classes(train, recipe)
    if args.part == "test":
        task = tasks.Classification(train, test, model.metadata["seed"])
        sequences, rows = task.sequences, task.parts["test"]
    else:
        sequences = train if test is None else train.followed_by(test)
        rows = np.arange(len(sequences.labels))
    truth = np.array([recipe["classes"].index(name) for name in sequences.classes])[sequences.labels[rows]]
    results = metrics.class_metrics(
        truth, logits(model, recipe, sequences, rows).argmax(axis=1), len(recipe["classes"])
    )
    most = {"accuracy": float(np.bincount(truth).max() / len(truth))}
    return [
        f"{len(rows):,} sequences, {_part(args, sequences.name)}",
        "",
        comparison(model.kind, results, {"one answer for all": most}),
        confusion_table(results, recipe["classes"]),
    ]


def judge_adding(args, model, recipe):
    """Lines: the mean squared error beside chance, on the test part that the training's seed makes."""
    if args.data != tasks.Adding.name:
        raise DataError(f"{args.file} was trained on the adding problem: leave out --data")
    task = tasks.Adding(recipe["length"], recipe["count"], recipe["seed"], recipe["held_out"])
    rows = task.parts["test"]
    results = task.metrics(model.outputs(task.batch(rows, model.dtype).x), rows)
    return [f"{len(rows):,} sequences, the test part", "", comparison(model.kind, results, task.baselines())]
