"""Other columns of a panel: what the network reads of them, and the part of a series that columns known ahead explain.

The part e = c·u of the columns u is estimated from differences to the season before, Δ_s w = c·Δ_s u + r, again after
r_t − ρ r_{t−1} has made the errors independent (Cochrane & Orcutt 1949, Journal of the American Statistical Association
44, 32–61). It is taken only where it lowers Akaike's criterion. Closed forms and network forecast w − e.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .recipe import PanelRecipe

RIDGE = 0.01  # of the squared coefficients of standardised columns
ROWS = 4  # for each column, and as many more, at least
STILL = 1e-9  # deviation of a column that does not change, in units of its mean
FARTHEST = 20.0  # value that the network reads


def explained(w: np.ndarray, known: np.ndarray, rows: int, s: int) -> np.ndarray:
    """Return e (n + m,) for w (n,), known (n + m, F), from the first ``rows``; 0 where it does not pay."""
    e, F = np.zeros(len(known)), known.shape[1]
    s = s if rows > 3 * s else 1
    if not F or rows - s < ROWS * (F + 1):
        return e
    d, x = w[s:rows] - w[: rows - s], known[s:rows] - known[: rows - s]
    size = np.sqrt(np.mean(x * x, axis=0))
    there = size > STILL * np.abs(known[:rows]).max(axis=0)
    x = x[:, there] / size[there]

    def fitted(d: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ d))

    r = d - x @ fitted(d, x)
    rho = float(r[1:] @ r[:-1]) / max(float(r @ r), 1e-300)
    d, x = d[1:] - rho * d[:-1], x[1:] - rho * x[:-1]
    c = fitted(d, x)
    before, after = float(d @ d), float(np.sum((d - x @ c) ** 2))
    if not len(d) * np.log(max(before, 1e-300) / max(after, 1e-300)) > 2 * (x.shape[1] + 1):
        return e
    e = (known - known[:rows].mean(axis=0))[:, there] / size[there] @ c
    low, high = e[:rows].min(), e[:rows].max()
    return np.asarray(np.clip(e, 2 * low - high, 2 * high - low))


def scales_of(others: Sequence[np.ndarray]) -> list[float]:
    """Return the deviation of each column within its series; others: (n_k, C + F) of each."""
    spread = np.mean([other.var(axis=0) for other in others], axis=0)
    return [float(size) for size in np.where(spread > 0, np.sqrt(spread), 1.0)]


class Read:
    """What the network reads of other columns in each of its steps: of past ones the p rows of the step, of those known
    ahead these and the h rows after them, standardised by the rows of their series before the origin.

    Args:
        others: as ``Many``.
    """

    def __init__(self, others: Sequence[np.ndarray], recipe: PanelRecipe):
        self.recipe, self._starts = recipe, np.append(0, np.cumsum([len(other) for other in others]))
        self._flat = np.concatenate(others)
        self._first = self._flat[self._starts[:-1]]
        moved = [other - other[0] for other in others]
        self._sums = [np.concatenate([np.cumsum(one**power, axis=0) for one in moved]) for power in (1, 2)]

    def inputs(self, k: np.ndarray, origin: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (B, T, inputs) of the series k (B,), before the origins."""
        p, T, h = self.recipe.patch, self.recipe.window, self.recipe.horizon
        C, start, last = len(self.recipe.inputs), self._starts[k], self._starts[k + 1] - 1
        mean, square = (sums[start + origin - 1] / origin[:, None] for sums in self._sums)
        spread = np.sqrt(np.maximum(square - mean * mean, 0))
        mean += self._first[k]
        spread = np.where(spread > STILL * np.abs(mean), spread, self.recipe.scales)
        rows = (origin - lengths * p)[:, None, None] + p * np.arange(T)[:, None] + np.arange(p + h)
        values = self._flat[np.clip(start[:, None, None] + rows, start[:, None, None], last[:, None, None])]
        z = ((values - mean[:, None, None]) / spread[:, None, None]).clip(-FARTHEST, FARTHEST)
        z *= ((rows >= 0) & (rows < (origin + h)[:, None, None]))[..., None]
        past = z[:, :, :p, :C] * (rows[:, :, :p] < origin[:, None, None])[..., None]
        return np.concatenate([past.reshape(len(k), T, -1), z[..., C:].reshape(len(k), T, -1)], axis=2)
