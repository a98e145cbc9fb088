"""Closed forms and network combined, series by series, and the intervals around them.

Both forecast the rolling origins of each series: the closed forms fitted to the rows before them, with the shares that
the other origins give them, the network without having been trained on them. e is the mean absolute error in units of
the series' scale, shrunk to that of all series by as much as ``PRIOR`` origins count; the shares are proportional to
e⁻². A series without origins takes the shares of all.

The errors of the combination, in units of what the series errs otherwise (again shrunk, and without the origin itself),
give the quantiles of each step over all series.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

POWER = 2  # shares are proportional to error⁻²
PRIOR = 0.5  # origins
LARGEST = 5.0  # error of a series, in units of its scale, in the mean over all
LEVELS = np.array([0.005, 0.01, 0.025, *np.linspace(0.05, 0.95, 19), 0.975, 0.99, 0.995])
AROUND = 200  # errors of a quantile, at least: else those of the steps around count, too


class Parts(NamedTuple):
    """The forecasts of one series. past (2, O, h) by closed forms and network, ahead (2, h); actual (O, h), NaN where a
    value was missing; scale: the unit of its errors."""

    past: np.ndarray
    ahead: np.ndarray
    actual: np.ndarray
    scale: float

    @property
    def errors(self) -> np.ndarray:
        """(2, O): the mean absolute errors from each origin, in units of the scale; NaN if no value was observed."""
        e = np.abs(self.past - self.actual)
        there = np.isfinite(self.actual).sum(axis=1)
        return np.asarray(np.where(there > 0, np.nansum(e, axis=2) / np.maximum(there, 1) / self.scale, np.nan))


class Errors(NamedTuple):
    """What holds for all series. typical (2,): the mean errors of closed forms and network; combined: that of both."""

    typical: np.ndarray
    combined: float = 1.0


def typical(every: list[Parts]) -> np.ndarray:
    """Return the mean errors (2,) over all series that have origins; equal ones if none has."""
    means = [np.nanmean(np.minimum(each.errors, LARGEST), axis=1) for each in every if np.isfinite(each.errors).any()]
    return np.mean(means, axis=0) if means else np.ones(2)


def shares(part: Parts, known: Errors, left_out: int | None = None) -> np.ndarray:
    """Return the shares (2,) of closed forms and network, from all origins but one."""
    e = part.errors
    e = e if left_out is None else np.delete(e, left_out, axis=1)
    count = np.isfinite(e).sum(axis=1)
    shrunk = (np.nansum(e, axis=1) + PRIOR * known.typical) / (count + PRIOR)
    weights = np.maximum(shrunk, 1e-12) ** -POWER
    return np.asarray(weights / weights.sum())


def mean_error(every: list[Parts], known: Errors) -> float:
    """Return the mean error of the combination over all series with origins, in units of their scales; 1 if none."""
    means = [np.nanmean(np.abs(rolled(each, known) - each.actual)) / each.scale for each in every
             if np.isfinite(each.actual).any()]  # fmt: skip
    return max(float(np.mean(np.minimum(means, LARGEST))), 1e-9) if means else 1.0


def rolled(part: Parts, known: Errors) -> np.ndarray:
    """Return the combined forecasts (O, h) from the origins, each with the shares that the others give."""
    found = [np.tensordot(shares(part, known, j), part.past[:, j], 1) for j in range(part.past.shape[1])]
    return np.reshape(found, part.actual.shape)


def spread(part: Parts, known: Errors, left_out: int | None = None) -> float:
    """Return what the series errs, in units of the data: its mean absolute error, shrunk to that of all."""
    e = np.abs(rolled(part, known) - part.actual) / part.scale
    if left_out is not None:
        e = np.delete(e, left_out, axis=0)
    e = e[np.isfinite(e).any(axis=1)] if e.size else e
    total = np.nansum(np.nanmean(e, axis=1)) if len(e) else 0.0
    return float(part.scale * (total + PRIOR * known.combined) / (len(e) + PRIOR))


def unseen(part: Parts) -> float:
    """Return √(1 + 1 / O), by which the spread of a new origin is greater: with O origins it is not known better. (The
    origins of all series lie at nearly the same times, so many series do not take the place of many origins.)"""
    return float(np.sqrt(1 + 1 / max(part.past.shape[1], 1)))


def quantiles(every: list[Parts], known: Errors) -> np.ndarray:
    """Return the quantiles (levels, h) of the errors from all origins, in units of each series' ``spread``."""
    h = every[0].ahead.shape[1]
    scaled = [np.zeros((0, h))]
    for part in every:
        errors = part.actual - rolled(part, known)
        scaled += [errors[j] / spread(part, known, j) for j in range(len(errors))]
    e = np.vstack(scaled)
    found = np.empty((len(LEVELS), h))
    for step in range(h):
        reach = 0
        while (some := e[:, max(0, step - reach) : step + reach + 1]).size < AROUND and reach < h:
            reach += 1
        some = some[np.isfinite(some)]
        found[:, step] = _of_sample(some) if some.size else 0.0
    return found


def _of_sample(errors: np.ndarray) -> np.ndarray:
    """The quantiles of a new error: the (n + 1) · level-th of n, as conformal intervals have it."""
    errors, n = np.sort(errors), len(errors)
    places = np.clip((n + 1) * LEVELS - 1, 0, n - 1)
    return np.asarray(np.interp(places, np.arange(n), errors))


def offsets(table: np.ndarray, level: float, steps: int) -> np.ndarray:
    """Return the quantile of a level (steps,) for each step; beyond the last measured one it grows with √step."""
    found = np.array([np.interp(level, LEVELS, column) for column in table.T])
    h = len(found)
    later = found[-1] * np.sqrt(np.arange(h + 1, steps + 1) / h)
    return np.concatenate([found, later])[:steps]
