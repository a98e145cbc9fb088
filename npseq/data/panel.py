"""``Panel``: many series of the same columns, end to end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .content import FIELD_TIMES
from .errors import DataError
from .grid import DAY, Grid, Numbers, after
from .table import Table

ROWS = ("values", "irregular", "filled")  # arrays of all rows
LATE, LATE_ROWS = 0.05, 10  # of the time of the whole panel, and steps: a series that ends earlier has stopped


@dataclass
class Panel:
    """Many series of the same columns, end to end: series k has the rows ``starts[k]`` to ``starts[k + 1]``.

    ids: the S names; values (n, C) float64, missing values filled within each series; columns: their names; starts
    (S + 1,); grids: the steps of each series, whose row j is at ``grids[k].at(j)``, None where its times are irregular;
    irregular (n,) datetime64[s]: all times, if those of a series are; step: the usual time between two rows in seconds,
    or None; filled (n, C) bool, True where a value was missing; the others as ``Table``.
    """

    name: str
    ids: list[str]
    values: np.ndarray
    columns: list[str]
    starts: np.ndarray
    grids: Sequence[Grid | Numbers | None]
    irregular: np.ndarray | None = None
    step: int | None = None
    filled: np.ndarray | None = None
    all_columns: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Table]:
        return (self.series(k) for k in range(len(self.ids)))

    @property
    def lengths(self) -> np.ndarray:
        """(S,) the rows of each series."""
        return np.diff(self.starts)

    def column(self, name: str | int | None) -> int:
        """Return the index in ``values`` of a column, as ``Table.column``. Raises DataError."""
        return self._table(slice(0)).column(name)

    def rows(self, k: int) -> slice:
        """Return the rows of series k."""
        return slice(int(self.starts[k]), int(self.starts[k + 1]))

    def _table(self, rows: slice) -> Table:
        filled = None if self.filled is None else self.filled[rows]
        about = {name: getattr(self, name) for name in ("all_columns", "refused", "kinds")}
        return Table(self.name, self.values[rows], self.columns, filled=filled, **about)

    def series(self, k: int) -> Table:
        """Return series k; its arrays are views. Whole numbers as times are no times of a ``Table``."""
        rows, grid = self.rows(k), self.grids[k]
        table = replace(self._table(rows), ids=[self.ids[k]])
        if isinstance(grid, Grid):
            table.grid = grid
            table.step = grid.step or (None if grid.months else DAY)
            table.start = grid.start if grid.step else None
            table.irregular = None if grid.step else self.times(k)
        elif grid is None and self.irregular is not None:
            table.step, table.irregular = self.step, self.irregular[rows]
        return table

    def times(self, k: int) -> np.ndarray:
        """Return the times (n_k,) of series k: datetime64[s], or int64 where they are whole numbers."""
        grid, rows = self.grids[k], self.rows(k)
        if grid is None:
            return np.arange(rows.stop - rows.start) + 1 if self.irregular is None else self.irregular[rows]
        return grid.at(np.arange(rows.stop - rows.start))

    def times_after(self, k: int, n: int) -> np.ndarray:
        """Return the times (n,) of the rows after the end of series k; irregular ones as ``grid.after`` has them."""
        grid, times = self.grids[k], self.times(k)
        if grid is not None:
            return grid.at(len(times) + np.arange(n))
        if self.irregular is None:
            return len(times) + 1 + np.arange(n)
        return after(times, n, self.step)

    def stopped(self) -> np.ndarray:
        """Return (S,) True for each series that ends well before the last time of the panel."""
        if isinstance(self.grids[0], Numbers) or self.grids[0] is None and self.irregular is None:
            return np.zeros(len(self), bool)
        ends = np.array([self.times(k)[-1] for k in range(len(self))], "M8[s]").astype(np.int64)
        first = min(self.times(k)[0] for k in range(len(self))).astype("M8[s]").astype(np.int64)
        step = self.step or 30 * DAY
        return np.asarray(ends < ends.max() - max(LATE * (ends.max() - first), LATE_ROWS * step))

    def take(self, which: Sequence[int] | np.ndarray) -> Panel:
        """Return a panel of the series of these numbers, in this order."""
        which = np.asarray(which, np.int64)
        rows = np.concatenate([np.arange(self.starts[k], self.starts[k + 1]) for k in which] or [which])
        parts: dict[str, Any] = {"ids": [self.ids[k] for k in which], "grids": [self.grids[k] for k in which]}
        parts |= {name: None if (array := getattr(self, name)) is None else array[rows] for name in ROWS}
        return replace(self, starts=np.append(0, np.cumsum(self.lengths[which])), **parts)

    def without_last(self, n: int | np.ndarray) -> Panel:
        """Return a panel without the last n rows, or n (S,), of each series, which must have more."""
        n = np.broadcast_to(n, len(self))
        kept = np.concatenate([np.arange(a, b - k) for a, b, k in zip(self.starts, self.starts[1:], n)])
        parts: dict[str, Any] = {name: None if (array := getattr(self, name)) is None else array[kept] for name in ROWS}
        return replace(self, starts=self.starts - np.append(0, np.cumsum(n)), **parts)

    def only(self, names: Sequence[str], like: Panel) -> Panel:
        """Return a panel of the columns of another one, which has values of these names only, and of its series.

        Raises:
            DataError: if a column is not there.
        """
        known = self.take([k for k, one in enumerate(self.ids) if one in set(like.ids)])
        values = np.full((len(known.values), len(like.columns)), np.nan)
        for name in names:
            k = known.column(name)
            there = slice(None) if known.filled is None else ~known.filled[:, k]
            values[there, like.columns.index(name)] = known.values[there, k]
        return replace(known, values=values, filled=np.isnan(values), columns=like.columns)

    def append(self, new: Panel) -> Panel:
        """Return a panel with the rows of another one after these, each as ``Table.append``, and its new series.

        Raises:
            DataError: for other columns, or rows that do not follow those of their series.
        """
        if new.columns != self.columns:
            raise DataError(f"rows of the columns {', '.join(new.columns)} given; {', '.join(self.columns)} expected")
        place, tables, grids = {one: k for k, one in enumerate(self.ids)}, list(self), list(self.grids)
        every = [self.times(k) for k in range(len(self))]
        notes: list[tuple[str, str]] = []
        for k, rows in enumerate(new):
            values = rows.values if rows.filled is None else np.where(rows.filled, np.nan, rows.values)
            if (j := place.get(new.ids[k])) is None:
                tables.append(rows)
                grids.append(new.grids[k])
                every.append(new.times(k))
                continue
            grid, times, before = self.grids[j], new.times(k), len(tables[j].notes)
            if isinstance(grid, Numbers):  # in seconds since 1970, as a table has times
                first = np.datetime64(grid.first, "s")
                timed = replace(tables[j], start=first, step=grid.step, grid=Grid(first, grid.step))
                tables[j] = timed.append(values, times.astype("M8[s]"))
            else:
                tables[j] = tables[j].append(values, times if tables[j].times is not None else None)
            own = tables[j].times
            every[j] = every[j] if own is None else own
            notes += [(new.ids[k], note) for note in tables[j].notes[before:]]
        return joined(self, tables, grids, every, summed(notes))

    def fingerprint(self) -> str:
        """Return a hash of the numbers, the names and the times."""
        digest = hashlib.sha256(repr((self.columns, self.ids, self.step, list(self.grids))).encode())
        for array in (self.starts, self.values, self.irregular):
            if array is not None:
                digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()[:16]


def of_table(table: Table) -> Panel:
    """Return the panel of one table; whole numbers in a column ds or timestamp are its times if it has no others."""
    counts = [table.values[:, k] for k, name in enumerate(table.columns) if name in FIELD_TIMES and table.times is None]
    grid = Numbers.of(counts[0]) if counts else table.grid
    parts: dict[str, Any] = {
        name: getattr(table, name) for name in (*ROWS, "columns", "step", "all_columns", "refused")
    }
    return Panel(table.name, table.ids or [table.name], starts=table.starts, grids=[grid], notes=table.notes,
                 kinds=table.kinds, **parts)  # fmt: skip


def joined(like: Panel, tables: Sequence[Table], grids: Sequence[Grid | Numbers | None], times: Sequence[np.ndarray],
           notes: list[str]) -> Panel:  # fmt: skip
    """Return the panel of these tables, end to end, with what else is said of ``like``.

    Args:
        grids, times: of each table; the times are kept where a grid is None.
    """
    irregular = None
    if any(grid is None for grid in grids) and times and all(one.dtype.kind == "M" for one in times):
        irregular = np.concatenate([one.astype("M8[s]") for one in times])
    filled = [np.zeros(one.values.shape, bool) if one.filled is None else one.filled for one in tables]
    return replace(
        like,
        ids=[one.ids[0] for one in tables],
        values=np.concatenate([one.values for one in tables]),
        starts=np.append(0, np.cumsum([len(one.values) for one in tables])),
        grids=list(grids),
        irregular=irregular,
        filled=np.concatenate(filled),
        notes=like.notes + notes,
    )


def summed(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Return what is told of many series: of notes that differ only in numbers the first, and how many more there are.

    Args:
        notes: the name of a series, and a note.
    """
    found: dict[str, list[str]] = {}
    for one, note in notes:
        found.setdefault(re.sub(r"\d", "", note), []).append(f"{one}: {note}")
    return [f"{first}{f' (and {len(more):,} series likewise)' if more else ''}" for first, *more in found.values()]
