"""The choice of a base forecast: several are fitted to the training rows; the best on the validation rows is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.table import Table
from ..fused import blas
from . import linear
from .bases import KINDS, LONGEST, BaseModel, impute
from .calendar_slots import Slots, periods, slots_of

CHOICES = ["auto", *KINDS, "none"]
RIDGES = [1e-10, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3]  # penalties that are tried; the first one only makes solutions unique
SMALL_RIDGES = [1e-10, 1e-3, 1e-2, 1e-1]  # where there are few rows
SHORT = [1, 2, 3, 6, 12]  # orders that are tried besides the periods
TIMES = 3  # a period of the base fits the training rows so often
FEW = 250  # with fewer validation rows, bases are also compared within the training rows
MANY = 2500  # with more training rows only the longest period is tried
PASSES = 2  # fits with gaps filled by the fit before
TRIES = 24  # bases that are tried for filling gaps
LIMIT = 2.0  # of the largest training value: forecasts that go further do not fill gaps
DOUBT = 1.0  # standard errors by which a simpler base may be worse
FOLDS = (0.5, 0.65, 0.8)  # ends of the shares of the training rows that are then fitted


@dataclass
class _Series:
    """What the bases of one column are fitted to. ``season`` is the detected one, in rows, or None."""

    z: np.ndarray
    times: np.ndarray | None
    table: Table
    season: int | None
    filled: np.ndarray | None
    known: np.ndarray | None
    ridges: list[float]

    def periods(self, rows: int) -> list[int]:
        """The periods in rows, longest first, that fit ``TIMES`` times into ``rows``."""
        found = {*periods(self.table).values(), *([self.season] if self.season else [])}
        return sorted((p for p in found if 2 <= p <= min(LONGEST, rows // TIMES)), reverse=True)


def _orders(series: _Series, rows: int) -> Iterator[tuple[int, Slots]]:
    """Orders and periods of the slots of the linear bases that ``rows`` training rows allow."""
    found = series.periods(rows)
    longest = found[0] if found else None
    if longest is not None and rows > MANY:
        yield longest, slots_of(series.table, longest)
        yield longest, Slots()
        return
    # long orders are only tried where there are many rows for each coefficient
    short = [p for p in (*SHORT, 24) if p <= rows // 8 and (longest is None or p < longest)]
    pairs = [(p, p) for p in found] + [(p, None) for p in found]
    pairs += [(p, longest) for p in short if longest is not None] + [(p, None) for p in short]
    pairs += [(p, small) for p in found for small in found if small < p]
    for order, period in dict.fromkeys(pairs):
        slots = slots_of(series.table, period)
        if period is not None and slots.kind == "one":
            continue
        if rows - order > 2 * (order + slots.count):
            yield order, slots


def _linear(series: _Series, rows: int, with_slots: bool | None = None) -> Iterator[BaseModel]:
    """The linear bases that so many training rows allow; only those with, or without, slots if that is given."""
    z, filled = series.z[:rows], None if series.filled is None else series.filled[:rows]
    known = None if series.known is None else series.known[:rows]
    F = 0 if known is None else known.shape[1]
    for order, slots in _orders(series, rows):
        if with_slots not in (None, slots.kind != "one"):
            continue
        numbers = slots.of(None if series.times is None else series.times[:rows], rows)
        e = linear.equations(z, order, 1, numbers, slots.count, known, filled)
        if e.count < 2 * (order + slots.count + F):
            continue
        for ridge in series.ridges:
            try:
                lagged, intercepts, c = linear.solve(e, ridge)
            except np.linalg.LinAlgError:
                continue
            yield BaseModel("linear", lagged[:, 0], intercepts[:, 0], slots, c[:, 0])


def _simple(series: _Series, rows: int, kinds: list[str]) -> Iterator[BaseModel]:
    z, one = series.z[:rows], np.ones(1)
    if "mean" in kinds:
        yield BaseModel("mean", np.zeros(0), z.mean()[None])
    if "last" in kinds:
        yield BaseModel("last", one, np.zeros(1))
    if "drift" in kinds and rows > 1:
        yield BaseModel("drift", one, np.array([(z[-1] - z[0]) / (rows - 1)]))
    if "seasonal" in kinds:
        for period in series.periods(rows):
            yield BaseModel("seasonal", np.eye(1, period, period - 1)[0], np.zeros(1))


def _errors(base: BaseModel, series: _Series, start: int, stop: int) -> np.ndarray:
    """Squared one-step errors of the rows start … stop − 1 whose values were there."""
    rows = np.arange(max(start, base.order), stop)
    if series.filled is not None:
        rows = rows[~series.filled[rows]]
    times = None if series.times is None else series.times[:stop]
    drive = base.drive(base.slots.of(times, stop), None if series.known is None else series.known[:stop])
    squares: np.ndarray = (series.z[rows] - base.forecasts(series.z, drive, rows, 1)[:, 0]) ** 2
    return squares


@dataclass(frozen=True)
class Choice:
    """What bases are chosen from, and by which rows.

    kind: one of ``KINDS``, or "auto" for any; table: of the column; train_end, validation_end: the first row after each
    part; season: in rows, detected in the training rows, or None; filled (n,): True where a value was missing, such
    rows are neither fitted nor scored; known (n, F): standardised values that are known ahead; with_slots: of linear
    bases, True or False for only those with or without.
    """

    kind: str
    table: Table
    train_end: int
    validation_end: int
    season: int | None = None
    filled: np.ndarray | None = None
    known: np.ndarray | None = None
    with_slots: bool | None = None

    @blas.limited(1)  # a second thread gains nothing here, and may wait for seconds on a busy machine
    def ranked(self, z: np.ndarray) -> list[tuple[float, BaseModel]]:
        """Return (mean squared one-step error, base) of each base fitted to the column z (n,), the best first.

        The error is that of the validation rows. With few of them, bases are also fitted to the first part of the
        training rows and scored on the next. The simplest of those that are hardly worse than the best comes first
        (``DOUBT``): what a more complex one gains by chance it loses several steps ahead.
        """
        a, b = self.train_end, self.validation_end
        kinds = KINDS if self.kind == "auto" else [self.kind]
        ridges = RIDGES if a > MANY else SMALL_RIDGES
        series = _Series(z, self.table.times, self.table, self.season, self.filled, self.known, ridges)
        splits = [(a, b)]
        if b - a < FEW:
            ends = [*(int(share * a) for share in FOLDS), a]
            splits += [(start, stop) for start, stop in zip(ends, ends[1:]) if start >= 8]
        bases: dict[Any, BaseModel] = {}
        errors: dict[Any, list[np.ndarray]] = {}
        for number, (start, stop) in enumerate(splits):
            position: dict[Any, int] = {}
            linear_bases = _linear(series, start, self.with_slots) if "linear" in kinds else ()
            for base in (*_simple(series, start, kinds), *linear_bases):
                name = (base.kind, base.order, base.slots)
                position[name] = position.get(name, -1) + 1
                key = (*name, position[name])  # the penalties of one order come in the same order in each split
                if number == 0:
                    bases[key], errors[key] = base, []
                if key in errors:
                    errors[key].append(_errors(base, series, start, stop))
        most = max((len(parts) for parts in errors.values()), default=0)
        whole = {key: np.concatenate(parts) for key, parts in errors.items() if len(parts) == most}
        keys = sorted((key for key, parts in whole.items() if len(parts)), key=lambda key: float(whole[key].mean()))
        simplest = _simplest([(bases[key], whole[key]) for key in keys])
        order = [*keys[simplest : simplest + 1], *keys[:simplest], *keys[simplest + 1 :]]
        return [(float(whole[key].mean()), bases[key]) for key in order]

    def best(self, z: np.ndarray) -> BaseModel | None:
        """Return the best base for the column z (n,), or None if the rows allow none.

        Missing values are filled from the values before them: first by the season, then by the base itself, which is
        fitted again afterwards, as long as that makes the error on the validation rows smaller.
        """
        if self.filled is None or not self.filled[: self.validation_end].any():
            return next((base for _, base in self.ranked(z)), None)
        z = z.copy()
        limit = LIMIT * (1 + np.abs(z[: self.train_end][~self.filled[: self.train_end]]).max(initial=0.0))
        fill_by_season(z, self.filled, self.season)
        best, least = None, np.inf
        for _ in range(PASSES):
            found = self._filling(z, limit)
            if found is None:
                break
            base, z, error = found
            if not error < least:
                break
            best, least = base, error
        return best or next((base for _, base in self.ranked(z)), None)

    def _filling(self, z: np.ndarray, limit: float) -> tuple[BaseModel, np.ndarray, float] | None:
        """The best base whose own forecasts, put into the gaps, stay within ±limit; the column with them; its error."""
        end = self.validation_end
        assert self.filled is not None
        for _, base in self.ranked(z)[:TRIES]:
            filled = z[:end].copy()
            drive = base.drive(base.slots.of(self.table.times, len(z)), self.known)
            impute(base, filled, drive, self.filled[:end])
            if np.abs(filled).max() <= limit:
                rows = np.arange(max(self.train_end, base.order), end)
                rows = rows[~self.filled[rows]]
                errors = filled[rows] - base.forecasts(filled, drive, rows, 1)[:, 0]
                return base, np.append(filled, z[end:]), float((errors**2).mean()) if len(rows) else 0.0
        return None


def _simplest(ranked: list[tuple[BaseModel, np.ndarray]]) -> int:
    """Return the place of the simplest base (the mean or the last value, then drift or season, then linear) whose mean
    squared error exceeds that of the first one by no more than ``DOUBT`` standard errors of the difference.

    Args:
        ranked: bases and their squared errors (n,) on the same rows, the best first.
    """
    found, fewest = 0, np.inf
    for place, (base, errors) in enumerate(ranked):
        n = min(len(errors), len(ranked[0][1]))  # a longer order has no forecast for the first rows
        difference = errors[-n:] - ranked[0][1][-n:]
        numbers = {"mean": 0, "last": 0, "drift": 1, "seasonal": 1}.get(base.kind, 2)  # of linear ones the best is best
        if difference.mean() <= DOUBT * difference.std() / np.sqrt(n) + 1e-12 and numbers < fewest:
            found, fewest = place, numbers
    return found


def fill_by_season(z: np.ndarray, filled: np.ndarray, period: int | None) -> None:
    """Replace z (n,), in place, where it was missing, by the value one period before."""
    if not period:
        return
    for row in np.flatnonzero(filled):
        if row >= period:
            z[row] = z[row - period]
