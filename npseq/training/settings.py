"""A training from its settings: model, optimiser and schedule, for the command and for ``Forecaster`` alike.

Every function takes ``Settings``, or the options of the command, which have the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import optim
from ..formats import schema
from ..nn.losses import LOSSES
from ..nn.model import Model
from ..nn.registry import MODELS
from ..tasks.base import Learner, TrainingTask, as_task
from .fit import BATCH_SIZE, Progress, fit, fit_lbfgs

ALONE = {"window": 12, "batch_size": 16}  # defaults without a base, and of tasks that are no forecasts
AUTO_PEAK = 3  # largest learning rate of the schedule "auto" for a forecast with a base, as a multiple of lr
OPTIMIZERS = [*optim.OPTIMIZERS, "lbfgs"]
_LOSSES = [name for name in LOSSES if name != "cross_entropy"]


@dataclass
class Settings:
    """What ``npseq train`` has options for, with the same names and defaults.

    model: a name of ``registry.MODELS``; batch_size: None for 32 with a base, otherwise 16; clip: largest norm of the
    gradient; weight_decay: None for the optimiser's own; schedule: "auto" is one cycle with its peak at 3 · lr for a
    forecast with a base, otherwise constant; warmup: updates over which the rate rises; patience: None, or stop after
    this many epochs without a better validation loss; loss: None for the task's own; threads: None for automatic.

    Raises:
        ValueError: for the first setting that is not valid, naming what was expected.
    """

    model: str = "lstm"
    epochs: int = 10
    hidden_size: int = 32
    lr: float = 0.001
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    forget_bias: float | None = None
    batch_size: int | None = None
    clip: float = 1.0
    optimizer: str = "adam"
    weight_decay: float | None = None
    schedule: str = "auto"
    warmup: int = 0
    patience: int | None = None
    loss: str | None = None
    seed: int = 0
    dtype: str = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        schema.check(vars(self), {**_FIELDS, "model": schema.one_of(MODELS)}, "the training")


_FIELDS = {
    "epochs": schema.COUNT,
    "hidden_size": schema.COUNT,
    "lr": schema.POSITIVE,
    "num_layers": schema.COUNT,
    "bidirectional": schema.BOOLEAN,
    "dropout": schema.PROBABILITY,
    "recurrent_dropout": schema.PROBABILITY,
    "forget_bias": schema.optional(schema.NUMBER),
    "batch_size": schema.optional(schema.COUNT),
    "clip": schema.POSITIVE,
    "optimizer": schema.one_of(OPTIMIZERS),
    "weight_decay": schema.optional(schema.Field(lambda d: schema.NUMBER.fits(d) and d >= 0, "a number from 0")),
    "schedule": schema.one_of(["auto", *optim.SCHEDULES]),
    "warmup": schema.NATURAL,
    "patience": schema.optional(schema.COUNT),
    "loss": schema.optional(schema.one_of(_LOSSES)),
    "seed": schema.SEED,
    "dtype": schema.one_of(["float32", "float64"]),
    "threads": schema.optional(schema.COUNT),
}


def plain(value: Any) -> Any:
    """Return a NumPy number, as a grid of settings may hold, as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def settle_batch_size(settings: Any, task: Any) -> None:
    """Set the batch size if it was left to the task."""
    if settings.batch_size is None:
        settings.batch_size = BATCH_SIZE if task.corrects else ALONE["batch_size"]


def make_model(settings: Any, task: Any, rng: np.random.Generator, **more: Any) -> Model:
    """Return the model. ``more``: further arguments of ``Model``.

    Raises:
        ValueError: for settings that the model does not have.
    """
    if settings.loss is not None and task.loss == "cross_entropy":
        name = _as_given(settings, "loss")
        raise ValueError(f"{name} {settings.loss} given for a task of classes; cross entropy is the loss there")
    if settings.dropout and settings.num_layers == 1:
        names = [_as_given(settings, name) for name in ("dropout", "num_layers", "recurrent_dropout")]
        raise ValueError(
            f"{names[0]} {settings.dropout:g} acts between layers: give {names[1]} 2 or more, or {names[2]}"
        )
    model = Model(
        settings.model,
        task.input_size,
        settings.hidden_size,
        task.output_size,
        loss=settings.loss or task.loss,
        dtype=np.dtype(settings.dtype),
        rng=rng,
        scaling=task.scaling(),
        threads=settings.threads,
        **more,
        **_changed(settings, "num_layers", "bidirectional", "dropout", "recurrent_dropout", "forget_bias"),
    )
    task.prepare(model)
    return model


def make_optimizer(settings: Any, model: Model) -> optim.Optimizer | None:
    """Return the optimiser; None for lbfgs, which is a function around SciPy's.

    Raises:
        ValueError: for settings that lbfgs does not use.
    """
    if settings.optimizer == "lbfgs":
        unused = _changed(settings, "warmup", "dropout", "recurrent_dropout", "weight_decay")
        for name in [*unused, *(["schedule"] if settings.schedule not in ("auto", "constant") else [])]:
            given, optimizer_name = _as_given(settings, name), _as_given(settings, "optimizer")
            raise ValueError(f"{given} does nothing with {optimizer_name} lbfgs: leave it out")
        return None
    decay = {} if settings.weight_decay is None else {"weight_decay": settings.weight_decay}
    return optim.OPTIMIZERS[settings.optimizer](model.theta, lr=settings.lr, **decay)


def make_schedule(settings: Any, task: Any) -> optim.Schedule:
    """Return the schedule of the learning rate.

    Raises:
        ValueError: for a warm-up that is longer than the training.
    """
    name, lr, steps = settings.schedule, settings.lr, task.steps(settings.batch_size)
    if name == "auto":
        name, lr = ("onecycle", AUTO_PEAK * lr) if task.corrects else ("constant", lr)
    more = {"patience": 2} if name == "plateau" else {}  # torch's 10 would never act in ten epochs
    return optim.make_schedule(name, lr, settings.epochs * steps, steps, settings.warmup, **more)


def train(
    model: Learner,
    task: TrainingTask,
    settings: Any,
    optimizer: optim.Optimizer | None,
    schedule: optim.Schedule | None,
    rng: np.random.Generator,
    progress: Progress | None = None,
    on_step: Callable[[int, int, int], object] | None = None,
    on_epoch: Callable[[Progress, bool], object] | None = None,
) -> Progress:
    """Train with ``fit``, or without an optimiser with ``fit_lbfgs``. Other arguments and errors as there."""
    options: dict[str, Any] = {
        "epochs": settings.epochs,
        "patience": settings.patience,
        "count_start": as_task(task).corrects,
        "on_epoch": on_epoch,
    }
    if optimizer is None:
        return fit_lbfgs(model, task, **options)
    return fit(
        model,
        task,
        optimizer,
        batch_size=settings.batch_size,
        clip=settings.clip,
        rng=rng,
        schedule=schedule,
        progress=progress,
        on_step=on_step,
        **options,
    )


def _as_given(settings: Any, name: str) -> str:
    """Return the name of a setting as the caller has written it: that of an option begins with two dashes."""
    return name if isinstance(settings, Settings) else "--" + name.replace("_", "-")


def _changed(settings: Any, *names: str) -> dict[str, Any]:
    """The settings that differ from their defaults."""
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(Settings, name)}
