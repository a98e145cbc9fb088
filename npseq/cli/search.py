"""``npseq compare`` with lists of settings: each one is trained, the best on the validation part is kept and tested.

    npseq compare --hidden-size 16,32,64 --lr 0.001,0.003 --seeds 3

Every training that has ended is recorded in ``rnn_search.json``, so that a search that was interrupted, or that is
given longer lists, trains only what is missing. The test part is read once, by the training that is kept.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._version import __version__
from ..formats import schema
from ..fused import blas
from ..training.fit import Diverged, Progress
from . import arguments, experiment, files, kinds, output, plots, replacing, training_run

LISTS = ("hidden_size", "num_layers", "lr", "window", "batch_size", "dropout", "weight_decay", "epochs")
MODELS = ["optimized_lstm"]  # the default: the lstm, in less time
RUN = {
    "setting": schema.MAPPING,
    "seed": schema.SEED,
    "losses": schema.listed(schema.NUMBER),
    "loss": schema.optional(schema.NUMBER),
    "best_epoch": schema.optional(schema.NATURAL),
    "parameters": schema.optional(schema.COUNT),
    "seconds": schema.NUMBER,
    "why": schema.optional(schema.TEXT),
}

Setting = dict[str, Any]  # name of an option -> value
Run = dict[str, Any]  # what ``RUN`` names; a training that failed has no loss, and says why


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that take lists, and those of trials."""
    g = p.add_argument_group("search of settings (of a list, such as 16,32,64, every value is tried)")
    kinds = {action.dest: action.type for action in training_run.parser()._actions}
    for name in LISTS:
        g.add_argument(arguments.option(name), type=arguments.several(kinds[name]), metavar="A,B")
    about = "try N of the settings, drawn at random; the better half is trained again for twice the epochs, and so on"
    arguments.add(g, "--trials N", about, arguments.positive_int)
    arguments.add(g, "--trials-seed N", "of the draws", arguments.seed, 0)


def lists_of(args: argparse.Namespace) -> dict[str, list[Any]]:
    """Return the lists that were given: name -> values."""
    return {name: getattr(args, name) for name in LISTS if getattr(args, name) is not None}


def asked_for(args: argparse.Namespace) -> bool:
    """True if the options describe a search: several values of one of them, or trials."""
    return args.trials is not None or any(len(values) > 1 for values in lists_of(args).values())


def settings_of(args: argparse.Namespace) -> list[Setting]:
    """Return the settings to try: all of the grid, or those that are drawn."""
    lists = {"model": args.models, **lists_of(args)}
    grid = [dict(zip(lists, values)) for values in itertools.product(*lists.values())]
    if args.trials is None or args.trials >= len(grid):
        return grid
    return [grid[k] for k in np.sort(np.random.default_rng(args.trials_seed).permutation(len(grid))[: args.trials])]


def halvings(args: argparse.Namespace, count: int, epochs: int) -> int:
    """Return how often the settings are halved: until one is left, or one epoch at the start."""
    least = min(args.epochs or [epochs])
    return 0 if args.trials is None else min(count.bit_length(), least.bit_length()) - 1


def written(training: argparse.Namespace, models: Sequence[str]) -> list[files.File]:
    """Return the files that a search writes: its record, and the best file of one of the models."""
    record = os.path.join(training.out_dir, f"{training.name or 'rnn'}_search.json")
    own = [file for model in models for file in files.own(arguments.changed(training, model=model))]
    return [files.File("the record of the search", record, True), *dict.fromkeys(own)]


class Record:
    """The runs that have ended, in a file."""

    def __init__(self, training: argparse.Namespace, fingerprint: str) -> None:
        self.path = written(training, [])[0].path
        free = experiment.FREE - {"epochs", "init", "weights", "cell"}
        kept = {name: str(value) for name, value in vars(training).items() if name not in free}
        self.common = {**kept, "data": fingerprint, "version": __version__}
        self.runs: dict[str, Run] = {}
        self.ended: dict[str, Progress | None] = {}  # of the runs of this search
        if os.path.exists(self.path):
            try:
                with open(self.path, encoding="utf-8") as file:
                    runs = schema.check({"runs": json.load(file)}, {"runs": schema.MAPPING}, "the record")["runs"]
                self.runs = {key: schema.check(run, RUN, "the run") for key, run in runs.items()}
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{self.path} is no record of a search ({error}): remove it, or give --name") from None

    def key(self, setting: Setting, seed: int) -> str:
        """Return the name of a run in the file: a hash of all that its result depends on."""
        text = json.dumps({**self.common, **{name: str(value) for name, value in setting.items()}, "seed": str(seed)})
        return hashlib.sha256(text.encode()).hexdigest()

    def add(self, key: str, run: Run, progress: Progress | None) -> None:
        """Add a run, and write the file."""
        self.runs[key], self.ended[key] = run, progress
        output.write_json(self.path, self.runs)


def validate(setting: Setting, seed: int, training: argparse.Namespace, loaded: Any) -> tuple[Run, Progress | None]:
    """Train with a setting, without a look at the test part. Returns the validation loss of the start and each epoch,
    and how the training ended, with its best weights (None of L-BFGS, which continues nothing).

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    run: Run = {**dict.fromkeys(RUN), "setting": setting, "seed": seed, "losses": [], "seconds": 0.0}
    args = arguments.changed(training, **setting, seed=seed)
    try:
        trained = experiment.build(args, loaded=loaded).run
        with blas.limited(args.threads or 1):
            progress = trained.train()
    except (ValueError, Diverged) as error:
        return {**run, "why": arguments.told(error)}, None
    if progress.interrupted:
        raise KeyboardInterrupt
    start = [] if progress.start_loss is None else [progress.start_loss]
    run["losses"] = start + [row["validation_loss"] for row in progress.history]
    run["seconds"] = sum(row["seconds"] for row in progress.history)
    found = {"loss": progress.best_loss, "best_epoch": progress.best_epoch}
    return {**run, **found, "parameters": int(trained.model.theta.size)}, progress if trained.optimizer else None


class Tried:
    """A setting and the runs of its seeds."""

    def __init__(self, setting: Setting, runs: Sequence[Run], rung: int) -> None:
        self.setting, self.runs, self.rung = setting, runs, rung
        losses = [np.inf if run["loss"] is None else run["loss"] for run in runs]
        self.loss, self.low, self.high = float(np.mean(losses)), min(losses), max(losses)
        self.seed = runs[int(np.argmin(losses))]["seed"]
        self.why = next((run["why"] for run in runs if run["loss"] is None), None)

    def place(self) -> tuple[float, ...]:
        """Return what settings are sorted by: epochs trained for, validation loss, size."""
        return -self.rung, self.loss, self.runs[0]["parameters"] or np.inf


def search(args: Any, training: argparse.Namespace, kind: Any, loaded: Any, runner: Callable[..., Any]) -> int:
    """Search, print the table, train and test the best. Returns the exit status.

    Args:
        args: options of ``npseq compare``. training: those of ``npseq train``. kind: of the task. loaded: the data.
        runner: ``processes.runner``.

    Raises:
        ValueError, OSError: for files and settings that do not fit.
    """
    task = kind.make(training, loaded)

    @functools.cache
    def begun(window: int | None) -> Any:
        """What the trainings with a window start from; the data, if they allow none: each training says why."""
        same = window in (None, training.window)
        try:
            made = task if same else kind.make(arguments.changed(training, window=window), loaded)
            return kinds.shared(made, loaded)
        except ValueError:
            return loaded

    record = Record(training, task.fingerprint())
    for model in args.models:
        replacing.check(arguments.changed(training, model=model), task, None)
    plots.check_files(record.path, training.report, args.output, plot=args.plot)
    tried = _tried(args, training, experiment.config_of(training, task).epochs, record, begun, runner)
    best = tried[0]
    if best.loss == np.inf:
        raise ValueError(f"no setting could be trained: {best.why}")
    if not (args.quiet or args.json):
        print("\n".join(table(tried)), flush=True)
    if args.plot:
        shown = {named(one.setting, tried): [run["losses"] for run in one.runs] for one in tried if one.why is None}
        first = 0 if task.corrects else 1
        plots.curves(args.plot, shown, f"{task.name}: validation loss by epoch", first=first)
    chosen = arguments.changed(training, **best.setting, seed=best.seed, quiet=args.quiet or args.json)
    ended = record.ended.get(record.key(best.setting, best.seed))
    if not chosen.quiet:
        words = " ".join(f"{arguments.option(name)} {value}" for name, value in best.setting.items())
        print(
            f"\nchosen      {words} --seed {best.seed}: {'kept' if ended else 'trained again, kept'} and tested",
            flush=True,
        )
    outcome = training_run.train(chosen, loaded=begun(best.setting.get("window")), ended=ended)
    runs = [run for one in tried for run in one.runs]
    found = {"chosen": best.setting, "seed": best.seed, "validation_loss": best.loss}
    found |= {"runs": runs, "report": outcome.report}
    if args.output:
        output.write_json(args.output, found)
    if args.json:
        print(json.dumps(found))
    return outcome.status


def _tried(args: Any, training: Any, epochs: int, record: Record, begun: Any, runner: Any) -> list[Tried]:
    """Return the settings, best first; with trials those that were trained for most epochs before the others."""
    left, tried = settings_of(args), dict[int, Tried]()
    numbers, last = list(range(len(left))), halvings(args, len(left), epochs)
    for rung in range(last + 1):
        fewer = last - rung  # the whole number of epochs is left as it was asked for
        settings = {k: left[k] for k in numbers}
        if fewer:
            settings = {k: {**one, "epochs": max(1, one.get("epochs", epochs) >> fewer)} for k, one in settings.items()}
        _run(args, training, settings, record, begun, runner)
        for k, one in settings.items():
            tried[k] = Tried(one, [record.runs[record.key(one, seed)] for seed in range(args.seeds)], rung)
        numbers = sorted(numbers, key=lambda k: tried[k].place())[: -(-len(numbers) // 2)]
    return sorted(tried.values(), key=Tried.place)


def _run(args: Any, training: Any, settings: Mapping[int, Setting], record: Record, begun: Any, runner: Any) -> None:
    """Train each setting with each seed, unless it is in the record, and record it."""
    wanted = [(setting, seed) for setting in settings.values() for seed in range(args.seeds)]
    missing = [one for one in wanted if record.key(*one) not in record.runs]
    if len(missing) < len(wanted) and not args.quiet:
        print(f"{len(wanted) - len(missing)} runs are in {record.path}", file=sys.stderr, flush=True)
    try:
        with runner(args.jobs) as start:
            runs = [start(validate, *each, training, begun(each[0].get("window"))) for each in missing]
            for number, (each, run) in enumerate(zip(missing, runs), 1):
                found, progress = run()
                record.add(record.key(*each), found, progress)
                if not args.quiet:
                    words = ", ".join(f"{name} {value}" for name, value in each[0].items())
                    said = found["why"] or f"validation {found['loss']:.5f}, {found['seconds']:.1f} s"
                    print(f"{number:3}/{len(missing)}  {words}, seed {each[1]}: {said}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print(f"the runs that have ended are in {record.path}: the same command goes on", file=sys.stderr)
        raise


def named(setting: Setting, tried: Sequence[Tried]) -> str:
    """Return the name of a setting: the values that are not those of all."""
    words = [f"{name} {setting[name]}" for name in _varied(tried) if name in setting]
    return ", ".join(words).replace("model ", "").replace("_", " ") or str(setting["model"])


def _varied(tried: Sequence[Tried]) -> list[str]:
    names = list(dict.fromkeys(name for one in tried for name in one.setting))
    return [name for name in names if len({one.setting.get(name) for one in tried}) > 1]


def table(tried: Sequence[Tried]) -> list[str]:
    """Return the lines of a Markdown table, best first."""
    names = _varied(tried)
    header = [*(name.replace("_", " ") for name in names), "parameters", "validation loss", "best epoch", "seconds"]
    lines = [header, ["---"] * len(header)]
    for one in tried:
        spread = f" ({one.low:.5f} – {one.high:.5f})" if len(one.runs) > 1 else ""
        found = [f"{one.runs[0]['parameters']:,}", f"{one.loss:.5f}{spread}"] if one.why is None else ["", one.why]
        epochs = [run["best_epoch"] for run in one.runs if run["best_epoch"] is not None]
        last = f"{np.mean(epochs):.1f}" if epochs else "", f"{np.median([run['seconds'] for run in one.runs]):.1f}"
        lines.append([*(str(one.setting.get(name, "all")) for name in names), *found, *last])
    return ["| " + " | ".join(cells) + " |" for cells in lines]
