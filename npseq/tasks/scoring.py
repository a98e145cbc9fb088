"""A model run over many examples, in batches that bound the memory.

Most tasks have examples that do not depend on each other. A task whose batches follow each other has besides

    streams(rows, size)            the rows of each batch of one pass, in order
    steps(size)                    the number of batches in a pass over the training part
    carries                        True if the state is carried from batch to batch, False if each starts anew
    scored_side_by_side(rows)      the size of the batches for ``mean_loss``
    predictions(model, rows)       what ``metrics`` takes in place of ``outputs``

and a task with several targets an example has ``weight(rows)``, their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from .base import Examples, Learner, Predictor, Rows, StreamedTask, TrainingTask

if TYPE_CHECKING:
    from typing import TypeGuard

BATCH_ROWS = 512  # examples in memory at a time, without a tape

Progress = Callable[[list[np.ndarray]], Iterable[np.ndarray]]  # hands the batches on, and may show a bar meanwhile


def batches(rows: np.ndarray, size: int = BATCH_ROWS) -> Iterator[np.ndarray]:
    """Yield ``rows`` in slices of at most ``size``."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def in_streams(task: TrainingTask) -> TypeGuard[StreamedTask]:
    """True if the batches of the task follow each other."""
    return hasattr(task, "streams")


def training_batches(task: TrainingTask, size: int, rng: np.random.Generator) -> Iterable[np.ndarray]:
    """Yield the rows of each training batch of one pass: shuffled, or in the order of the streams."""
    train = task.parts["train"]
    return task.streams(train, size) if in_streams(task) else batches(rng.permutation(train), size)


def training_steps(task: TrainingTask, size: int) -> int:
    """Return the number of batches in a pass over the training part."""
    return task.steps(size) if in_streams(task) else math.ceil(len(task.parts["train"]) / size)


def carries(task: TrainingTask) -> bool:
    """True if the state of a batch's last step is that before the next batch's first."""
    return getattr(task, "carries", False)


def weight(task: TrainingTask, rows: np.ndarray) -> int:
    """Return how much the mean loss of a batch weighs in the mean over several: the number of its targets."""
    return int(task.weight(rows)) if hasattr(task, "weight") else len(rows)


def outputs(
    model: Predictor, task: Examples, rows: Rows, batch_size: int = BATCH_ROWS, progress: Progress = iter
) -> np.ndarray:
    """Return the model's outputs (len(rows), O) for the examples ``rows``, in data units (or ``task.predictions``)."""
    if hasattr(task, "predictions"):
        found: np.ndarray = task.predictions(model, rows)
        return found
    y = raw_outputs(model, task, rows, batch_size, progress)
    if getattr(task, "base", None) is not None:  # forecasts that correct a base forecast, which depends on the row
        return task.to_units(y, rows)  # type: ignore[call-arg]  # of ``Forecast``, which alone has a base
    return task.to_units(y)


def raw_outputs(
    model: Predictor, task: Examples, rows: np.ndarray, batch_size: int = BATCH_ROWS, progress: Progress = iter
) -> np.ndarray:
    """Return the model's outputs (len(rows), O) for the examples ``rows``, as it learns them."""
    parts = []
    for some in progress(list(batches(rows, batch_size))):
        x, _, lengths = task.examples(some, model.dtype)
        parts.append(model.outputs(x, lengths))
    return np.concatenate(parts)


def mean_loss(model: Learner, task: TrainingTask, rows: Rows, batch_size: int = BATCH_ROWS) -> float:
    """Return the mean loss over the examples ``rows``."""
    total, count, state = 0.0, 0, None
    for some in task.streams(rows, task.scored_side_by_side(rows)) if in_streams(task) else batches(rows, batch_size):
        batch = task.batch(some, model.dtype)
        if carries(task):
            loss, state = model.loss_of(batch, state=state)
        else:
            loss = model.loss_of(batch)
        total += float(loss) * weight(task, some)
        count += weight(task, some)
    return total / count


def shrunk_factor(correction: np.ndarray, error: np.ndarray, repeats: np.ndarray | float = 1.0) -> np.ndarray:
    """Return by what a correction c of a forecast should be multiplied, given the forecast's error e:

        γ = Σ c e / Σ c²,    s² = r Σ (e − γ c)² / (n Σ c²),    clip(γ (1 − 2 s² / γ²), 0, 1)

    γ is the least-squares factor and s its standard error; a factor that may be due to chance becomes 0.

    Args:
        correction, error: (n, …); NaN errors do not count. repeats: r (…), how many of the errors are of the same
            rows: those of forecasts k rows ahead from every row overlap k times.
    """
    there = ~np.isnan(error)
    c, e, count = np.where(there, correction, 0.0), np.where(there, error, 0.0), np.maximum(there.sum(axis=0), 1)
    square = (c * c).sum(axis=0)
    known = square > 0
    square = np.where(known, square, 1.0)
    factor = (c * e).sum(axis=0) / square
    variance = repeats * ((e - factor * c) ** 2).sum(axis=0) / (count * square)
    kept = np.where(factor > 0, 1 - 2 * variance / np.where(factor > 0, factor, 1.0) ** 2, 0.0)
    return np.where(known, np.clip(factor * kept, 0.0, 1.0), 0.0)
