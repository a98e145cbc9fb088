"""Base forecasts: what a network corrects. Each is linear in the past, and fixed before the network is trained.

    f_t = b_{slot(t)} + Σ_{k=1…p} φ_k z_{t−k} + Σ_j c_j u_{t,j}

| kind     | φ                                  | b                          |
|----------|------------------------------------|----------------------------|
| linear   | ridge regression                   | for each slot of a period  |
| seasonal | 1 at the period's lag              | 0                          |
| last     | 1 at lag 1                         | 0                          |
| drift    | 1 at lag 1                         | the mean difference        |
| mean     | none                               | the mean                   |

z are standardised values, u values known ahead (only for the linear base). Several steps are forecast by feeding the
forecast back (``linear.fed_back``).

Source of a network that corrects a linear model: Zhang 2003, Neurocomputing 50, 159–175; of a linear part inside the
network: Lai et al. 2018, LSTNet, arXiv 1703.07015v3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.table import Table
from ..formats import schema
from ..fused import blas
from . import linear
from .calendar_slots import Slots, periods, slots_of

KINDS = ["linear", "seasonal", "last", "drift", "mean"]
CHOICES = ["auto", *KINDS, "none"]
RIDGES = [1e-10, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3]  # penalties that are tried; the first one only makes solutions unique
SMALL_RIDGES = [1e-10, 1e-3, 1e-2, 1e-1]  # where there are few rows
LONGEST = 672  # the most lags, and slots of a period: a week of quarter-hours
SHORT = [1, 2, 3, 6, 12]  # orders that are tried besides the periods
TIMES = 3  # a period of the base fits the training rows so often
FEW = 250  # with fewer validation rows, bases are also compared within the training rows
MANY = 2500  # with more training rows only the longest period is tried
PASSES = 2  # fits with gaps filled by the fit before
TRIES = 24  # bases that are tried for filling gaps
SHARE = 0.05
LIMIT = 2.0  # of the largest training value: forecasts that go further do not fill gaps
FOLDS = (0.5, 0.65, 0.8)  # ends of the shares of the training rows that are then fitted


@dataclass(frozen=True)
class Base:
    """A base forecast of one standardised column. weights (p,) φ; intercepts (slots.count,) b; known (F,) c."""

    kind: str
    weights: np.ndarray
    intercepts: np.ndarray
    slots: Slots = Slots()
    known: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def order(self) -> int:
        """p, the number of values that are read."""
        return len(self.weights)

    def drive(self, slots: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """Return g (n,), what is added to the weighted values, for the slots (n,) and known values (n, F) of rows."""
        g = self.intercepts[slots]
        return g if known is None or not self.known.size else g + known @ self.known

    def forecasts(self, z: np.ndarray, drive: np.ndarray, rows: np.ndarray, steps: int) -> np.ndarray:
        """Return the forecasts (len(rows), steps) of the rows r … r + steps − 1, from the values before each row r.

        Args:
            z: (n,) values. drive: (at least max(rows) + steps,) g of each row. rows: with p rows before them.
        """
        Phi, psi = linear.fed_back(self.weights, steps)
        response = np.triu(psi[np.abs(np.arange(steps) - np.arange(steps)[:, None])])  # of step i to the drive of l ≤ i
        result = linear.lagged_products(z, rows, Phi)
        for start in range(0, len(rows), linear.CHUNK):
            part = slice(start, start + linear.CHUNK)
            result[part] += drive[rows[part, None] + np.arange(steps)] @ response
        return result

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        return {
            "kind": self.kind,
            "weights": _short(self.weights),
            "intercepts": _short(self.intercepts),
            "slots": [self.slots.kind, self.slots.seconds],
            "known": _short(self.known),
        }

    FIELDS = {
        "kind": schema.one_of(KINDS),
        "weights": schema.Field(
            lambda value: schema.listed(schema.NUMBER).fits(value) and len(value) <= 10 * LONGEST, "a list of numbers"
        ),
        "intercepts": schema.Field(
            lambda value: schema.listed(schema.NUMBER).fits(value) and 0 < len(value) <= 10 * LONGEST,
            "a list of at least one number",
        ),
        "slots": schema.Field(
            lambda value: (
                isinstance(value, list)
                and len(value) == 2
                and value[0] in ("one", "clock", "month")
                and schema.COUNT.fits(value[1])
            ),
            "a kind of slots and their seconds",
        ),
        "known": schema.missing(schema.listed(schema.NUMBER), []),
    }

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Base:
        """Return the base that a weights file describes.

        Raises:
            ValueError: for the first fault.
        """
        values = schema.check(mapping, cls.FIELDS, "its base")
        kind, seconds = values["slots"]
        count = len(values["intercepts"])
        if kind == "month" and count != 12 or kind == "one" and count != 1:
            raise ValueError(f"its base has {count} intercepts, which is no number of slots of the kind {kind!r}")
        weights, intercepts, known = (np.array(values[name], float) for name in ("weights", "intercepts", "known"))
        return cls(values["kind"], weights, intercepts, Slots(kind, count, seconds), known)


def _short(array):
    """Numbers with 9 significant digits: enough for float32 inputs, and half the length."""
    return [float(f"{value:.9g}") for value in array]


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


def _orders(series, rows):
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


def _linear(series: _Series, rows: int, with_slots: bool | None = None) -> Iterator[Base]:
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
            yield Base("linear", lagged[:, 0], intercepts[:, 0], slots, c[:, 0])


def _simple(series: _Series, rows: int, kinds: list[str]) -> Iterator[Base]:
    z, one = series.z[:rows], np.ones(1)
    if "mean" in kinds:
        yield Base("mean", np.zeros(0), z.mean()[None])
    if "last" in kinds:
        yield Base("last", one, np.zeros(1))
    if "drift" in kinds and rows > 1:
        yield Base("drift", one, np.array([(z[-1] - z[0]) / (rows - 1)]))
    if "seasonal" in kinds:
        for period in series.periods(rows):
            yield Base("seasonal", np.eye(period)[-1], np.zeros(1))


def _errors(base: Base, series: _Series, start: int, stop: int) -> np.ndarray:
    """Squared one-step errors of the rows start … stop − 1 whose values were there."""
    rows = np.arange(max(start, base.order), stop)
    if series.filled is not None:
        rows = rows[~series.filled[rows]]
    times = None if series.times is None else series.times[:stop]
    drive = base.drive(base.slots.of(times, stop), None if series.known is None else series.known[:stop])
    return (series.z[rows] - base.forecasts(series.z, drive, rows, 1)[:, 0]) ** 2


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
    def ranked(self, z: np.ndarray) -> list[tuple[float, Base]]:
        """Return (mean squared one-step error, base) of each base fitted to the column z (n,), the best first.

        The error is that of the validation rows. With few of them, bases are also fitted to the first part of the
        training rows and scored on the next. Of equal ones the simplest comes first.
        """
        a, b = self.train_end, self.validation_end
        kinds = KINDS if self.kind == "auto" else [self.kind]
        ridges = RIDGES if a > MANY else SMALL_RIDGES
        series = _Series(z, self.table.times, self.table, self.season, self.filled, self.known, ridges)
        splits = [(a, b)]
        if b - a < FEW:
            ends = [*(int(share * a) for share in FOLDS), a]
            splits += [(start, stop) for start, stop in zip(ends, ends[1:]) if start >= 8]
        bases: dict[Any, Base] = {}
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
        scored = [(float(parts.mean()), bases[key]) for key, parts in whole.items() if len(parts)]
        smallest = min((score for score, _ in scored), default=0.0)
        return sorted(scored, key=lambda pair: max(pair[0], smallest * (1 + 1e-9)))

    def best(self, z: np.ndarray) -> Base | None:
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

    def _filling(self, z, limit):
        """The best base whose own forecasts, put into the gaps, stay within ±limit; the column with them; its error."""
        end = self.validation_end
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


def impute(base: Base, z: np.ndarray, drive: np.ndarray, filled: np.ndarray) -> None:
    """Replace z (n,), in place, where it was missing, by the base's forecast from the values before, in time order."""
    backwards = base.weights[::-1].copy()
    for row in np.flatnonzero(filled):
        if row >= base.order:
            z[row] = drive[row] + backwards @ z[row - base.order : row]


def fill_by_season(z: np.ndarray, filled: np.ndarray, period: int | None) -> None:
    """Replace z (n,), in place, where it was missing, by the value one period before."""
    for row in np.flatnonzero(filled) if period else ():
        if row >= period:
            z[row] = z[row - period]


@dataclass(frozen=True)
class Bases:
    """The base forecasts of all targets, and the spread of their errors.

    parts: one a target. spread (h · O,): the root mean square of each output's error on the training rows, in
    standardised units; step by step, column by column. exact (h · O,): True where it is so small that the network has
    nothing to correct; the spread is 1 there. lags: the network also reads the base's error of the row that lies each
    of these numbers of rows before the forecast one.
    """

    parts: tuple[Base, ...]
    spread: np.ndarray
    exact: np.ndarray
    lags: tuple[int, ...] = ()

    SMALLEST = 1e-6  # spread below which there is nothing to correct

    @property
    def order(self) -> int:
        """The number of rows that the bases read."""
        return max(part.order for part in self.parts)

    @property
    def reach(self) -> int:
        """The number of rows before an input row whose values it needs: ``order``, and more for lagged errors."""
        return self.order + max(self.lags, default=1) - 1

    @classmethod
    def of(cls, parts: tuple[Base, ...], spread: np.ndarray, lags: tuple[int, ...] = ()) -> Bases:
        """Return the bases with the ``spread`` (h · O,) of their errors."""
        exact = ~(spread >= cls.SMALLEST)
        return cls(parts, np.where(exact, 1.0, spread), exact, lags)

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        return {
            "parts": [part.to_json() for part in self.parts],
            "spread": np.where(self.exact, 0.0, self.spread).tolist(),
            "lags": list(self.lags),
        }

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any], targets: int, horizon: int) -> Bases:
        """Return the bases that a weights file describes.

        Raises:
            ValueError: for the first fault.
        """
        fields = {
            "parts": schema.listed(schema.MAPPING, targets),
            "spread": schema.Field(
                lambda value: schema.listed(schema.NUMBER, targets * horizon).fits(value) and min(value) >= 0,
                f"a list of {targets * horizon} numbers from 0 up",
            ),
            "lags": schema.Field(
                lambda value: schema.listed(schema.COUNT).fits(value) and max(value, default=1) <= 10 * LONGEST,
                f"a list of whole numbers from 1 to {10 * LONGEST}",
                [],
            ),
        }
        values = schema.check(mapping, fields, "its base")
        return cls.of(
            tuple(map(Base.from_json, values["parts"])), np.array(values["spread"], float), tuple(values["lags"])
        )


def error_lags(table: Table, season: int | None, train_end: int) -> tuple[int, ...]:
    """Return the lags of the base's errors that the network reads: a day and a week, or the season, if the longest is
    no more than ``SHARE`` of the training rows.
    """
    found = periods(table)
    candidates = [found[name] for name in ("day", "week") if name in found] or ([season] if season else [])
    return tuple(lag for lag in candidates if 1 < lag <= SHARE * train_end and lag <= LONGEST)


def describe(bases: Bases, columns: list[str]) -> list[str]:
    """Return a line for each target: which base forecast was chosen."""
    lines = []
    for part, column in zip(bases.parts, columns):
        slots = {"one": "", "clock": f" and {part.slots.count} slots", "month": " and the month"}[part.slots.kind]
        what = {
            "linear": f"linear in the last {part.order} values{slots}",
            "seasonal": f"the value {part.order} rows before",
            "last": "the last value",
            "drift": "the last value and the mean step",
            "mean": "the mean",
        }[part.kind]
        lines.append(f"base        {column}: {what}")
    return lines
