"""Train several models side by side on one task: ``npseq compare``."""

import contextlib
import json
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from . import options, plots, train
from .data import DataError
from .model import MODELS

DEFAULT = ["rnn", "lstm", "gru", "optimized_lstm"]
FORMS = {"rmse": ("RMSE", "{:.1f}"), "mse": ("MSE", "{:.5f}"), "accuracy": ("accuracy", "{:.1%}")}


def run(model, seed, training):
    """One training in this process -> its report.

    Raises:
        DataError: with the command's own message when it ends with another status than 0.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, errors = os.path.join(folder, "report.json"), os.path.join(folder, "errors.txt")
        argv = [*training, "--model", model, "--seed", str(seed), "--quiet", "--out-dir", folder, "--report", report]
        with open(errors, "w", encoding="utf-8") as file, contextlib.redirect_stderr(file):
            try:
                status = train.main(argv)
            except SystemExit as end:
                status = end.code
        if status == options.INTERRUPTED:
            raise KeyboardInterrupt
        if status:
            with open(errors, encoding="utf-8") as file:
                raise DataError(file.read().strip().removeprefix("npseq train: error: ") or f"{model} ended with status {status}")
        with open(report, encoding="utf-8") as file:
            return json.load(file)


def table(reports):
    """Markdown: a line for each model and each baseline, best first.

    ``reports``: model -> reports of its seeds. "epochs to level" is after how many epochs the validation loss was as
    small as the best one of the model whose best is largest: a level that every model reaches.
    """
    first = next(iter(reports.values()))[0]
    metric = next(name for name in FORMS if name in first["test"])
    title, form = FORMS[metric]
    if metric == "rmse" and max(r["rmse"] for r in [first["test"], *first["baselines"].values()]) < 10:
        form = "{:.4g}"
    level = common_level(reports)
    rows = []
    for name, runs in reports.items():
        scores = [r["test"][metric] for r in runs]
        spread = f" ({form.format(min(scores))} – {form.format(max(scores))})" if len(runs) > 1 else ""
        reached = [next(row["epoch"] for row in r["history"] if row["validation_loss"] <= level * (1 + 1e-12)) for r in runs
                   if min(row["validation_loss"] for row in r["history"]) <= level * (1 + 1e-12)]
        rows.append((np.mean(scores), f"| {name} | {runs[0]['parameters']:,} | {form.format(np.mean(scores))}{spread} | "
                     f"{np.median([r['seconds'] for r in runs]):.1f} | {np.mean(reached):.1f} |" if reached else
                     f"| {name} | {runs[0]['parameters']:,} | {form.format(np.mean(scores))}{spread} | "
                     f"{np.median([r['seconds'] for r in runs]):.1f} | – |"))
    rows += [(r[metric], f"| {name} | | {form.format(r[metric])} | | |") for name, r in first["baselines"].items()]
    rows.sort(key=lambda row: row[0], reverse=metric == "accuracy")
    return "\n".join([f"| | parameters | test {title} | seconds | epochs to level |", "|---|---|---|---|---|", *(row for _, row in rows)])


def common_level(reports):
    """The largest of the models' mean best validation losses."""
    return max(float(np.mean([min(row["validation_loss"] for row in r["history"]) for r in runs])) for runs in reports.values())


def main(argv=None):
    """``npseq compare``; -> exit status. Options that are not its own are those of ``npseq train``."""
    p = options.Parser(prog="npseq compare", description="Train models side by side; other options as for npseq train.",
                       epilog="example: npseq compare --models lstm,gru --seeds 2 --epochs 3")
    p.add_argument("--models", default=DEFAULT, type=lambda text: [options.name(m) for m in options.names(text)], metavar="M,M",
                   help=f"of {', '.join(MODELS)}; default: {','.join(DEFAULT)}")
    p.add_argument("--seeds", default=3, type=options.positive_int, metavar="N", help="train each so many times; default: 3")
    p.add_argument("--jobs", default=1, type=options.positive_int, metavar="N", help="trainings at the same time; default: 1")
    p.add_argument("--plot", metavar="FILE.png", help="draw the validation losses there (.png or .svg)")
    p.add_argument("--output", metavar="FILE.json", help="write every run's report there")
    args, training = p.parse_known_args(argv)
    try:
        unknown = [name for name in args.models if name not in MODELS]
        if unknown:
            raise ValueError(f"argument --models: {unknown[0]!r} given, names of {', '.join(MODELS)} expected")
        taken = [name for name in ("--model", "--seed", "--report", "--out-dir", "--resume") if name in
                 [word.split("=")[0] for word in training]]
        if taken:
            raise ValueError(f"{taken[0]} given: npseq compare sets it itself (--models, --seeds)")
        train.parser().parse_args(training)  # a wrong option ends here, before anything is trained
        if args.plot:
            plots.check(args.plot)
        for file in (args.plot, args.output):
            if file:
                options.check_folder(os.path.dirname(file) or ".")
        reports = _train_all(args, training)
        print(table(reports))
        if args.plot:
            histories = {name: [[row["validation_loss"] for row in r["history"]] for r in runs] for name, runs in reports.items()}
            plots.curves(args.plot, histories, "Validation loss by epoch", common_level(reports))
        if args.output:
            with open(args.output, "w", encoding="utf-8") as file:
                json.dump(reports, file, indent=1)
    except (OSError, ValueError) as error:
        p.error(str(error))
    except KeyboardInterrupt:
        print(f"{p.prog}: interrupted", file=sys.stderr)
        return options.INTERRUPTED
    return options.OK


def _train_all(args, training):
    """model -> reports, with a line for each training that is done."""
    wanted = [(model, seed) for model in args.models for seed in range(args.seeds)]
    reports = {model: [] for model in args.models}

    def done(model, seed, report):
        reports[model].append(report)
        print(f"{sum(map(len, reports.values())):3}/{len(wanted)}  {model} seed {seed}  best epoch {report['best_epoch']}  "
              f"{report['seconds']:.1f} s", file=sys.stderr, flush=True)

    if args.jobs == 1:
        for model, seed in wanted:
            done(model, seed, run(model, seed, training))
        return reports
    training = training if "--threads" in " ".join(training) else [*training, "--threads", "1"]
    pool = ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn"))
    try:
        futures = [pool.submit(run, model, seed, training) for model, seed in wanted]
        for (model, seed), future in zip(wanted, futures):
            done(model, seed, future.result())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return reports


if __name__ == "__main__":
    sys.exit(main())
