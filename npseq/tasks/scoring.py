"""A model run over many examples, in batches that bound the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .base import Examples, Task

BATCH_ROWS = 512  # examples in memory at a time, without a tape

Progress = Callable[[list[np.ndarray]], Iterable[np.ndarray]]  # hands the batches on, and may show a bar meanwhile


def batches(rows: np.ndarray, size: int = BATCH_ROWS) -> Iterator[np.ndarray]:
    """Yield ``rows`` in slices of at most ``size``."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def outputs(
    model: Any, task: Examples, rows: np.ndarray, batch_size: int = BATCH_ROWS, progress: Progress = iter
) -> np.ndarray:
    """Return the model's outputs (len(rows), O) for the examples ``rows``, in data units."""
    parts = []
    for some in progress(list(batches(rows, batch_size))):
        x, _, lengths = task.examples(some, model.dtype)
        parts.append(model.outputs(x, lengths))
    return task.to_units(np.concatenate(parts))


def mean_loss(model: Any, task: Task, rows: np.ndarray, batch_size: int = BATCH_ROWS) -> float:
    """Return the mean loss over the examples ``rows``."""
    total = 0.0
    for some in batches(rows, batch_size):
        total += float(model.loss_of(task.batch(some, model.dtype))) * len(some)
    return total / len(rows)
