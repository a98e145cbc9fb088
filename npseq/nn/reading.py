"""What the head of a model reads of a sequence with n steps: one vector, made from the outputs h_1 … h_n.

    final      h_n; with two directions the final state of each, side by side
    last       h_n, the output at the last step: of two directions the reverse one has then read that step alone
    mean       m = Σ_t h_t / n                              dh_t = dm / n
    max        m_j = max_t h_tj, element by element         dh_tj = dm_j at the first t with h_tj = m_j, else 0
    mean+max   both, side by side                           the sum of both

Steps past a sequence's length do not take part. Of a sequence without a step mean and max are 0, and have no gradient;
final and last are the initial state (that of the reverse direction for ``last`` is then the initial state, too).
"""

from __future__ import annotations

from typing import Any

import numpy as np

READS = "final", "last", "mean", "max", "mean+max"
POOLED = READS[2:]


def read_size(how: str, size: int) -> int:
    """Return the number of elements that the head reads, given that of an output, D·P."""
    return 2 * size if how == "mean+max" else size


def pool(how: str, hs: np.ndarray, lengths: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the mean, the maximum or both (B, ·) over the valid steps of the outputs hs (B, T, D·P), and for each
    element of the maximum its step. Complex outputs are compared by their real parts."""
    B, T, _ = hs.shape
    n = np.full(B, T) if lengths is None else np.asarray(lengths)
    there = (np.arange(T) < n[:, None])[:, :, None]
    mean = np.where(there, hs, 0).sum(1) / _divisor(n, hs)
    if how == "mean":
        return mean, None
    steps = np.where(there, hs.real, -np.inf).argmax(1)
    largest = np.where(n[:, None] > 0, np.take_along_axis(hs, steps[:, None], 1)[:, 0], 0)
    return largest if how == "max" else np.concatenate([mean, largest], 1), steps


def d_pool(how: str, d: np.ndarray, steps: np.ndarray | None, shape: tuple[int, ...], lengths: Any) -> np.ndarray:
    """Return the gradient of the outputs, of this shape (B, T, D·P), given that of what ``pool`` has returned."""
    B, T, size = shape
    n = np.full(B, T) if lengths is None else np.asarray(lengths)
    d_hs = np.zeros(shape, d.dtype)
    if how != "max":
        there = (np.arange(T) < n[:, None])[:, :, None]
        d_hs += np.where(there, (d[:, :size] / _divisor(n, d))[:, None], 0)
    if steps is not None:
        rows, columns = np.nonzero(np.broadcast_to(n[:, None] > 0, (B, size)))
        d_hs[rows, steps[rows, columns], columns] += d[:, -size:][rows, columns]
    return d_hs


def _divisor(n: np.ndarray, like: np.ndarray) -> np.ndarray:
    divisor: np.ndarray = np.maximum(n, 1)[:, None].astype(like.real.dtype)
    return divisor


def last_steps(shape: tuple[int, ...], lengths: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the sequences that are not empty, and the number of the last step of each; ``shape``: (B, T, ·)."""
    B, T = shape[:2]
    ends = np.full(B, T) if lengths is None else np.asarray(lengths)
    rows = np.flatnonzero(ends > 0)
    return rows, ends[rows] - 1
