"""``npseq compare``: train several models side by side on one task, several seeds each; one table and one picture."""

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context

from .. import status as exit_status
from . import arguments, experiment, output, plots, training_run
from .tables import comparison_of_models, level_of, losses_of

DEFAULT = ["rnn", "lstm", "gru", "optimized_lstm"]
OWN = ["--model", "--seed", "--out-dir", "--report", "--quiet", "--history", "--checkpoint", "--resume"]


class RunFailed(Exception):
    """A training ended with the exit status ``args[1]``; ``args[0]`` is its message."""


def parser():
    p = arguments.Parser(
        prog="npseq compare",
        description="Train models side by side; every other option is one of npseq train.",
        epilog="example: npseq compare --models lstm,gru --seeds 2 --epochs 3",
    )
    p.add_argument(
        "--models", default=DEFAULT, type=experiment.models, metavar="M,M", help=f"default: {','.join(DEFAULT)}"
    )
    p.add_argument(
        "--seeds",
        default=3,
        type=arguments.positive_int,
        metavar="N",
        help="train each model with the seeds 0 … N − 1; default: 3",
    )
    p.add_argument(
        "--jobs",
        default=1,
        type=arguments.positive_int,
        metavar="N",
        help="trainings at the same time; default: 1, which measures the seconds best",
    )
    p.add_argument("--plot", metavar="FILE.png", help="draw the validation losses there (.png or .svg)")
    p.add_argument("--output", metavar="FILE.json", help="write every training's report there")
    return p


def main(argv=None):
    """``npseq compare``; -> exit status, that of a training which fails."""
    p = parser()
    args, training = p.parse_known_args(argv)
    try:
        given = {word.split("=")[0] for word in training}
        if taken := [name for name in OWN if name in given]:
            raise ValueError(f"{taken[0]} given: npseq compare sets that itself; leave it out")
        check = training_run.parser()
        check.prog = p.prog
        experiment.make_task(check.parse_args(training))  # a wrong option or file ends here, before anything is trained
        if args.plot:
            plots.check(args.plot)
        for file in (args.plot, args.output):
            if file:
                output.check_file(file)
        if args.jobs > 1 and "--threads" not in given:
            training = [*training, "--threads", "1"]
        reports = train_all(args.models, range(args.seeds), training, args.jobs)
        if args.output:
            with open(args.output, "w", encoding="utf-8") as file:
                json.dump(reports, file, indent=1)
    except RunFailed as failure:
        message, status = failure.args
        print(f"{p.prog}: {message}", file=sys.stderr)
        return status
    except (OSError, ValueError) as error:
        p.error(str(error))
    except KeyboardInterrupt:
        print(f"{p.prog}: interrupted", file=sys.stderr)
        return exit_status.INTERRUPTED
    print(comparison_of_models(reports))
    if args.plot:
        losses = {name: [losses_of(report) for report in runs] for name, runs in reports.items()}
        first = next(iter(reports.values()))[0]
        plots.curves(args.plot, losses, f"{first['data']}: validation loss by epoch", level=level_of(reports))
    return exit_status.OK


def train_all(models, seeds, training, jobs=1):
    """model -> the reports of its seeds; a line for each training that is done goes to stderr.

    Raises:
        RunFailed: for the first training that does not end well.
    """
    wanted = [(model, seed) for model in models for seed in seeds]
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _leave_interrupts_to_the_parent) if jobs > 1 else None
    reports = {model: [] for model in models}
    with tempfile.TemporaryDirectory() as folder:
        try:
            submit = (
                (lambda *run: pool.submit(train_one, *run).result) if pool else (lambda *run: lambda: train_one(*run))
            )
            runs = [submit(model, seed, training, os.path.join(folder, f"{model}_{seed}")) for model, seed in wanted]
            for number, ((model, seed), run) in enumerate(zip(wanted, runs), 1):
                print(f"{number:3}/{len(wanted)}  {model}, seed {seed}", end="", file=sys.stderr, flush=True)
                reports[model].append(report := run())
                print(f": best epoch {report['best_epoch']}, {report['seconds']:.1f} s", file=sys.stderr, flush=True)
        except BaseException:
            print(file=sys.stderr)  # the line that was begun
            for child in active_children() if pool else ():
                child.terminate()
            raise
        finally:
            if pool:
                pool.shutdown(wait=True, cancel_futures=True)
    return reports


def _leave_interrupts_to_the_parent():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def train_one(model, seed, training, folder):
    """One run of ``npseq train`` in this process, with its files in ``folder`` -> its report."""
    os.mkdir(folder)
    report = os.path.join(folder, "report.json")
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            status = training_run.main(
                [*training, "--model", model, "--seed", str(seed), "--quiet", "--out-dir", folder, "--report", report]
            )
        except SystemExit as end:
            status = end.code
    if status == exit_status.INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        message = errors.getvalue().strip().split(": ", 1)[-1].split("; no weights")[0].split("; the best")[0]
        raise RunFailed(f"{model}, seed {seed}: {message}", status)
    with open(report, encoding="utf-8") as file:
        return json.load(file)
