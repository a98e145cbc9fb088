"""Build the task, model, optimiser and schedule from command-line options."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import data, optim, tasks
from ..forecast.task import forecast_task
from ..formats import model_file, paths
from ..nn.model import Model
from ..nn.registry import MODELS
from ..training import resume
from ..training.fit import Progress
from ..training.settings import ALONE, make_model, make_optimizer, make_schedule, settle_batch_size
from . import arguments, data_options, labelling, progress, text_options

# Options that may differ when a run is resumed; every other one must not change. Only what is typed names a file to
# write: a training-state file may come from an untrusted source.
FREE = {"epochs", "cell", "out_dir", "report", "history", "quiet", "checkpoint", "resume", "threads", "plot", "init"}
FREE |= {"backtest", "max_memory", "weights"}


@dataclass
class Experiment:
    """Everything that a training needs: ``fit(model, task, optimizer, …)``.

    optimizer and schedule: None for L-BFGS. fingerprint: of the data, None where nobody asks for it. progress: of the
    run that is resumed, or None; begun_with: its number of epochs, or None.
    """

    task: Any
    model: Model
    optimizer: optim.Optimizer | None
    schedule: optim.Schedule | None
    rng: np.random.Generator
    fingerprint: str | None
    progress: Progress | None
    begun_with: int | None = None


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that must not change between runs, and the number of epochs."""
    kept = {name: value for name, value in vars(args).items() if name not in FREE or name == "epochs"}
    return {**kept, "data": paths.text_of(args.data)}


def settle_options(
    parser: arguments.Parser, args: argparse.Namespace, given: Mapping[str, Any], state: resume.TrainingState
) -> None:
    """Take every option that was not given from the run that is resumed; its weights stay in the same folder.

    Args:
        parser: of the command. args: all options, with defaults; changed in place.
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
    saved.setdefault("base", "none")  # a run of npseq 0.1.0
    try:
        known = vars(parser.parse_values(saved))
    except arguments.UsageError as error:
        raise ValueError(f"{state.path} cannot be resumed from: its options are invalid: {error}") from None
    for name, value in saved.items():
        if name not in known or known[name] != value:
            raise ValueError(f"{state.path} cannot be resumed from: its option {name[:40]} is invalid")
        if name not in given:
            setattr(args, name, paths.path_of(value) if name == "data" else value)
        elif name not in FREE and name != "data" and given[name] != value:  # data are compared by their content
            raise ValueError(
                f"{arguments.option(name)} {given[name]} given, but {state.path} was begun with "
                f"{arguments.option(name)} {value}: leave it out, or begin anew without --resume"
            )
    if "out_dir" not in given:
        args.out_dir = os.path.dirname(state.path) or "."
    args.checkpoint = True  # a resumed run keeps writing checkpoints


def build(args: argparse.Namespace, state: resume.TrainingState | None = None, hash_data: bool = False) -> Experiment:
    """Build the experiment that the options describe.

    Args:
        args: the options.
        state: of the run that is resumed, or None.
        hash_data: compute the fingerprint of the data even if the run is not resumed.

    Raises:
        ValueError, OSError: for options, data or a training-state file that do not fit.
    """
    if args.checkpoint and args.optimizer == "lbfgs":
        raise ValueError("--optimizer lbfgs cannot be resumed: leave out --checkpoint and --resume")
    if args.weights is not None and not args.init:
        raise ValueError(f"--weights {args.weights} names weights of the file of --init, and there is none")
    if state is not None and args.init:
        raise ValueError("--init starts a new run and --resume continues one: give one of them")
    if state is not None and _same_source(args, state) and _is_gone(args.data):
        raise ValueError(f"there is no file {args.data}, with which the run was begun: give its location with --data")
    task = make_task(args)
    settle_defaults(args, task)
    rng = np.random.default_rng(args.seed)
    if args.optimizer == "lbfgs" and getattr(args, "task", None) == "text":
        raise ValueError("--optimizer lbfgs takes all examples at once; a text is read chunk by chunk: leave it out")
    model = make_model(args, task, rng, **text_options.of_model(args, task))
    if args.init:
        initialise(model, args.init, args.weights)
    optimizer = make_optimizer(args, model)
    schedule = make_schedule(args, task)
    fingerprint = _fingerprint(task, args, state) if args.checkpoint or state or hash_data else None
    done = None
    if state is not None:
        new_total = args.schedule == "auto"  # nobody has asked for a schedule that depends on the number of epochs
        done = resume.restore(state, settings(args), model, optimizer, schedule, rng, fingerprint, new_total)
    begun_with = None if state is None else state.settings["epochs"]
    return Experiment(task, model, optimizer, schedule, rng, fingerprint, done, begun_with)


def _same_source(args, state):
    return paths.text_of(args.data) == state.settings.get("data")


def _is_gone(source):
    return source not in (*data.sources.NAMES, tasks.Adding.name) and not os.path.exists(source)


def _fingerprint(task, args, state):
    """The fingerprint of the data, which a resumed run knows by their content: the file may have another name now."""
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


def make_task(args: argparse.Namespace) -> Any:
    """Return the task that the options describe.

    Raises:
        DataError: if the data, a column or the window is invalid.
    """
    task = getattr(args, "task", None)
    if task == "text":
        return text_options.make_task(args)
    if hasattr(args, "tokens"):
        text_options.check(args)
    if args.data == tasks.Adding.name and task is None:
        if args.length < 2:
            raise data.DataError(f"--length {args.length} given; at least 2 expected: one marked value in each half")
        return tasks.Adding(args.length, seed=args.seed)
    if getattr(args, "label_each_row", False):
        return labelling.make_task(args)
    named = args.data in data.SHIPPED_SEQUENCES or args.sequence is not None or args.label is not None
    if task == "classify" or task is None and named:
        return _classification(args)
    if args.regress:
        raise data.DataError("--regress predicts a number for each sequence: name its column with --label")
    bar = None if getattr(args, "quiet", False) else progress.reading()
    try:
        table = data.load(args.data, args.time, "past", bar, data_options.table_options(args))
        if (rows := getattr(args, "first_rows", None)) is not None:  # of a backtest
            table = table.first(rows)
        return forecast_task(table, args)
    except data.DataError as error:
        raise text_options.advise(args, error) from None


def settle_defaults(args: argparse.Namespace, task: Any) -> None:
    """Set the options whose defaults depend on the task."""
    if args.window is None:
        args.window = ALONE["window"]
    settle_batch_size(args, task)


def _classification(args):
    """The task of labelled sequences: a class or, with --regress, a number for each."""
    if args.data not in data.SHIPPED_SEQUENCES and args.label is None:
        raise data.DataError(
            "--sequence says which rows belong together; --label COLUMN, their class (or with --regress their number), "
            "is needed too"
        )
    parts = data.load_sequences(
        args.data,
        inputs=args.inputs,
        time=args.time,
        options=data_options.table_options(args),
        regress=args.regress,
        **data_options.sequence_columns({"sequence": args.sequence, "label": args.label}, args.data),
    )
    if args.regress:
        return tasks.SequenceTask(*parts, "number", args.seed)
    try:
        return tasks.SequenceTask(*parts, seed=args.seed)
    except data.DataError as error:
        if all(map(_is_number, parts[0].classes)):
            raise data.DataError(f"{error}; if the label is a number to predict, and no class, say --regress") from None
        raise


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
