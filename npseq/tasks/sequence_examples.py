"""Sequences of different lengths as examples: what classification and regression have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.sequences import Sequences
from ..nn.scaling import Scaler
from .base import Batch

FRACTION = 0.15  # of the sequences in the test part, and of the rest in the validation part


class SequenceExamples:
    """Sequences, standardised frame by frame.

    Args:
        sequences: the data.
        scaler: of their columns.
    """

    def __init__(self, sequences: Sequences, scaler: Scaler):
        self.sequences, self.scaler, self.name = sequences, scaler, sequences.name

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, T, I) padded to the longest of them, lengths (B,), without a target."""
        x, lengths = self.sequences.batch(rows, self.scaler.mean, self.scaler.scale, dtype)
        return Batch(x, None, lengths)


def frames_of(sequences: Sequences, rows: np.ndarray) -> np.ndarray:
    """Return the frames (n, C) of the sequences ``rows``, end to end."""
    return np.concatenate([sequences.frames[sequences.starts[s] : sequences.starts[s + 1]] for s in rows])


def draw(rows: np.ndarray, rng: np.random.Generator, fraction: float = FRACTION) -> np.ndarray:
    """Draw ``fraction`` of ``rows``, at least one."""
    return rng.permutation(rows)[: max(1, round(fraction * len(rows)))]
