"""The training loop, to be read from top to bottom.

Clipping, the learning-rate schedule and weight decay (in the optimiser) are steps of the loop, not hidden in a loss or
a layer. A model needs ``theta``, ``dtype``, ``loss_and_grad(batch)`` and ``loss_of(batch)``; a task (``tasks.py``)
gives batches. In several processes both are those of ``parallel.py``, and the loop is the same.
"""

import math
import time
from dataclasses import dataclass, field

import numpy as np

from .. import optim
from .scoring import mean_loss


class Diverged(ArithmeticError):
    """The loss is no longer finite; ``epoch`` says since when."""

    def __init__(self, epoch, what):
        super().__init__(f"the {what} is no longer finite in epoch {epoch}")
        self.epoch = epoch


@dataclass
class Progress:
    """Where a run stands: all that is not in the parameters, the optimiser, the schedule or the generator."""

    epoch: int = 0  # epochs done
    best_loss: float = math.inf  # smallest loss so far on the validation part
    best_epoch: int = 0
    best_theta: np.ndarray | None = None
    history: list = field(default_factory=list)  # a dict for each epoch
    interrupted: bool = False

    def end_epoch(self, model, train_loss, validation_loss, lr, seconds):
        """Note an epoch; -> is it the best so far?"""
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


def fit(
    model,
    task,
    optimizer,
    *,
    epochs=10,
    batch_size=32,
    clip=1.0,
    rng=None,
    schedule=None,
    patience=None,
    progress=None,
    on_step=None,
    on_epoch=None,
):
    """Train ``model`` on ``task``; at the end ``model`` has the weights that were best on the validation part.

    Args:
        epochs: 10, as documented: enough for the shipped series.
        batch_size: 32 sequences an update: small enough for many updates an epoch, large enough for the products.
        clip: largest global norm of the gradient, so that one bad batch cannot throw the weights away (Pascanu et
            al. 2013, arXiv 1211.5063v2); None for no clipping.
        rng: generator that shuffles the training examples.
        schedule: called with the number of the update, gives the learning rate; ``schedule.observe(loss)`` after each
            epoch (``optim.make_schedule``). None leaves ``optimizer.lr`` alone.
        patience: stop after so many epochs without a better validation loss; None never does.
        progress: a ``Progress`` to go on from.
        on_step: called with (epoch, updates done in it, updates in it) after each update.
        on_epoch: called with (progress, is it the best so far) after each epoch: prints, writes files.

    Returns:
        ``Progress``. A KeyboardInterrupt ends the training early, with ``interrupted`` set.

    Raises:
        Diverged: when a loss is not finite; ``model`` then has the last good weights, if there are any.
        ValueError: for a batch size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; {batch_size!r} given")
    rng = np.random.default_rng(rng)
    progress = progress or Progress()
    train, validation = task.parts["train"], task.parts["validation"]
    steps = math.ceil(len(train) / batch_size)
    try:
        while progress.epoch < epochs:
            epoch, started, total = progress.epoch + 1, time.perf_counter(), 0.0
            order = rng.permutation(train)
            for step in range(steps):
                rows = order[step * batch_size : (step + 1) * batch_size]
                batch = task.batch(rows, model.dtype)
                # divergence is met by name, here or in the next step
                with np.errstate(over="ignore", invalid="ignore"):
                    loss, grad = model.loss_and_grad(batch)
                    if not math.isfinite(loss):
                        raise Diverged(epoch, "training loss")
                    if clip is not None:
                        optim.clip_by_global_norm(grad, clip)
                    if schedule is not None:
                        optimizer.lr = schedule(progress.epoch * steps + step)
                    optimizer.step(grad)
                total += float(loss) * len(rows)
                if on_step is not None:
                    on_step(epoch, step + 1, steps)
            with np.errstate(over="ignore", invalid="ignore"):
                validation_loss = mean_loss(model, task, validation)
            if not math.isfinite(validation_loss):
                raise Diverged(epoch, "validation loss")
            if schedule is not None:
                schedule.observe(validation_loss)
            improved = progress.end_epoch(
                model, total / len(train), validation_loss, optimizer.lr, time.perf_counter() - started
            )
            if on_epoch is not None:
                on_epoch(progress, improved)
            if patience is not None and epoch - progress.best_epoch >= patience:
                break
    except KeyboardInterrupt:
        progress.interrupted = True
    finally:
        if progress.best_theta is not None:
            model.theta[...] = progress.best_theta
    return progress


def fit_lbfgs(model, task, *, epochs=10, patience=None, on_epoch=None):
    """Train with SciPy's L-BFGS, all training examples at once; an epoch is one of its iterations.

    The loss is the mean over all training examples, without dropout. Arguments, result and errors as ``fit``.
    """
    progress, train, started = Progress(), task.parts["train"], time.perf_counter()

    def loss_and_grad(theta):
        loss, grad = 0.0, np.zeros_like(model.theta)
        for start in range(0, len(train), 512):
            rows = train[start : start + 512]
            part, d_part = model.loss_and_grad(task.batch(rows, model.dtype), training=False)
            loss += float(part) * len(rows) / len(train)
            grad += d_part * model.dtype.type(len(rows) / len(train))
        return loss, grad

    def end_of_iteration(iteration, loss):
        nonlocal started
        validation_loss = mean_loss(model, task, task.parts["validation"])
        if not math.isfinite(loss) or not math.isfinite(validation_loss):
            raise Diverged(iteration, "loss")
        improved = progress.end_epoch(model, float(loss), validation_loss, None, time.perf_counter() - started)
        started = time.perf_counter()
        if on_epoch is not None:
            on_epoch(progress, improved)
        return patience is not None and progress.epoch - progress.best_epoch >= patience

    try:
        optim.lbfgs(loss_and_grad, model.theta, max_iterations=epochs, callback=end_of_iteration)
    except KeyboardInterrupt:
        progress.interrupted = True
    finally:
        if progress.best_theta is not None:
            model.theta[...] = progress.best_theta
    return progress
