"""What the training loop learns from: examples in two parts, with a weight for each sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn.scaling import Scaler
from ..tasks.base import Batch, WeightedBatch
from ..tasks.sequence_examples import SequenceExamples, draw, frames_of


class TrainingSet:
    """A task for ``training.fit``.

    Args:
        examples: with ``batch(rows, dtype)``.
        parts: ``"train"`` and ``"validation"``, numbers of sequences.
        weights: (n,), or None.
    """

    def __init__(self, examples: Any, parts: dict[str, np.ndarray], weights: np.ndarray | None):
        self.examples: SequenceExamples = examples
        self.parts, self.weights = parts, weights

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch | WeightedBatch:
        """Return the sequences ``rows`` with their targets and, if there are weights, their weights."""
        batch: Batch = self.examples.batch(rows, dtype)  # type: ignore[attr-defined]
        return batch if self.weights is None else WeightedBatch(*batch, self.weights[rows].astype(dtype))


def split(groups: list[np.ndarray], fraction: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw ``fraction`` of each group of sequences for the validation part, at least one of two or more.

    Returns:
        ``"train"`` and ``"validation"``: numbers of sequences, sorted.

    Raises:
        ValueError: if no group has two sequences.
    """
    drawn = [draw(group, rng, fraction)[: len(group) - 1] for group in groups]
    validation = np.sort(np.concatenate(drawn))
    if not len(validation):
        raise ValueError("early_stopping needs a validation part, but no two sequences are left to draw it from")
    return {"train": np.setdiff1d(np.concatenate(groups), validation), "validation": validation}


def frame_scaler(sequences: Any, rows: np.ndarray, weights: np.ndarray | None) -> Scaler:
    """Return the scaler of the frames of the sequences ``rows``, each counted by the weight of its sequence."""
    lengths = np.diff(sequences.starts)[rows]
    return Scaler.fit(frames_of(sequences, rows), None if weights is None else np.repeat(weights[rows], lengths))
