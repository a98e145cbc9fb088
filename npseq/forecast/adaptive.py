"""Intervals whose level adapts to the errors that were observed: adaptive conformal inference.

Each bound of a forecast k rows ahead is a quantile of the last out-of-sample errors of such forecasts, in units of
their scale. After each row the level α of a side moves by the rate γ times (wanted − observed misses):

    α ← α + γ (p − [the value was outside]),    p = (1 − coverage) / 2

It starts at p, and the errors at those of the validation part, which the weights file keeps. Only rows before the
forecast's origin are read: the error of a forecast k rows ahead counts from k rows later on.

Source: Gibbs & Candès 2021, "Adaptive conformal inference under distribution shift", arXiv 2106.00170.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable

import numpy as np

RATES = 0.01, 0.001  # of the level, one row ahead and further: misses far ahead come in runs
ERRORS = 1000, 2000  # that are kept, likewise
SMALLEST, LARGEST = 0.0005, 0.30  # level
# Times as many misses above are wanted where none can be below, likewise: found by benchmarks/interval_constants.py on
# generated rain, counts and sales alone. (First chosen, as 1.6 and 1.4, after seattle's test part had been seen.)
ABOVE = 1.6, 1.2
FEW = 60  # with fewer errors Student's t distribution may widen the interval


class Level:
    """The two quantiles of one step, moving with what is observed.

    Args:
        errors: (n,) scaled, to start from. coverage: nominal. step: rows ahead, from 1.
        rests: True if the lower bound is the smallest value that there is, and cannot be missed.
    """

    def __init__(self, errors: np.ndarray, coverage: float, step: int, rests: bool = False) -> None:
        which, p = int(step > 1), (1 - coverage) / 2
        self.wanted, self.rate, self.most = (p, p * (ABOVE[which] if rests else 1.0)), RATES[which], ERRORS[which]
        self.levels = list(self.wanted)
        self._queue = deque(float(error) for error in errors[-self.most :])
        self._sorted = sorted(self._queue)

    def offsets(self) -> tuple[float, float]:
        """Return what to add to the forecast for low and high, in units of the scale."""
        return self._quantile(self.levels[0], False), self._quantile(self.levels[1], True)

    def observe(self, error: float, offsets: tuple[float, float]) -> None:
        """Take the scaled error of a forecast that had these offsets."""
        for side, missed in enumerate((error < offsets[0], error > offsets[1])):
            wanted = self.wanted[side]
            moved = self.levels[side] + self.rate * (wanted - missed)
            self.levels[side] = min(max(moved, min(SMALLEST, wanted)), max(LARGEST, wanted))
        self._queue.append(error)
        insort(self._sorted, error)
        if len(self._queue) > self.most:
            del self._sorted[bisect_left(self._sorted, self._queue.popleft())]

    def _quantile(self, level: float, upper: bool) -> float:
        errors, n = self._sorted, len(self._sorted)
        if not n:
            return 0.0
        place = min(max((n + 1) * level - 1, 0.0), n - 1)  # 0 is the outermost error
        first = int(place)
        at, after = (n - 1 - first, max(n - 2 - first, 0)) if upper else (first, min(first + 1, n - 1))
        found = errors[at] + (place - first) * (errors[after] - errors[at])
        if n < FEW:
            from scipy.special import stdtrit

            mean, deviation = float(np.mean(errors)), float(np.std(errors)) * np.sqrt(n / max(n - 1, 1))
            wide = float(stdtrit(max(n - 1, 1), level)) * deviation * np.sqrt(1 + 1 / n)
            found = max(found, mean - wide) if upper else min(found, mean + wide)
        return float(found)


class Replay:
    """The level of the interval of one step ahead, updated from origin to origin in time order.

    Args:
        start, coverage, step, rests: as ``Level``.
    """

    def __init__(self, start: np.ndarray, coverage: float, step: int, rests: bool = False) -> None:
        self.step, self._level = step, Level(start, coverage, step, rests)
        self._pending: deque[tuple[int, tuple[float, float]]] = deque()
        self._pair = self._level.offsets()

    def at(self, origin: int, error_of: Callable[[int], float]) -> tuple[float, float]:
        """Return the offsets of the forecast from this origin, from the errors that are known there.

        Args:
            error_of: the scaled error of the forecast from an earlier origin, which is of its row origin + step − 1;
                NaN where it is not known, or does not count.
        """
        moved = False
        while self._pending and self._pending[0][0] + self.step <= origin:
            before, pair = self._pending.popleft()
            error = error_of(before)
            if np.isfinite(error):
                self._level.observe(error, pair)
                moved = True
        if moved:
            self._pair = self._level.offsets()
        self._pending.append((origin, self._pair))
        return self._pair


def offsets(
    scaled: np.ndarray,
    rows: np.ndarray,
    start: np.ndarray,
    coverage: float,
    step: int,
    since: int = 0,
    rests: bool = False,
) -> np.ndarray:
    """Return the offsets (m, 2) of forecasts of one step from origins in time order, each from those before it.

    Args:
        scaled: (m,) errors in units of their scale, NaN where they are not known. rows: (m,) origins.
        start, coverage, step, rests: as ``Level``.
        since: errors of origins before this row do not count: the model was trained on their values.
    """
    replay, origins = Replay(start, coverage, step, rests), rows.tolist()
    errors = dict(zip(origins, np.where(rows >= since, scaled, np.nan).tolist()))
    return np.array([replay.at(row, errors.__getitem__) for row in origins]).reshape(len(origins), 2)
