"""BaseModel forecasts: what a network corrects. Each is linear in the past, and fixed before the network is trained.

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

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.table import Table
from ..formats import schema
from . import linear
from .calendar_slots import Slots, periods

KINDS = ["linear", "seasonal", "last", "drift", "mean"]
LONGEST = 672  # the most lags, and slots of a period: a week of quarter-hours
SHARE = 0.05


@dataclass(frozen=True)
class BaseModel:
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
        g: np.ndarray = self.intercepts[slots]
        return g if known is None or not self.known.size else np.asarray(g + known @ self.known)

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
    def from_json(cls, mapping: Mapping[str, Any]) -> BaseModel:
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


def _short(array: np.ndarray) -> list[float]:
    """Numbers with 9 significant digits: enough for float32 inputs, and half the length."""
    return [float(f"{value:.9g}") for value in array]


PERSISTENCE = (
    0.7  # of a deviation from the season from row to row; 0, 0.9 and 1 have a greater validation error on the traffic
)


def from_season(season: int) -> BaseModel:
    """Return what fills gaps where no base is fitted: z_t = z_{t−s} + 0.7 (z_{t−1} − z_{t−1−s}), in any unit."""
    weights = np.zeros(season + 1)
    weights[season - 1] = 1.0
    weights[0] += PERSISTENCE
    weights[season] -= PERSISTENCE
    return BaseModel("seasonal", weights, np.zeros(1))


def impute(base: BaseModel, z: np.ndarray, drive: np.ndarray, filled: np.ndarray) -> None:
    """Replace z (n,), in place, where it was missing, by the base's forecast from the values before, in time order."""
    backwards = base.weights[::-1].copy()
    for row in np.flatnonzero(filled):
        if row >= base.order:
            z[row] = drive[row] + backwards @ z[row - base.order : row]


@dataclass(frozen=True)
class BaseModels:
    """The base forecasts of all targets, and the spread of their errors.

    parts: one a target. spread (h · O,): the root mean square of each output's error on the training rows, in
    standardised units; step by step, column by column. exact (h · O,): True where it is so small that the network has
    nothing to correct; the spread is 1 there. lags: the network also reads the base's error of the row that lies each
    of these numbers of rows before the forecast one.
    """

    parts: tuple[BaseModel, ...]
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
    def of(cls, parts: tuple[BaseModel, ...], spread: np.ndarray, lags: tuple[int, ...] = ()) -> BaseModels:
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
    def from_json(cls, mapping: Mapping[str, Any], targets: int, horizon: int) -> BaseModels:
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
            tuple(map(BaseModel.from_json, values["parts"])), np.array(values["spread"], float), tuple(values["lags"])
        )


def error_lags(table: Table, season: int | None, train_end: int) -> tuple[int, ...]:
    """Return the lags of the base's errors that the network reads: a day and a week, or the season, if the longest is
    no more than ``SHARE`` of the training rows.
    """
    found = periods(table)
    candidates = [found[name] for name in ("day", "week") if name in found] or ([season] if season else [])
    return tuple(lag for lag in candidates if 1 < lag <= SHARE * train_end and lag <= LONGEST)


def describe(bases: BaseModels, columns: list[str]) -> list[str]:
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
