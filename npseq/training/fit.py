"""The training loop, to be read from top to bottom.

Clipping, the learning-rate schedule and weight decay (in the optimiser) are steps of the loop, not hidden in a loss or
a layer. A model needs ``theta``, ``dtype``, ``loss_and_grad(batch)`` and ``loss_of(batch)``; a task (``tasks.base``)
gives batches. Where a task's batches follow each other (a text) the state after one is the state before the next, and
the model takes ``state=…`` in both and returns the final state besides. In several processes model
and task are those of ``mpi.py``, and the loop is the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import optim
from ..nn.flat import accepted
from ..tasks import pictures
from ..tasks.base import Learner, TrainingTask, as_task, batches
from ..tasks.scoring import mean_loss
from .heap import keep_freed_memory


class Diverged(ArithmeticError):
    """The loss became NaN or infinite in epoch ``epoch``; ``advice`` says what to try and ``kept`` what was saved."""

    advice, kept = "try a smaller learning rate", "no weights were written"

    def __init__(self, epoch: int, what: str):
        super().__init__(f"the {what} is no longer finite in epoch {epoch}")
        self.epoch, self.what = epoch, what

    def __reduce__(self) -> tuple[Any, ...]:  # survives the way back from another process
        return type(self), (self.epoch, self.what), vars(self)


@dataclass
class Progress:
    """Training progress: everything a resumed run needs besides parameters, optimiser, schedule and generator."""

    epoch: int = 0  # epochs done
    best_loss: float = math.inf  # smallest loss so far on the validation part
    best_epoch: int = 0
    best_theta: np.ndarray | None = None
    history: list[dict[str, Any]] = field(default_factory=list)  # a dict for each epoch
    interrupted: bool = False
    start_loss: float | None = None  # on the validation part, of the model as it was given (``count_start``)

    def end_epoch(
        self, model: Learner, train_loss: float, validation_loss: float, lr: float | None, seconds: float
    ) -> bool:
        """Record an epoch. Returns True if it is the best so far."""
        self.epoch += 1
        self.history.append(
            {
                "epoch": self.epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "lr": lr,
                "seconds": seconds,
            }
        )
        if not validation_loss < self.best_loss:
            return False
        self.best_loss, self.best_epoch, self.best_theta = validation_loss, self.epoch, model.theta.copy()
        return True

    def plot(self, path: str | None = None) -> Any:
        """Draw the losses by epoch. Returns matplotlib's figure, and writes it if there is a ``path`` (.png, .svg).

        Raises:
            PlotError: without matplotlib.
        """
        return pictures.learning(path, self.history, self.start_loss, "losses of the training")

    def has_stalled(self, patience: int | None) -> bool:
        """True if none of the last ``patience`` epochs was the best; False without a patience."""
        return patience is not None and self.epoch - self.best_epoch >= patience


BATCH_SIZE = 32  # small enough for many updates per epoch and large enough for efficient matrix products


def fit(
    model: Learner,
    task: TrainingTask,
    optimizer: optim.Optimizer,
    *,
    epochs: int = 10,
    batch_size: int = BATCH_SIZE,
    clip: float | None = 1.0,
    rng: np.random.Generator | int | None = None,
    schedule: optim.Schedule | None = None,
    patience: int | None = None,
    progress: Progress | None = None,
    count_start: bool = False,
    on_step: Callable[[int, int, int], object] | None = None,
    on_epoch: Callable[[Progress, bool], object] | None = None,
) -> Progress:
    """Train ``model`` on ``task``; at the end ``model`` has the weights that were best on the validation part.

    Args:
        epochs: 10, as documented: enough for the shipped series.
        batch_size: sequences per update.
        clip: largest global norm of the gradient, so that one bad batch cannot throw the weights away (Pascanu et
            al. 2013, arXiv 1211.5063v2); None for no clipping.
        rng: generator that shuffles the training examples.
        schedule: called with the number of the update, gives the learning rate; ``schedule.observe(loss)`` after each
            epoch (``optim.make_schedule``). None leaves ``optimizer.lr`` alone.
        patience: stop after this many epochs without improvement; None disables early stopping.
        progress: a ``Progress`` to resume from.
        count_start: score the model as it is given as epoch 0: it is kept if no epoch is better. With a base forecast
            it is that forecast.
        on_step: called after each update with (epoch, updates done in this epoch, updates per epoch).
        on_epoch: called after each epoch with (progress, True if it is the best so far): prints, writes files.

    Returns:
        ``Progress``; ``best_epoch`` is 0 if the given model was kept. A KeyboardInterrupt ends the training early, with
        ``interrupted`` set.

    Raises:
        Diverged: when a loss is not finite; ``model`` then has the last good weights, if there are any.
        ValueError: for a batch size or a patience below 1.
    """
    for name, value in dict(batch_size=batch_size, patience=patience).items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1; {value!r} given")
    rng = np.random.default_rng(rng)
    progress = progress or Progress()
    whole, train, validation = as_task(task), task.parts["train"], task.parts["validation"]
    steps = whole.steps(batch_size)
    with _keeping_the_best(model, progress):
        if count_start and progress.best_theta is None:
            _score_start(model, task, progress)
        while progress.epoch < epochs and not progress.has_stalled(patience):
            epoch, started, total, count = progress.epoch + 1, time.perf_counter(), 0.0, 0
            state = None  # zeros, or the learned one, before each pass
            for step, rows in enumerate(whole.streams(train, batch_size, rng)):
                batch = task.batch(rows, model.dtype)
                # overflow is not an error here: divergence is detected below and raised as ``Diverged``
                with np.errstate(over="ignore", invalid="ignore"):
                    if whole.carries:
                        loss, grad, state = model.loss_and_grad(batch, state=state)
                    else:
                        loss, grad = model.loss_and_grad(batch)
                    if not math.isfinite(loss):
                        raise Diverged(epoch, "training loss")
                    if clip is not None:
                        optim.clip_by_global_norm(grad, clip)
                    if schedule is not None:
                        optimizer.lr = schedule(progress.epoch * steps + step)
                    optimizer.step(grad)
                total += float(loss) * whole.weight(rows)
                count += whole.weight(rows)
                if on_step is not None:
                    on_step(epoch, step + 1, steps)
            with np.errstate(over="ignore", invalid="ignore"):
                validation_loss = mean_loss(model, task, validation)
            if not math.isfinite(validation_loss):
                raise Diverged(epoch, "validation loss")
            if schedule is not None:
                schedule.observe(validation_loss)
            seconds = time.perf_counter() - started
            improved = progress.end_epoch(model, total / count, validation_loss, optimizer.lr, seconds)
            if on_epoch is not None:
                on_epoch(progress, improved)
    return progress


def _score_start(model: Learner, task: TrainingTask, progress: Progress) -> None:
    """Count the given model as epoch 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        loss = mean_loss(model, task, task.parts["validation"])
    if math.isfinite(loss):
        progress.best_loss, progress.best_theta, progress.start_loss = loss, model.theta.copy(), loss


def fit_lbfgs(
    model: Learner,
    task: TrainingTask,
    *,
    epochs: int = 10,
    patience: int | None = None,
    count_start: bool = False,
    on_epoch: Callable[[Progress, bool], object] | None = None,
) -> Progress:
    """Train with SciPy's L-BFGS, all training examples at once; an epoch is one of its iterations.

    The loss is the mean over all training examples, without dropout. Arguments, result and errors as ``fit``.

    Raises:
        ValueError: also if the loss or its gradient is not finite at the start.
    """
    progress, train, started = Progress(), task.parts["train"], time.perf_counter()
    whole = as_task(task)
    total = whole.weight(train)

    def loss_and_grad(theta: np.ndarray) -> tuple[float, np.ndarray]:
        loss, grad = 0.0, np.zeros_like(model.theta)
        for rows in batches(train):
            part, d_part = model.loss_and_grad(
                task.batch(rows, model.dtype), **accepted(model.loss_and_grad, training=False)
            )
            loss += float(part) * whole.weight(rows) / total
            grad += d_part * model.dtype.type(whole.weight(rows) / total)
        return loss, grad

    def end_of_iteration(iteration: int, loss: float) -> bool:
        nonlocal started
        validation_loss = mean_loss(model, task, task.parts["validation"])
        if not math.isfinite(loss) or not math.isfinite(validation_loss):
            raise Diverged(iteration, "loss")
        improved = progress.end_epoch(model, float(loss), validation_loss, None, time.perf_counter() - started)
        started = time.perf_counter()
        if on_epoch is not None:
            on_epoch(progress, improved)
        return progress.has_stalled(patience)

    with _keeping_the_best(model, progress):
        if count_start:
            _score_start(model, task, progress)
        optim.lbfgs(loss_and_grad, model.theta, max_iterations=epochs, callback=end_of_iteration)
    return progress


@contextmanager
def _keeping_the_best(model: Learner, progress: Progress) -> Iterator[None]:
    """Leave ``model`` with the best weights, however the training ends; record an interruption."""
    keep_freed_memory()
    try:
        yield
    except KeyboardInterrupt:
        progress.interrupted = True
    finally:
        if progress.best_theta is not None:
            model.theta[...] = progress.best_theta
