"""A model run over many examples, in batches that bound the memory."""

from __future__ import annotations

import numpy as np

from .base import BATCH_ROWS, Dataset, Learner, Predictor, Progress, Rows, TrainingTask, as_task


def outputs(
    model: Predictor, task: Dataset, rows: Rows, batch_size: int = BATCH_ROWS, progress: Progress = iter
) -> np.ndarray:
    """Return the model's predictions for the examples ``rows`` (``Dataset.predictions``)."""
    return task.predictions(model, rows, batch_size, progress)


def mean_loss(model: Learner, task: TrainingTask, rows: Rows, batch_size: int | None = None) -> float:
    """Return the mean loss over the examples ``rows``, in batches of the task's size by default."""
    whole, total, count, state = as_task(task), 0.0, 0, None
    for some in whole.streams(rows, batch_size or whole.scored_side_by_side(rows)):
        batch = task.batch(some, model.dtype)
        if whole.carries:
            loss, state = model.loss_of(batch, state=state)
        else:
            loss = model.loss_of(batch)
        total += float(loss) * whole.weight(some)
        count += whole.weight(some)
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
