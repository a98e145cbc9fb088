"""A training from its configuration: model, optimiser and schedule, for the command, ``Forecaster`` and estimators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import optim
from ..formats.messages import ArgumentError, argument
from ..nn.model import Model
from ..tasks.base import Learner, Task
from .config import AUTO_PEAK, TrainingConfig
from .fit import Progress, fit, fit_lbfgs

PLATEAU_PATIENCE = 2  # epochs; torch's 10 would never act in ten epochs


class TrainingRun:
    """One training, before and while it runs.

    Args:
        task: what is learned.
        config: how; its batch size must be known (``TrainingConfig.of``).
        rng: of the initial weights, the order of the examples and dropout; by default from the configuration's seed.
        model: that is trained on; by default a new one. more: further arguments of the new ``Model``.

    Attributes:
        optimizer, schedule: None and without effect for L-BFGS, which is a function around SciPy's.
        progress: to continue from, or None.

    Raises:
        ArgumentError: for fields of the configuration that do not fit each other or the task.
    """

    def __init__(
        self,
        task: Task,
        config: TrainingConfig,
        rng: np.random.Generator | None = None,
        model: Model | None = None,
        **more: Any,
    ) -> None:
        self.task, self.config = task, config
        self.rng = np.random.default_rng(config.seed) if rng is None else rng
        self.model = _new_model(task, config, self.rng, more) if model is None else model
        self.optimizer, self.schedule = _optimizer(config, self.model), _schedule(config, task)
        self.progress: Progress | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked for of the training and of the task, where it is not the default; without model and seed."""
        usual = TrainingConfig.of("forecast" if self.task.corrects else "alone")
        own = {name: value for name, value in vars(self.config).items() if value != getattr(usual, name)}
        return {name: own[name] for name in own if name not in ("model", "seed")} | self.task.settings()

    def card(self, progress: Progress, fingerprint: str) -> dict[str, Any]:
        """Return what a weights file tells of the training: split, validation loss, hash of the data."""
        return {
            "split": {part: len(rows) for part, rows in self.task.parts.items()},
            "data": fingerprint,
            "validation_loss": progress.best_loss,
            "start_loss": progress.start_loss,
        }

    def train(
        self,
        on_step: Callable[[int, int, int], object] | None = None,
        on_epoch: Callable[[Progress, bool], object] | None = None,
        shared: tuple[Learner, Task] | None = None,
    ) -> Progress:
        """Train with ``fit``, or with ``fit_lbfgs``. Callbacks and errors as there.

        Args:
            shared: model and task in their place, of several processes.
        """
        model, task = shared or (self.model, self.task)
        options: dict[str, Any] = {
            "epochs": self.config.epochs,
            "patience": self.config.patience,
            "count_start": self.task.corrects,
            "on_epoch": on_epoch,
        }
        if self.optimizer is None:
            return fit_lbfgs(model, task, **options)
        assert self.config.batch_size is not None
        return fit(
            model,
            task,
            self.optimizer,
            batch_size=self.config.batch_size,
            clip=self.config.clip,
            rng=self.rng,
            schedule=self.schedule,
            progress=self.progress,
            on_step=on_step,
            **options,
        )


def _new_model(task: Task, config: TrainingConfig, rng: np.random.Generator, more: dict[str, Any]) -> Model:
    if config.loss is not None and task.loss == "cross_entropy":
        raise ArgumentError(
            f"{argument('loss')} {config.loss} given for a task of classes; cross entropy is the loss there"
        )
    if config.dropout and config.num_layers == 1:
        raise ArgumentError(
            f"{argument('dropout')} {config.dropout:g} acts between layers: give {argument('num_layers')} 2 or more, "
            f"or {argument('recurrent_dropout')}"
        )
    model = Model(
        config.model,
        task.input_size,
        config.hidden_size,
        task.output_size,
        loss=config.loss or task.loss,
        dtype=np.dtype(config.dtype),
        rng=rng,
        scaling=task.scaling(),
        threads=config.threads,
        **(more if task.outputs == "last" else {"outputs": task.outputs, **more}),
        **config.changed("num_layers", "bidirectional", "read", "dropout", "recurrent_dropout", "forget_bias"),
    )
    task.prepare(model)
    return model


def _optimizer(config: TrainingConfig, model: Model) -> optim.Optimizer | None:
    if config.optimizer == "lbfgs":
        unused = [*config.changed("warmup", "dropout", "recurrent_dropout", "weight_decay")]
        unused += ["schedule"] if config.schedule not in ("auto", "constant") else []
        for name in unused:
            raise ArgumentError(f"{argument(name)} does nothing with {argument('optimizer')} lbfgs: leave it out")
        return None
    decay = {} if config.weight_decay is None else {"weight_decay": config.weight_decay}
    return optim.OPTIMIZERS[config.optimizer](model.theta, lr=config.lr, **decay)


def _schedule(config: TrainingConfig, task: Task) -> optim.Schedule:
    assert config.batch_size is not None
    name, lr, steps = config.schedule, config.lr, task.steps(config.batch_size)
    if name == "auto":
        name, lr = ("onecycle", AUTO_PEAK * lr) if task.corrects else ("constant", lr)
    more = {"patience": PLATEAU_PATIENCE} if name == "plateau" else {}
    return optim.make_schedule(name, lr, config.epochs * steps, steps, config.warmup, **more)
