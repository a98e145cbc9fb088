"""``npseq compare``: train several models side by side on one task, several seeds each; one table and one picture.

With lists of settings it is a search (``search.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

from .. import status
from ..training.fit import Diverged
from ..training.processes import runner
from . import arguments, experiment, files, kinds, options, output, plots, search, training_run
from .tables import comparison_of_models, level_of, losses_of

PROG = "npseq compare"
DEFAULT = ["rnn", "lstm", "gru", "optimized_lstm"]
OWN = ["--model", "--seed", "--history", "--checkpoint", "--resume"]
OF_SEARCHES = ["--out-dir", "--name", "--force", "--report"]  # which keep a file

Reports = dict[str, list[dict[str, Any]]]  # model -> the reports of its seeds


class RunFailed(Exception):
    """A run ended with the exit status ``args[1]``; ``args[0]`` is its message."""


def parser() -> arguments.Parser:
    """Return the parser of the options that ``npseq train`` does not have."""
    p = arguments.Parser(
        prog=PROG,
        description="Train models side by side, or search settings; every other option is one of npseq train.",
        epilog="example: npseq compare --models lstm,gru --seeds 2 --epochs 3; "
        "npseq compare --hidden-size 16,32,64 --lr 0.001,0.003 --window 24,48 --jobs 2",
    )
    about = f"default: {','.join(DEFAULT)}; of a search {','.join(search.MODELS)}"
    arguments.add(p, "--models M,M", about, options.models)
    arguments.add(p, "--seeds N", "train each one with the seeds 0 … N − 1", arguments.positive_int, 3)
    about = "number of parallel runs; one gives the most reliable timings"
    arguments.add(p, "--jobs N", about, arguments.positive_int, 1)
    arguments.add_quiet(p)
    arguments.add_json(p)
    arguments.add(p, "--plot FILE.png", "draw the validation losses there (.png or .svg)")
    arguments.add(p, "--output FILE.json", "write the report of every run there")
    search.add_options(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status, that of the first run that fails."""
    p = parser()
    args, rest = p.parse_known_args(argv)
    try:
        searches = search.asked_for(args)
        args = arguments.changed(args, models=args.models or (search.MODELS if searches else DEFAULT))
        training = _training_options(args, rest, searches)
        kind = kinds.asked_for(training)
        loaded = kind.read(training)  # wrong options and files are reported here, before training starts
        if searches:
            return search.search(args, training, kind, loaded, runner)
        loaded = kinds.shared(kind.make(training, loaded), loaded)
        plots.check_files(args.output, plot=args.plot)
        reports = train_all(args.models, range(args.seeds), training, args.jobs, args.quiet, loaded)
        if args.output:
            output.write_json(args.output, reports)
    except RunFailed as failure:
        message, exit_status = failure.args
        print(f"{p.prog}: {message}", file=sys.stderr)
        return exit_status
    except Diverged as error:
        print(f"{p.prog}: {error}: {error.advice}; {error.kept}", file=sys.stderr)
        return status.DIVERGED
    except (OSError, ValueError) as error:
        p.error(error)
    if args.json:
        print(json.dumps(reports))
    elif not args.quiet:
        print(comparison_of_models(reports))
    if args.plot:
        first = next(iter(reports.values()))[0]
        start = [] if first["start_loss"] is None else [first["start_loss"]]
        losses = {name: [[*start, *losses_of(report)] for report in runs] for name, runs in reports.items()}
        title = f"{first['data']}: validation loss by epoch"
        plots.curves(args.plot, losses, title, level=level_of(reports), first=1 - len(start))
    return status.OK


def _training_options(args, rest, searches):
    """The options of each run, but for model and seed; of each list the first value."""
    own = OWN if searches else [*OWN, *OF_SEARCHES]
    taken = [word for word in rest if word.split("=")[0].replace("_", "-") in own]
    rest = [*rest, *(f"{arguments.option(name)}={values[0]}" for name, values in search.lists_of(args).items())]
    if taken:
        raise ValueError(f"{taken[0].split('=')[0]} given: npseq compare sets this option itself; remove it")
    p = training_run.parser()
    p.prog = PROG
    training = experiment.settled(p, p.parse_args(rest), p.given(rest), quiet=True)
    kept = search.written(training, args.models) if searches else []
    files.check([*files.named(parser(), args), *files.named(p, training), *kept])
    threads = 1 if args.jobs > 1 and training.threads is None else training.threads
    return arguments.changed(training, threads=threads)


def train_all(
    models: Iterable[str],
    seeds: Iterable[int],
    training: argparse.Namespace,
    jobs: int = 1,
    quiet: bool = False,
    loaded: Any = None,
) -> Reports:
    """Return the reports of each model's seeds; a line for each finished run goes to stderr, unless ``quiet``.

    Args:
        models, seeds: to train, each model with each seed.
        training: the other options of ``npseq train``.
        jobs: number of parallel runs. quiet: no lines. loaded: ``kinds.shared``.

    Raises:
        RunFailed: for the first run that does not end well. KeyboardInterrupt: also if a run was interrupted.
    """
    wanted = [(model, seed) for model in models for seed in seeds]
    reports: Reports = {model: [] for model, _ in wanted}
    with tempfile.TemporaryDirectory() as folder, runner(jobs) as start:
        runs = [
            start(train_one, model, seed, training, os.path.join(folder, f"{model}_{seed}"), loaded)
            for model, seed in wanted
        ]
        for number, ((model, seed), run) in enumerate(zip(wanted, runs), 1):
            name, watched = f"{number:3}/{len(wanted)}  {model}, seed {seed}", sys.stderr.isatty() and not quiet
            if watched:
                print(name, end="\r", file=sys.stderr, flush=True)
            report = run()
            if not quiet:
                best, seconds = report["best_epoch"], report["seconds"]
                print(f"{name}: best epoch {best}, {seconds:.1f} s", file=sys.stderr, flush=True)
            reports[model].append(report)
    return reports


def train_one(model: str, seed: int, training: argparse.Namespace, folder: str, loaded: Any = None) -> dict[str, Any]:
    """Run ``npseq train`` in this process, with its files in ``folder``. Returns its report.

    Raises:
        RunFailed: if the run diverges or its options do not fit. KeyboardInterrupt: if it was interrupted.
    """
    args = arguments.changed(training, model=model, seed=seed, out_dir=folder)
    try:
        outcome = training_run.train(args, loaded=loaded)
    except Diverged as error:
        raise RunFailed(f"{model}, seed {seed}: {error}: {error.advice}", status.DIVERGED) from None
    except training_run.OptionsError as error:
        raise RunFailed(f"{model}, seed {seed}: {error}", status.USAGE) from None
    if outcome.status == status.INTERRUPTED or outcome.report is None:
        raise KeyboardInterrupt
    return outcome.report
