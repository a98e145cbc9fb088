"""From command-line options to a training: the data, the task, the configuration and the run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .. import data, tasks
from ..formats import model_file, paths
from ..nn.model import Model
from ..nn.registry import MODELS
from ..training import resume
from ..training.config import DEFAULTS, NAMES, TrainingConfig
from ..training.run import TrainingRun
from . import arguments, own_cell, text_options
from .kinds import classifies, make_task

# Options that may differ when a run is resumed; every other one must not change. Only what is typed names a file to
# write: a training-state file may come from an untrusted source.
FREE = {"epochs", "cell", "out_dir", "report", "history", "quiet", "checkpoint", "resume", "threads", "plot", "init"}
FREE |= {"backtest", "max_memory", "weights", "name", "force", "jobs", "typed"}


@dataclass
class Experiment:
    """A training that the options describe.

    run: the training; options: what must not change when it is resumed, and the number of epochs; fingerprint: of the
    data, None where nobody asks for it; begun_with: the number of epochs of the run that is resumed, or None.
    """

    run: TrainingRun
    options: dict[str, Any]
    fingerprint: str | None
    begun_with: int | None = None


def settled(
    p: arguments.Parser, args: argparse.Namespace, given: Mapping[str, Any], quiet: bool = False
) -> argparse.Namespace:
    """Return all options: those of a cell of one's own, and the defaults of a text or of a class for each sequence
    where they were not typed (None where they follow from the data).

    Args:
        p: the parser. args: all options, with defaults. given: name and value of the options that were typed.
        quiet: whatever was typed.
    """
    cell = own_cell.instead_of_model(p, args, dict(given))
    own = text_options.defaults(args, given)
    if not own and not args.resume and classifies(args):
        own = {"epochs": None, "patch": None, **DEFAULTS["classify"]}
        own = {name: value for name, value in own.items() if name not in given}
    return arguments.changed(args, **cell, **own, quiet=args.quiet or quiet, typed=sorted(given))


def config_of(args: argparse.Namespace, task: tasks.Task) -> TrainingConfig:
    """Return the configuration of the training that the options describe."""
    given = {name: getattr(args, name) for name in NAMES}
    if task.kind == "panel" and not args.resume:
        given |= {name: None for name in DEFAULTS["panel"] if name not in getattr(args, "typed", ())}
        return TrainingConfig.of("panel", **given)
    if args.epochs is None:
        return TrainingConfig.to_classify(len(task.parts["train"]), **given)
    return TrainingConfig.of("forecast" if task.corrects else "alone", **given)


def kept_options(args: argparse.Namespace, config: TrainingConfig, task: tasks.Task) -> dict[str, Any]:
    """Return the options that must not change between runs, and the number of epochs."""
    values = {**vars(args), **asdict(config), "window": task.window or args.window}
    values |= {"patch": getattr(task, "patch", args.patch), "data": paths.text_of(args.data)}
    return {name: value for name, value in values.items() if name not in FREE - {"epochs"}}


def continued(
    parser: arguments.Parser, args: argparse.Namespace, given: Mapping[str, Any], state: resume.TrainingState
) -> argparse.Namespace:
    """Return the options of a run that is resumed: what was typed, otherwise what the run was begun with.

    Without ``--out-dir`` its weights stay in the folder of the file.

    Args:
        parser: of the command. args: all options, with defaults.
        given: name and value of the options given on the command line.
        state: the training-state file.

    Raises:
        ValueError: for an option given with another value than the run was begun with, naming both; for a file whose
            options this command does not take.
    """
    saved = {name: value for name, value in state.settings.items() if name not in FREE or name == "epochs"}
    model = saved.get("model")
    if isinstance(model, str) and model.isidentifier() and model not in MODELS:
        raise ValueError(f"{state.path} was begun with a user-defined cell, {model[:60]}: give it with --cell FILE.py")
    try:
        known = vars(parser.parse_values(saved))
    except arguments.UsageError as error:
        raise ValueError(f"{state.path} cannot be resumed from: its options are invalid: {error}") from None
    changes: dict[str, Any] = {"checkpoint": True}  # a resumed run keeps writing checkpoints
    for name, value in saved.items():
        if name not in known or known[name] != value:
            raise ValueError(f"{state.path} cannot be resumed from: its option {name[:40]} is invalid")
        if name not in given:
            changes[name] = paths.path_of(value) if name == "data" else value
        elif name not in FREE and name != "data" and given[name] != value:  # data are compared by their content
            raise ValueError(
                f"{arguments.option(name)} {given[name]} given, but {state.path} was begun with "
                f"{arguments.option(name)} {value}: leave it out, or begin anew without --resume"
            )
    file = os.path.basename(state.path)
    stem = file.removesuffix("_last.pth")  # a name that was typed, not one of the file's content
    if "name" not in given and stem not in (file, f"rnn_{model}"):
        changes["name"] = stem
    if "out_dir" not in given:
        changes["out_dir"] = os.path.dirname(state.path) or "."
    return arguments.changed(args, **changes)


def build(
    args: argparse.Namespace, state: resume.TrainingState | None = None, hash_data: bool = False, loaded: Any = None
) -> Experiment:
    """Build the experiment that the options describe.

    Args:
        args: the options.
        state: of the run that is resumed, or None.
        hash_data: compute the fingerprint of the data even if the run is not resumed.
        loaded: the data, if they have been read (``read``).

    Raises:
        ValueError, OSError: for options, data or a training-state file that do not fit.
    """
    if args.checkpoint and args.optimizer == "lbfgs":
        raise ValueError("--optimizer lbfgs cannot be resumed: leave out --checkpoint and --resume")
    if state is not None and args.init:
        raise ValueError("--init starts a new run and --resume continues one: give one of them")
    if args.weights is not None and not args.init:
        raise ValueError(f"--weights {args.weights} names weights of the file of --init, and there is none")
    if state is not None and _same_source(args, state) and _is_gone(args.data):
        raise ValueError(f"there is no file {args.data}, with which the run was begun: give its location with --data")
    task = make_task(args, loaded)
    if args.optimizer == "lbfgs" and task.carries:
        raise ValueError("--optimizer lbfgs takes all examples at once; a text is read chunk by chunk: leave it out")
    config = config_of(args, task)
    run = TrainingRun(task, config, **({"embedding_size": args.embedding} if args.embedding else {}))  # of a text
    if args.init:
        initialise(run.model, args.init, args.weights)
    fingerprint = _fingerprint(task, args, state) if args.checkpoint or state or hash_data else None
    options = kept_options(args, config, task)
    if state is None:
        return Experiment(run, options, fingerprint)
    # nobody has asked for a schedule that depends on the number of epochs, or that of a class for each sequence
    new_total = config.schedule == "auto" or task.kind == "classify"
    run.progress = resume.restore(
        state, options, run.model, run.optimizer, run.schedule, run.rng, fingerprint, new_total
    )
    return Experiment(run, options, fingerprint, state.settings["epochs"])


def _same_source(args, state):
    return paths.text_of(args.data) == state.settings.get("data")


def _is_gone(source):
    return source not in (*data.sources.NAMES, tasks.Adding.name) and not os.path.exists(source)


def _fingerprint(task, args, state):
    """Return the fingerprint of the data. A resumed run compares the content: its file may have another name now."""
    if state is None or _same_source(args, state):
        return task.fingerprint()
    name, task.name = task.name, os.path.basename(str(state.settings.get("data")))
    try:
        return task.fingerprint()
    finally:
        task.name = name


def initialise(model: Model, path: str, weights: str | None = None) -> None:
    """Take the weights of a file of npseq or of torch as a starting point: those named ``weights``, if it has several.

    Raises:
        ValueError: for a parameter that is missing, unknown or of another shape, naming both shapes. CheckpointError,
            OSError: as ``model_file.load_model``.
    """
    own, given = model.state_dict(), model_file.load_model(path, weights=weights).state_dict()
    for name in [*own, *(name for name in given if name not in own)]:
        shapes = [tuple(state[name].shape) if name in state else None for state in (own, given)]
        if shapes[0] != shapes[1]:
            here, there = (f"the shape {shape}" if shape else "none" for shape in shapes)
            raise ValueError(
                f"--init {path}: {name} has {there} there, and {here} in this model: options such as --model, "
                "--hidden-size, --num-layers and --bidirectional, and the inputs, must be those of the file"
            )
    model.load_state_dict(given)
