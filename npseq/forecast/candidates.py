"""Candidates for the base forecast of a column: which closed forms are tried, and how they are fitted.

A regression is of w = z or log y, or of its differences: with one more lag,

    w_t − w_{t−1} = b + Σ_k φ_k (w_{t−k} − w_{t−k−1}) + Σ_j c_j (u_{t,j} − u_{t−1,j})

is of the form of ``bases.BaseModel``, too. All are ridge regressions on standardised data; those that differ in the
penalty alone share their normal equations.

Source of harmonic regression with autoregression: Young, Pedregal & Tych 1999, Journal of Forecasting 18, 369–394.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..data.table import Table
from . import linear
from .base_model import LONGEST, BaseModel, Log, differenced
from .calendar_slots import YEAR, Slots, Waves, periods, slots_of
from .features import DAY, WEEK

PENALTIES = (0.1, 3.0, 100.0)  # of the sum of the squared coefficients; few rows of a long season need the last
PAIRS = 4  # of sine and cosine, for a season that is too long for a number of each of its rows
SHORT = (1, 2, 3, 6)  # orders that are tried besides the season
ALONE = (1, 2, 3, 6, 10)  # orders without a season
PERIODS = 2  # a season is looked at if the rows hold so many of its periods, as a lag of LONG rows one more
LONG = 60
ROWS = 1.5  # for each coefficient of a regression
MANY = 2500  # with more training rows, of less than a day each, only long orders and the slots of the season are tried
ROOM = np.log(100.0)  # forecasts of log y stay within so much, or as much as that of the fitted rows, of their range


@dataclass(frozen=True)
class Series:
    """A column to forecast. z (n,) standardised; mean, scale: y = mean + scale z; times (n,), known (n, F) standardised
    values known ahead, and filled (n,), True where a value was missing: each may be None.
    """

    z: np.ndarray
    mean: float = 0.0
    scale: float = 1.0
    times: np.ndarray | None = None
    known: np.ndarray | None = None
    filled: np.ndarray | None = None

    def first(self, rows: int) -> Series:
        """Return the first ``rows`` rows."""
        parts: dict[str, Any] = {name: array[:rows] for name, array in vars(self).items() if np.ndim(array)}
        return replace(self, **parts)

    def observed(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """Return z (len(rows), steps) of the rows r … r + steps − 1, NaN where it was missing."""
        ahead = rows[:, None] + np.arange(steps)
        return self.z[ahead] if self.filled is None else np.where(self.filled[ahead], np.nan, self.z[ahead])

    @property
    def log(self) -> Log | None:
        """The logarithm of the values; None if one is not positive."""
        y = self.mean + self.scale * self.z
        low, high = float(y.min()), float(y.max())
        if not low > 1e-12 * high:
            return None
        a, b = np.log(low), np.log(high)
        room = max(ROOM, b - a)
        return Log(self.mean, self.scale, float(max(a - room, -690)), float(min(b + room, 690)))


class Terms(NamedTuple):
    """Seasons of a regression: a number for each slot of one, waves of another."""

    slots: Slots = Slots()
    waves: tuple[Waves, ...] = ()

    @property
    def size(self) -> int:
        """The number of coefficients."""
        return self.slots.count + sum(2 * each.pairs for each in self.waves)


class Design(NamedTuple):
    """A regression: its order, its seasons, whether it is of the logarithm, of differences, and the penalty."""

    order: int
    terms: Terms
    log: bool = False
    differences: bool = False
    penalty: float = PENALTIES[0]


class Seasons(NamedTuple):
    """The seasons of a table. lengths: in rows, of the calendar, the shortest first, or the detected one; terms: for
    regressions."""

    lengths: list[int]
    terms: list[Terms]


def seasons(table: Table, detected: int | None, rows: int) -> Seasons:
    """Return the seasons that ``rows`` training rows hold ``PERIODS`` times."""
    found = {name: p for name, p in periods(table).items() if p >= 2 and rows >= PERIODS * p}
    lengths = {p for p in found.values() if p <= min(LONGEST, rows // (PERIODS if p < LONG else PERIODS + 1))}
    if not lengths and detected and detected <= min(LONGEST, rows // PERIODS):
        lengths = {detected}
    slots = [slots_of(table, p) for p in sorted(found.values()) if p <= LONGEST]
    slots = [each for each in dict.fromkeys(slots) if each.kind != "one"]
    waves = []
    if table.step and (table.irregular is None or found):  # equal steps, or working days
        waves = [
            Waves(float(seconds), PAIRS)
            for name, seconds in (("day", DAY), ("week", WEEK))
            if found.get(name, 0) > LONGEST
        ]
        year = YEAR / table.step * (1 if table.irregular is None else 5 / 7)
        waves += [Waves(YEAR, PAIRS)] * (table.step <= WEEK and rows >= PERIODS * year)
    terms = [Terms(), *(Terms(each) for each in slots)]
    if waves:
        terms += [Terms(each, tuple(waves)) for each in (Slots(), *slots[-1:])]
    return Seasons(sorted(lengths), terms)


def designs(found: Seasons, rows: int, many: bool, logs: Sequence[bool], ahead: int = 0) -> list[Design]:
    """Return the regressions that ``rows`` training rows allow: with ``ROWS`` for each coefficient.

    Args:
        many: only those of the longest season that can be an order, and a few others. logs: False, True or both.
        ahead: the number of columns known ahead.
    """
    lengths = [p for p in found.lengths if p <= LONGEST]
    pairs: list[tuple[int, Terms]] = []
    if many and lengths:
        full = [each for each in found.terms if each.slots.count == lengths[-1]]
        pairs = [(p, each) for p in (lengths[-1], lengths[0], SHORT[2]) for each in full] + [(lengths[-1], Terms())]
    else:
        s = lengths[0] if lengths else None
        orders = [*SHORT, s, s + 1, 2 * s + 1] if s else [*ALONE]
        orders += [p for p in lengths[1:] if p < 365]
        pairs = [(order, terms) for order in dict.fromkeys(orders) for terms in found.terms]
    return [
        Design(order, terms, log, differences, penalty)
        for log in logs
        for differences in (False, True)
        for order, terms in dict.fromkeys(pairs)
        if rows - order - differences >= ROWS * (order + terms.size + ahead)
        for penalty in PENALTIES
    ]


def regressions(series: Series, asked: Sequence[Design]) -> Iterator[tuple[Design, BaseModel]]:
    """Fit the designs to all rows of the series; those that cannot be are left out.

    Designs that differ in the penalty share their normal equations. Of more than ``MANY`` rows those of a smaller order
    or without the seasons do, too: theirs are a part of the larger ones, over the same rows.
    """
    left = list(asked)
    while left:
        whole = left[0] if len(series.z) <= MANY else max(left, key=lambda design: (design.terms.size, design.order))
        group = [design for design in left if design[:-1] == whole[:-1]]
        if len(series.z) > MANY:
            group = [design for design in left if _is_part(design, whole)]
        left = [design for design in left if design not in group]
        yield from _ridge(series, whole, group)


def _is_part(design: Design, whole: Design) -> bool:
    """True if the normal equations of the design can be taken from those of ``whole``."""
    return (
        design[2:4] == whole[2:4]
        and design.order <= whole.order
        and design.terms.slots in (whole.terms.slots, Slots())
        and design.terms.waves in (whole.terms.waves, ())
    )


def _ridge(series: Series, whole: Design, group: list[Design]) -> Iterator[tuple[Design, BaseModel]]:
    order, terms, in_logs, differences, _ = whole
    log, n = series.log if in_logs else None, len(series.z)
    if in_logs and log is None or n < order + differences + 2:
        return
    w = series.z if log is None else log.of(series.z)
    columns = []
    if series.known is not None:
        columns.append(differenced(series.known) if differences else series.known)
    if terms.waves and series.times is not None:
        columns.append(Waves.all_of(terms.waves, series.times))
    x = np.concatenate(columns, axis=1) if columns else None
    F, slots, filled = (
        0 if series.known is None else series.known.shape[1],
        terms.slots.of(series.times, n),
        series.filled,
    )
    if differences:
        w, slots = np.diff(w), slots[1:]
        x = None if x is None else x[1:]
        filled = None if filled is None else filled[1:] | filled[:-1]
    mean, scale = float(w.mean()), float(w.std()) or 1.0
    all_of = linear.equations((w - mean) / scale, order, 1, slots, terms.slots.count, x, filled)
    for design in group:
        own = design.terms
        e = all_of.part(design.order, own.slots.count, None if own.waves else F)
        if e.count < ROWS * (len(e.gram) - 1):
            continue
        try:
            lagged, b, c = (part[:, 0] for part in linear.solve(e, design.penalty / e.count))
        except np.linalg.LinAlgError:
            continue
        b = scale * b + mean * (1 - lagged.sum())
        phi = np.append(lagged, 0.0) + np.append(1.0, -lagged) if differences else lagged
        yield design, BaseModel(
            "linear", phi, b, own.slots, scale * c[:F], own.waves, scale * c[F:], log, differences
        )  # fmt: skip


def naive(series: Series, lengths: Sequence[int], log: Log | None = None) -> Iterator[BaseModel]:
    """The forms without a regression, simplest first; with ``log``, those that differ then: the ones with a trend."""
    w = series.z if log is None else log.of(series.z)
    n, one = len(w), np.ones(1)
    if log is None:
        yield BaseModel("mean", np.zeros(0), w.mean()[None])
        yield BaseModel("last", one, np.zeros(1))
    if n > 1:
        yield BaseModel("drift", one, np.array([(w[-1] - w[0]) / (n - 1)]), log=log)
    for s in lengths:
        weights = np.eye(1, s, s - 1)[0]
        if log is None:
            yield BaseModel("seasonal", weights, np.zeros(1))
        if n >= 2 * s:
            step = (w[-s:].mean() - w[:s].mean()) / (n - s)
            yield BaseModel("seasonal", weights, np.array([s * step]), log=log)
