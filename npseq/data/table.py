"""``Table``: columns of numbers in time order, without missing values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .errors import DataError, no_column
from .grid import Grid


@dataclass
class Table:
    """Columns of numbers in time order.

    values (n, C) float64, missing values filled; columns: their names; step: the usual time between two rows in
    seconds, or None (months are not equal in seconds); start: the time of the first row, if all rows are ``step``
    apart; irregular (n,) datetime64[s], their times if they are not; grid: the equal steps in the calendar, or None;
    filled (n, C) bool, True where a value was missing; all_columns: the names in the source, in its order; counters:
    columns that only count the rows; refused: name to message, of the columns without numbers; notes: lines on what was
    found and done.
    """

    name: str
    values: np.ndarray
    columns: list[str]
    step: int | None = None
    start: np.datetime64 | None = None
    irregular: np.ndarray | None = None
    filled: np.ndarray | None = None
    all_columns: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    grid: Grid | None = None
    counters: list[str] = field(default_factory=list)

    @property
    def times(self) -> np.ndarray | None:
        """(n,) datetime64[s], or None for a table without a time column."""
        if self.start is None:
            return self.irregular
        return self.start + np.arange(len(self.values)) * np.timedelta64(self.step, "s")

    @property
    def offset(self) -> str | None:
        """pandas' name of the step, such as "h", "B" or "MS"; None for irregular times or a step without a name."""
        return None if self.grid is None else self.grid.name

    def times_after(self, n: int) -> np.ndarray | None:
        """Return the times (n,) datetime64[s] of the rows after the end, or None where they are not known."""
        return None if self.grid is None else self.grid.at(len(self.values) + np.arange(n))

    def column(self, name: str | int | None) -> int:
        """Return the index in ``values`` of a column given by name, or by its number in the source from 0.

        None is the first column beside the time and those that count rows.

        Raises:
            DataError: listing the available columns, or saying what is wrong with the requested one.
        """
        names = self.all_columns or self.columns
        if name is None:
            numbers = [name for name in names if name in self.columns or name in self.refused]
            name = next((name for name in numbers if name not in self.counters), numbers[0])
        if name not in names:
            if not str(name).isdigit() or int(name) >= len(names):
                raise no_column(self.name, name, self.columns)
            name = names[int(name)]
        if name not in self.columns:
            raise DataError(self.refused.get(name, f"the column {name!r} of {self.name} holds times, not numbers"))
        return self.columns.index(name)

    def first(self, rows: int) -> Table:
        """Return a table of the first ``rows`` rows. The arrays are views, not copies."""
        parts: dict[str, Any] = {"values": self.values[:rows]}
        for name in ("irregular", "filled"):
            if (array := getattr(self, name)) is not None:
                parts[name] = array[:rows]
        return replace(self, **parts)

    def fingerprint(self) -> str:
        """Return a hash of the numbers and the times, to tell whether a run is continued on the same data."""
        digest = hashlib.sha256(repr((self.columns, self.step, str(self.start))).encode())
        digest.update(np.ascontiguousarray(self.values).data)
        if self.irregular is not None:
            digest.update(np.ascontiguousarray(self.irregular.view(np.int64)).data)
        return digest.hexdigest()[:16]
