"""The choice of a base forecast: the best closed forms (``candidates.py``), combined by their errors some rows ahead.

Each candidate is fitted to the first rows; its forecasts are fed back from origins in the rows after them. The best
few are combined with weights proportional to e⁻⁴. e is the geometric mean of two root mean squares of the errors: one
step ahead, and over all steps; the first is known from as many errors as there are rows, the second is what counts.

The last value or the mean is taken alone where the best candidate is not better by 1.5 standard errors of the
difference, one step ahead or over all steps, and has a share up to 2.5: what a regression gains by chance on a random
walk it loses several rows ahead. One standard error is enough where the best candidate's squared error one step ahead
is no more than 0.7 of the other's. Otherwise a line is taken alone where it is better than the best by a standard
error: a walk drifts by chance, too. Where rows are many, the regression on a whole season (a week of hours), with or
without its slots, has a prior: another candidate takes part only if it is better, over all steps, by a standard error.
What won on some weeks does not always win on the next.

Source of weights by past errors: Bates & Granger 1969, Operational Research Quarterly 20, 451–468.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..data.table import Table
from ..fused import blas
from . import features
from .base_model import KINDS, AnyBase, BaseModel, Combination, impute
from .candidates import MANY, Design, Series, designs, naive, regressions, seasons

CHOICES = ["auto", *KINDS, "none"]
LOGS = ["auto", "yes", "no"]
BEST, BEST_OF_MANY = 8, 4  # candidates that are combined
POWER = 4  # weights are proportional to error⁻⁴
STEPS = 48  # the most that errors are measured ahead by default
UNKNOWN = 10  # steps where no season is known
DOUBT = 1.0  # standard errors by which a candidate must be better than a prior one
SIMPLE = ("last", "mean")  # candidates that others must be better than
CLEAR = 0.7  # of the squared error one step ahead: where the best has no more, ``DOUBT`` is enough
SURE = 1.5, 2.5  # standard errors up to which a simple candidate is taken alone, and up to which it has a share
ROWS = 60  # of errors one step ahead, to take a line alone
STILL = 8  # rows
INDEPENDENT = 8  # origins whose steps do not overlap: so many are needed to tell errors over all steps apart
ORIGINS = 150  # forecast origins of several steps, at most; of one step eight times as many
PASSES = 2  # fits with gaps filled by the fit before
LIMIT = 2.0  # of the largest value: forecasts that go further do not fill gaps
SHARE = 0.2  # of all rows: the last ones, by which the final base is chosen


@dataclass(frozen=True)
class Choice:
    """What a base is chosen from, and by which rows.

    kind: one of ``KINDS`` for the best of that kind alone, or "auto" for a combination; log: "auto", "yes" or "no", for
    forecasts of the logarithm; steps: over which errors are measured, or None for one season; table: of the column;
    fitted, stop: candidates are fitted to the rows before ``fitted`` and compared on those up to ``stop``; refit: True
    to fit the chosen ones again to all rows before ``stop``.
    """

    kind: str
    table: Table
    fitted: int
    stop: int
    log: str = "auto"
    steps: int | None = None
    horizon: int = 1
    refit: bool = False

    @blas.limited(1)  # a second thread gains nothing here, and may wait for seconds on a busy machine
    def best(self, series: Series) -> AnyBase | None:
        """Return the base for the column, or None if the rows allow none.

        Missing values are filled from the values before them: first by the season, then by the base itself, which is
        fitted again afterwards. With ``refit`` a base has filled them already.
        """
        units = series.mean + series.scale * series.z[: self.fitted]
        season = features.season(units, self.table.step)
        if self.refit:
            return self._chosen(series, season)
        found: AnyBase | None = with_filled_gaps(series, season, self.stop, partial(self._chosen, season=season))
        return found

    def _chosen(self, series: Series, season: int | None) -> AnyBase | None:
        a, b = self.fitted, self.stop
        found = seasons(self.table, season, a)
        many = a > MANY and self.table.step is not None and self.table.step < features.DAY
        steps = self.steps or max(self.horizon, min(max(found.lengths, default=UNKNOWN), STEPS))
        first, whole = series.first(a), series.first(b)
        F = 0 if series.known is None else series.known.shape[1]
        log = None if self.log == "no" else first.log
        logs = [False] * (self.log != "yes") + [True] * (log is not None and whole.log is not None)
        asked = designs(found, a, many, logs, F) if self.kind in ("auto", "linear") else []

        def fit(part: Series, asked: list[Design]) -> dict[Any, BaseModel]:
            simple = [model for each in logs for model in naive(part, found.lengths, part.log if each else None)]
            models: dict[Any, BaseModel] = {
                (model.kind, model.order, model.log is not None, bool(model.intercepts.any())): model
                for model in simple
                if self.kind in ("auto", model.kind)
            }
            return models | dict(regressions(part, asked))

        models = fit(first, asked)
        errors = self._errors(models, whole, steps)
        if not errors:
            return None
        prior = _prior(errors, max(found.lengths)) if many and found.lengths and self.kind == "auto" else None
        chosen = [(min(errors, key=lambda key: errors[key].size), 1.0)]
        if self.kind == "auto":
            chosen = _combined(errors, prior, BEST_OF_MANY if many else BEST)
        if self.refit:
            models = fit(whole, [key for key, _ in chosen if isinstance(key, Design)])
        parts = [(share, models[key]) for key, share in chosen if key in models]
        if not parts:
            return None
        if len(parts) == 1:
            return parts[0][1]
        shares = np.array([share for share, _ in parts])
        return Combination(tuple(model for _, model in parts), shares / shares.sum(), len(errors))

    def _errors(self, models: dict[Any, BaseModel], series: Series, steps: int) -> dict[Any, Errors]:
        """The squared errors of each candidate, one step ahead and in the mean over ``steps``, on the rows from
        ``fitted`` on."""
        steps = max(1, min(steps, (self.stop - self.fitted + 1) // 2))
        near, far = self._origins(series, 1, 8 * ORIGINS), self._origins(series, steps, ORIGINS)
        if not (len(near) and len(far)):
            return {}
        overlap = max(1.0, steps / np.diff(far[:2], prepend=far[0] - steps)[-1])
        errors: dict[Any, Errors] = {}
        for key, model in models.items():
            if model.order > min(near[0], far[0]):
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                drive = model.drive_at(series.times, self.stop, series.known)
                one, several = (
                    np.nanmean((model.forecasts(series.z, drive, rows, k) - series.observed(rows, k)) ** 2, axis=1)
                    for rows, k in ((near, 1), (far, steps))
                )
            if np.isfinite(one).all() and np.isfinite(several).all():
                errors[key] = Errors(one, several, overlap)
        return errors

    def _origins(self, series: Series, steps: int, most: int) -> np.ndarray:
        """Rows r from ``fitted`` on, thinned, with r + steps ≤ ``stop`` and an observed value at r."""
        origins = np.arange(self.fitted, self.stop - steps + 1)
        origins = origins[:: -(-len(origins) // most) or 1]
        return origins if series.filled is None else origins[~series.filled[origins]]


class Errors(NamedTuple):
    """Squared errors of a candidate: one (m,) one step ahead, several (origins,) in the mean over the steps; overlap:
    the number of origins whose steps hold the same row."""

    one: np.ndarray
    several: np.ndarray
    overlap: float = 1.0

    @property
    def size(self) -> float:
        """e²."""
        return float(np.sqrt(self.one.mean() * self.several.mean()))

    @property
    def ends(self) -> bool:
        """True if the last third of the rows, ``STILL`` or more, were forecast exactly: the series has come to rest."""
        last = self.one[-(len(self.one) // 3) :]
        return len(last) >= STILL and not last.any()

    def better_near(self, other: Errors) -> float:
        """By how many standard errors the error one step ahead is smaller."""
        return _below(self.one - other.one, 1.0)

    def better_far(self, other: Errors) -> float:
        """By how many standard errors the error over all steps is smaller; 0 if origins are too few to tell."""
        enough = len(self.several) >= INDEPENDENT * self.overlap
        return _below(self.several - other.several, self.overlap) if enough else 0.0


def _below(difference: np.ndarray, repeats: float) -> float:
    return float(-difference.mean() / (difference.std() * np.sqrt(repeats / len(difference)) + 1e-12))


def _prior(errors: dict[Any, Errors], order: int) -> Any:
    """Return the plain regression on a whole season of ``order`` rows, with its slots or without, by its errors; None
    if there is none.

    The smallest penalty is taken, unless a larger one is better, over all steps, by a standard error: what a penalty
    takes from the slots of a season, the network cannot give back.
    """
    longest = [d for d in errors if isinstance(d, Design) and d[2:4] == (False, False) and not d.terms.waves
               and d.order == order and d.terms.slots.count in (1, order)]  # fmt: skip
    best: Any = min(longest, key=lambda d: errors[d].size, default=None)
    alike = sorted(d for d in longest if d[:-1] == best[:-1])
    return next((d for d in alike if errors[best].better_far(errors[d]) <= DOUBT), None)


def _combined(errors: dict[Any, Errors], prior: Any, most: int) -> list[tuple[Any, float]]:
    """Return (candidate, weight) of those that are combined, the greatest weight first.

    One candidate is taken of those that differ in the penalty alone. A candidate that never errs, or not at the end, is
    taken by itself.

    Args:
        errors: by candidate. prior: the regression on a whole season, or None. most: of the candidates.
    """
    ranked = sorted(errors, key=lambda key: errors[key].size)
    for key in ranked:
        if errors[key].size == 0 or errors[key].ends:
            return [(key, 1.0)]
    best = errors[ranked[0]]
    shared: dict[Any, float] = {}
    for key in ranked:
        if key[0] in SIMPLE:
            sure = max(best.better_near(errors[key]), best.better_far(errors[key]))
            clear = best.one.mean() <= CLEAR * errors[key].one.mean()
            if sure <= (DOUBT if clear else SURE[0]):
                return [(key, 1.0)]
            if sure < SURE[1] and not (clear or shared):
                shared[key] = (SURE[1] - sure) / (SURE[1] - SURE[0])
    for key in ranked:
        if key[0] == "drift" and len(errors[key].one) >= ROWS and errors[key].better_near(best) > DOUBT:
            return [(key, 1.0)]
    different: dict[Any, Any] = {}
    for key in ranked:
        different.setdefault(key[:-1] if isinstance(key, Design) else key, key)
    taken = list(different.values())
    if prior is not None:
        taken = [key for key in taken if key[:-1] != prior[:-1] and errors[key].better_far(errors[prior]) > DOUBT]
        taken = sorted([*taken[: most - 1], prior], key=lambda key: errors[key].size)
    taken = taken[:most]
    weights = np.array([errors[key].size for key in taken])
    weights = (weights / weights.min()) ** (-POWER / 2)
    found = dict(zip(taken, (weights / weights.sum() * (1 - sum(shared.values()))).tolist()))
    for key, share in shared.items():
        found[key] = found.get(key, 0.0) + share
    return sorted(found.items(), key=lambda pair: -pair[1])


def with_filled_gaps(series: Series, season: int | None, stop: int, fit: Callable[[Series], Any]) -> Any:
    """Return what ``fit`` makes of the series, with missing values before ``stop`` filled by the season, and then by
    what was fitted first.
    """
    if series.filled is None or not series.filled[:stop].any():
        return fit(series)
    there = np.abs(series.z[:stop][~series.filled[:stop]])
    limit, best = LIMIT * (1 + there.max(initial=0.0)), None
    z, missing = series.z.copy(), series.filled[:stop]
    fill_by_season(z, series.filled, season)
    for _ in range(PASSES):
        series = replace(series, z=z)
        found = fit(series)
        if found is None:
            return best
        z = z.copy()
        impute(found, z[:stop], found.drive_at(series.times, len(z), series.known), missing)
        if not np.abs(z[:stop]).max() <= limit:
            return best or BaseModel("last", np.ones(1), np.zeros(1))
        best = found
    return best


def fill_by_season(z: np.ndarray, filled: np.ndarray, period: int | None) -> None:
    """Replace z (n,), in place, where it was missing, by the value one period before."""
    if not period:
        return
    for row in np.flatnonzero(filled):
        if row >= period:
            z[row] = z[row - period]
