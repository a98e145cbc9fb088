"""``Table``: columns of numbers in time order, without missing values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..formats.messages import argument
from .errors import DataError, no_column
from .grid import MOST_ROWS, Grid
from .missing import fill_column

NEVER = {"counter": "counter", "elapsed": "elapsed time", "part of time": "part of the time", "constant": "constant",
         "circle": "counts in circles", "series": "tells series apart"}  # fmt: skip  # kinds that are no target unless named
TARGETS = ("measurement", "unread"), ("flag",), ("circle",)  # kinds that can be forecast, the likeliest first
BLOCK = 1 << 16  # rows that are hashed at a time


@dataclass
class Table:
    """Columns of numbers in time order.

    values (n, C) float64, missing values filled; columns: their names; step: the usual time between two rows in
    seconds, or None (months are not equal in seconds); start: the time of the first row, if all rows are ``step``
    apart; irregular (n,) datetime64[s], their times if they are not; grid: the equal steps in the calendar, or None;
    filled (n, C) bool, True where a value was missing; all_columns: the names in the source, in its order; refused: name to message, of the columns without numbers; notes: lines on what was
    found and done; kinds: name to what the column is (``roles.py``); ids: the name of the series, if the source names it.
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
    kinds: dict[str, str] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)

    @property
    def starts(self) -> np.ndarray:
        """(2,) the first row and the end: a table is one series of a ``Panel``."""
        return np.array([0, len(self.values)])

    @property
    def counters(self) -> list[str]:
        """The columns that are no target unless they are named: they count, do not change, or are parts of the time."""
        return [name for name in self.columns if self.kinds.get(name) in NEVER]

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

        None is the first column that can be a series: a measurement, or else a flag, or else what counts in circles.

        Raises:
            DataError: listing the available columns, or saying what is wrong with the requested one; if no column can be a
                series, with what each of them is.
        """
        names = self.all_columns or self.columns
        if name is None:
            kinds = {one: self.kinds.get(one, "measurement") for one in names}
            usable = [one for kind in TARGETS for one in names if kinds[one] in kind]
            if not usable:
                what = ", ".join(f"{one} ({NEVER.get(kind, kind)})" for one, kind in kinds.items())
                raise DataError(
                    f"{self.name} has no column that can be forecast: {what}; name one with {argument('target')}"
                )
            name = usable[0]
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

    def append(self, values: np.ndarray, times: np.ndarray | None = None) -> Table:
        """Return a table with further rows; this one is not changed.

        Rows at times that the table has correct it: a value that is given replaces the one that is there. Missing times
        before new ones get empty rows. Missing values are filled from the values before them. The notes tell all this.

        Args:
            values: (m, C), NaN where one is missing. times: (m,) datetime64, needed if the table has times.

        Raises:
            DataError: for rows without times, at times before the first one or off the steps of the table, or so far
                ahead that most of the rows between would be empty.
        """
        values, times = np.asarray(values, np.float64), None if self.times is None else times
        if times is None and self.times is not None:
            raise DataError(f"rows without times given; {self.name} has times")
        k, total, moved, every = self._places(len(values), times)
        new, filled = np.full((total, values.shape[1]), np.nan), np.ones((total, values.shape[1]), bool)
        old = np.zeros(total, bool)
        new[moved], filled[moved], old[moved] = self.values, False if self.filled is None else self.filled, True
        given, places, notes = ~np.isnan(values), np.unique(k), []
        if again := np.count_nonzero(old[places]):
            differ = np.count_nonzero(given & ~filled[k] & (new[k] != values))
            notes.append(
                f"{again:,} rows were there already; {differ:,} of their values differ: the newer ones are taken"
            )
        if repeated := len(k) - len(places):
            notes.append(f"{repeated:,} new rows have a duplicate time; the last of each was kept")
        if missing := total - np.count_nonzero(old) - np.count_nonzero(~old[places]):
            notes.append(f"{missing:,} times are missing; an empty row was inserted for each")
        first = min(int(k.min(initial=total)), int(np.append(old, False).argmin()))  # whose values may change
        for column, name in enumerate(self.columns):
            there = k[given[:, column]]
            new[there, column], filled[there, column] = values[given[:, column], column], False  # the last one counts
            if gaps := np.count_nonzero(filled[places, column]):
                notes.append(f"{gaps:,} gaps in new rows of {name} filled from the values before them")
            start = first - 1 if first and not filled[:first, column].all() else 0
            absent = filled[start:, column].copy()
            absent[:1] &= start == 0  # filled itself from the values before
            fill_column(new[start:, column], absent, "past")
        irregular = self.irregular if self.irregular is None else every
        return replace(self, values=new, filled=filled, irregular=irregular, notes=self.notes + notes)

    def _places(
        self, m: int, times: np.ndarray | None
    ) -> tuple[np.ndarray, int, np.ndarray | slice, np.ndarray | None]:
        """Where m new rows go: their places, the number of all rows, the places of the old ones, and all times."""
        n, own, grid = len(self.values), self.times, self.grid
        if own is None or times is None:
            return n + np.arange(m), n + m, slice(n), None
        if grid is None and self.start is None:
            every = np.union1d(own, times.astype(own.dtype))
            return np.searchsorted(every, times.astype(own.dtype)), len(every), np.searchsorted(every, own), every
        grid = grid or Grid(own[0], self.step)
        k = grid.index(times)
        apart = f"{self.step:,} s" if self.step else f"the step {grid.name}"
        for wrong, why in (
            (k < 0, f"it lies before the first row, {own[0]}"),
            (
                ~grid.holds(times, k),
                f"it is off the steps of {self.name}, whose rows are {apart} apart from {own[0]} on",
            ),
        ):
            if wrong.any():
                raise DataError(f"a row at {times[int(wrong.argmax())].astype('M8[s]')} given: {why}")
        total = max(n, int(k.max(initial=0)) + 1)
        if total >= n + m and total > MOST_ROWS * (n + m):
            raise DataError(
                f"a row at {times[int(k.argmax())].astype('M8[s]')} given, {total - n:,} rows after the last one, "
                f"{own[-1]}; of the rows between only {m - 1:,} are given"
            )
        return k, total, slice(n), None if self.irregular is None else grid.at(np.arange(total))

    def fingerprint(self) -> str:
        """Return a hash of the numbers and the times, to tell whether a run is continued on the same data."""
        digest = hashlib.sha256(repr((self.columns, self.step, str(self.start))).encode())
        for row in range(0, len(self.values), BLOCK):  # by rows, as a mapped file is read: it may have become shorter
            digest.update(np.ascontiguousarray(self.values[row : row + BLOCK]).data)
        if self.irregular is not None:
            digest.update(np.ascontiguousarray(self.irregular.view(np.int64)).data)
        return digest.hexdigest()[:16]
