"""Build the task, model, optimiser and schedule from command-line options."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import data, optim, tasks
from ..formats import model_file
from ..nn.model import Model
from ..nn.registry import MODELS
from ..tasks.forecast import default_window
from ..tasks.scoring import training_steps
from ..training import resume
from ..training.fit import BATCH_SIZE, Progress
from . import arguments, data_options, labelling, progress, text_options
from .options import ALONE, AUTO_PEAK

# Options that may differ when a run is resumed; every other one must not change. Only what is typed names a file to
# write: a training-state file may come from an untrusted source.
FREE = {"epochs", "cell", "out_dir", "report", "history", "quiet", "checkpoint", "resume", "threads", "plot", "init"}
FREE |= {"backtest"}


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
    return {name: value for name, value in vars(args).items() if name not in FREE or name == "epochs"}


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
            setattr(args, name, value)
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
    if state is not None and args.init:
        raise ValueError("--init starts a new run and --resume continues one: give one of them")
    if state is not None and args.data == state.settings.get("data") and _is_gone(args.data):
        raise ValueError(f"there is no file {args.data}, with which the run was begun: give its location with --data")
    task = make_task(args)
    settle_defaults(args, task)
    rng = np.random.default_rng(args.seed)
    model = make_model(args, task, rng)
    if args.init:
        initialise(model, args.init)
    optimizer = make_optimizer(args, model)
    schedule = make_schedule(args, task, training_steps(task, args.batch_size))
    fingerprint = _fingerprint(task, args, state) if args.checkpoint or state or hash_data else None
    done = None
    if state is not None:
        new_total = args.schedule == "auto"  # nobody has asked for a schedule that depends on the number of epochs
        done = resume.restore(state, settings(args), model, optimizer, schedule, rng, fingerprint, new_total)
    begun_with = None if state is None else state.settings["epochs"]
    return Experiment(task, model, optimizer, schedule, rng, fingerprint, done, begun_with)


def _is_gone(source):
    return source not in [*data.SHIPPED, *data.SHIPPED_SEQUENCES, tasks.Adding.name] and not os.path.exists(source)


def _fingerprint(task, args, state):
    """The fingerprint of the data, which a resumed run knows by their content: the file may have another name now."""
    if state is None or args.data == state.settings.get("data"):
        return task.fingerprint()
    name, task.name = task.name, os.path.basename(str(state.settings.get("data")))
    try:
        return task.fingerprint()
    finally:
        task.name = name


def initialise(model: Model, path: str) -> None:
    """Take the weights of a file of npseq or of torch as a starting point.

    Raises:
        ValueError: for a parameter that is missing, unknown or of another shape, naming both shapes. CheckpointError,
            OSError: as ``model_file.load_model``.
    """
    own, given = model.state_dict(), model_file.load_model(path).state_dict()
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
    table = data.load(args.data, args.time, "past", bar, data_options.table_options(args))
    if (rows := getattr(args, "first_rows", None)) is not None:  # of a backtest
        table = table.first(rows)
    lags, window = args.lags, args.window
    if lags is None:
        lags = "auto" if args.base == "none" else []
    if window is None:
        window = args.window = ALONE["window"] if args.base == "none" else default_window(len(table.values))
    return tasks.Forecast(
        table, args.target, args.inputs, window, args.horizon, lags, args.scale, future=args.future, base=args.base
    )


def settle_defaults(args: argparse.Namespace, task: Any) -> None:
    """Set the options whose defaults depend on the task."""
    if args.window is None:
        args.window = ALONE["window"]
    if args.batch_size is None:
        args.batch_size = BATCH_SIZE if has_base(task) else ALONE["batch_size"]


def has_base(task: Any) -> bool:
    """True for a forecast in which the model corrects a base forecast."""
    return getattr(task, "base", None) is not None


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
        return tasks.SequenceRegression(*parts, seed=args.seed)
    try:
        return tasks.Classification(*parts, seed=args.seed)
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


def make_model(args: argparse.Namespace, task: Any, rng: np.random.Generator) -> Model:
    """Return the model that the options describe.

    Raises:
        ValueError: for options that the model does not have.
    """
    if args.loss is not None and task.loss == "cross_entropy":
        raise ValueError(f"--loss {args.loss} given for a task of classes; cross entropy is the loss there")
    if args.dropout and args.num_layers == 1:
        raise ValueError(
            f"--dropout {args.dropout:g} acts between layers: give --num-layers 2 or more, or --recurrent-dropout"
        )
    model = Model(
        args.model,
        task.input_size,
        args.hidden_size,
        task.output_size,
        loss=args.loss or task.loss,
        dtype=np.dtype(args.dtype),
        rng=rng,
        scaling=task.scaling(),
        threads=args.threads,
        **text_options.of_model(args, task),
        **_changed(args, num_layers=1, bidirectional=False, dropout=0.0, recurrent_dropout=0.0, forget_bias=None),
    )
    if has_base(task):
        task.prepare(model)
    return model


def make_optimizer(args: argparse.Namespace, model: Model) -> optim.Optimizer | None:
    """Return the optimiser; None for lbfgs, which is a function around SciPy's.

    Raises:
        ValueError: for options that lbfgs does not use.
    """
    if args.optimizer == "lbfgs":
        if getattr(args, "task", None) == "text":
            raise ValueError(
                "--optimizer lbfgs takes all examples at once; a text is read chunk by chunk: leave it out"
            )
        unused = _changed(args, warmup=0, dropout=0.0, recurrent_dropout=0.0, weight_decay=None)
        for name in [*unused, *(["schedule"] if args.schedule not in ("auto", "constant") else [])]:
            raise ValueError(f"{arguments.option(name)} does nothing with --optimizer lbfgs: leave it out")
        return None
    decay = {} if args.weight_decay is None else {"weight_decay": args.weight_decay}
    return optim.OPTIMIZERS[args.optimizer](model.theta, lr=args.lr, **decay)


def make_schedule(args: argparse.Namespace, task: Any, steps_per_epoch: int) -> optim.Schedule:
    """Return the learning-rate schedule.

    Raises:
        ValueError: for a warm-up that is longer than the training.
    """
    name, lr = args.schedule, args.lr
    if name == "auto":
        name, lr = ("onecycle", AUTO_PEAK * lr) if has_base(task) else ("constant", lr)
    more = {"patience": 2} if name == "plateau" else {}  # torch's 10 would never act in ten epochs
    return optim.make_schedule(name, lr, args.epochs * steps_per_epoch, steps_per_epoch, args.warmup, **more)


def _changed(args, **defaults):
    """The options that differ from their defaults."""
    return {name: getattr(args, name) for name, default in defaults.items() if getattr(args, name) != default}
