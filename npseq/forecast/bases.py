"""The base forecasts of all targets, and what the network reads of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.table import Table
from ..formats import schema
from .base_model import LONGEST, AnyBase, Combination, base_from_json, shown
from .calendar_slots import periods

SAME_TIME = {"day": "same time yesterday", "week": "same time last week", "year": "same time last year"}
MANY = 10  # targets: of more a summary is printed
SHARE = 0.05  # of the training rows: the longest lag of the base's errors that the network reads


@dataclass(frozen=True)
class BaseModels:
    """The base forecasts of all targets, and the spread of their errors.

    parts: one a target. spread (h · O,): the root mean square of each output's error on the training rows, in
    standardised units; step by step, column by column. exact (h · O,): True where it is so small that the network has
    nothing to correct; the spread is 1 there. lags: the network also reads the base's error of the row that lies each
    of these numbers of rows before the forecast one.
    """

    parts: tuple[AnyBase, ...]
    spread: np.ndarray
    exact: np.ndarray
    lags: tuple[int, ...] = ()

    SMALLEST = 1e-6  # spread below which there is nothing to correct

    @property
    def order(self) -> int:
        """The number of rows that the bases read."""
        return max(part.order for part in self.parts)

    @property
    def needs_times(self) -> bool:
        """True if a forecast depends on the times of the rows."""
        return any(part.needs_times for part in self.parts)

    @property
    def reach(self) -> int:
        """The number of rows before an input row whose values it needs: ``order``, and more for lagged errors."""
        return self.order + max(self.lags, default=1) - 1

    @classmethod
    def of(cls, parts: tuple[AnyBase, ...], spread: np.ndarray, lags: tuple[int, ...] = ()) -> BaseModels:
        """Return the base models, given the root mean squares ``spread`` (h · O,) of their errors."""
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
            tuple(map(base_from_json, values["parts"])), np.array(values["spread"], float), tuple(values["lags"])
        )


def error_lags(table: Table, season: int | None, train_end: int) -> tuple[int, ...]:
    """Return the lags of the base's errors that the network reads: a day and a week, or the season, if the longest is
    no more than ``SHARE`` of the training rows.
    """
    found = periods(table)
    candidates = [found[name] for name in ("day", "week") if name in found] or ([season] if season else [])
    return tuple(lag for lag in candidates if 1 < lag <= SHARE * train_end and lag <= LONGEST)


def describe(bases: BaseModels, columns: list[str], table: Table | None = None) -> list[str]:
    """Return a line for each target of the ``table``, of more than ``MANY`` for the first ones: which base forecast was
    chosen."""
    words = {} if table is None else {rows: SAME_TIME[name] for name, rows in periods(table).items()}
    lines, count = [], len(columns) if len(columns) <= MANY else 3
    for part, column in zip(bases.parts[:count], columns):
        whole = ""
        if isinstance(part, Combination):
            whole = f"{len(part.parts)} of {part.tried}, "
        lines.append(
            f"base        {column}: {whole}{', '.join(shown(part, words)[:3])}" + ", …" * (len(part.members) > 3)
        )
    return lines + [f"            and {len(columns) - count} more targets"] * (len(columns) > count)
