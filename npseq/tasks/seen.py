"""Which rows of a table, and which sequences, a model was trained or validated on; a weights file keeps what tells it.

- With times, the time of the last validation row: rows up to it were seen, later ones are new, whatever their values.
- Without times, hashes of runs of rows. A run that is found in other data says which of the trained rows each of its
  rows is. Single values say nothing: in daily rain nearly all of them come back.
- Of many series, of each a hash of the name and the time of the last row; without times their number, and a hash of the
  first ones.
- Of sequences, a hash of each.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from ..data.panel import Panel
from ..data.sequences import Sequences
from ..data.table import Table
from ..formats import schema

RUN = 8  # rows of a run
MARKS = 512  # hashes in a weights file, at most
DENSE = 128  # of them of the last rows, one after another: new data mostly begin there
VOTES = 3  # runs that must agree on where the trained rows are
AGREE = 0.25  # of the runs that should be found there: a revised value changes ``RUN`` of them
OVERLAP = 3  # rows at times of the training whose values are compared, at least
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, 2⁶⁴ over the golden ratio
DIGITS = 12  # hexadecimal digits of the hash of a sequence
WHOLE = 16  # and of that of all rows

_TIME = schema.Field(
    lambda text: isinstance(text, str) and len(text) == 19 and not np.isnat(_time(text)),
    "a time such as 2024-03-31T14:00:00",
)

_PLACE = schema.Field(lambda k: type(k) is int and abs(k) < 2**62, "a whole number")
_MARK = schema.Field(lambda k: type(k) is int and 0 <= k < 2**32, "a whole number below 2³²")


def _time(text: str) -> np.datetime64:
    try:
        return np.datetime64(text, "s")
    except ValueError:
        return np.datetime64("NaT", "s")


def _hash(digits: int) -> schema.Field:
    return schema.Field(
        lambda text: isinstance(text, str) and len(text) == digits and set(text) <= set("0123456789abcdef"),
        f"{digits} hexadecimal digits",
    )


@dataclass(frozen=True)
class SeenRows(schema.Record):
    """What tells the rows that a model was trained or validated on.

    count: their number; until: the time of the last one, None without times; whole: the hash of them all; places and
    marks: with times, the seconds since 1970 of some of these rows and their hashes; without, the first rows of some
    runs and the hashes of those.
    """

    count: Annotated[int, schema.COUNT]
    until: Annotated[str | None, schema.optional(_TIME)]
    whole: Annotated[str, _hash(WHOLE)]
    places: Annotated[list[int], schema.listed(_PLACE)]
    marks: Annotated[list[int], schema.listed(_MARK)]

    @classmethod
    def of(cls, table: Table, columns: list[int], count: int) -> SeenRows:
        """Return what tells the first ``count`` rows of the table in these columns."""
        bits, times = _content(table, columns), table.times
        if times is None:
            marks = _runs(bits[:count])
            _, first, often = np.unique(marks, return_index=True, return_counts=True)
            places = np.sort(first[often == 1])
        else:
            marks = _mixed(bits[:count])
            missing = np.zeros(count, bool) if table.filled is None else table.filled[:count, columns].all(axis=1)
            places = np.flatnonzero(~missing)
        if len(places) > MARKS:
            spread = np.linspace(0, len(places) - DENSE - 1, MARKS - DENSE).astype(int)
            places = np.concatenate([places[spread], places[-DENSE:]])
        where = places if times is None else times[places].astype("M8[s]").astype(np.int64)
        until = None if times is None else str(times[count - 1].astype("M8[s]"))
        return cls(count, until, _digest(bits[:count]), where.tolist(), marks[places].tolist())

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> SeenRows:
        """Return what a weights file keeps.

        Raises:
            ValueError: for the first fault.
        """
        values = schema.check(mapping, cls.FIELDS, "its rows of the training")
        if len(values["places"]) != len(values["marks"]):
            raise ValueError("its rows of the training have other numbers of places and of marks")
        return cls(**values)

    def find(self, table: Table, columns: list[int]) -> np.ndarray | None:
        """Return (n,) True for each row of the table that the model was trained or validated on; None where that
        cannot be known: without times, if no run of these rows is in the table.
        """
        n, times = len(table.values), table.times
        if self.until is not None:
            return None if times is None else times <= np.datetime64(self.until)
        bits = _content(table, columns)
        if n >= self.count and _digest(bits[: self.count]) == self.whole:
            return np.arange(n) < self.count
        seen = np.zeros(n, bool)
        for start in self._starts(_runs(bits)):
            seen[max(0, start) : max(0, start + self.count)] = True
        return seen if seen.any() else None

    def _starts(self, runs: np.ndarray) -> list[int]:
        """The rows at which the first of the trained rows is, or would be, by the hashes of all runs."""
        places, order = np.array(self.places, int), np.argsort(self.marks)
        sorted_marks = np.array(self.marks, np.uint32)[order]
        at = np.flatnonzero(np.isin(runs, sorted_marks))
        if not len(at):
            return []
        starts, votes = np.unique(at - places[order][np.searchsorted(sorted_marks, runs[at])], return_counts=True)
        found = []
        for start, count in zip(starts[votes >= VOTES].tolist(), votes[votes >= VOTES].tolist()):
            there = (places + start >= 0) & (places + start < len(runs))
            if count >= AGREE * np.count_nonzero(there):
                found.append(start)
        return found

    def differ(self, table: Table, columns: list[int]) -> bool:
        """True if most of the rows at times of the training have other values: those of another series."""
        return self.until is not None and self.is_held(table, columns) is False

    def is_held(self, table: Table, columns: list[int]) -> bool | None:
        """True if the table holds rows of the training; False if it holds others in their place; None if it has no rows
        at their times: it may continue them."""
        times = table.times
        if self.until is None:
            return self.find(table, columns) is not None
        if times is None:
            return None
        seconds, places = times.astype("M8[s]").astype(np.int64), np.array(self.places, np.int64)
        rows = np.minimum(np.searchsorted(seconds, places), len(seconds) - 1)
        same = seconds[rows] == places
        if table.filled is not None:
            same &= ~table.filled[rows][:, columns].all(axis=1)
        marks = _mixed(_content(table, columns)[rows[same]])
        others = np.count_nonzero(marks != np.array(self.marks, np.uint32)[same])
        return None if len(marks) < OVERLAP else bool(2 * others <= len(marks))


def _content(table: Table, columns: list[int]) -> np.ndarray:
    """(n, C) the rows as whole numbers, missing values as one number of their own, however they were filled."""
    values = np.array(table.values[:, columns], np.float64)
    values += 0.0  # −0 is 0
    bits = values.view(np.uint64)
    if table.filled is not None:
        bits[table.filled[:, columns]] = np.uint64(0xFFF8_0000_0000_0001)
    return bits


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """(n,) uint32 hashes of the rows of (n, C) uint64."""
    state = np.zeros(len(numbers), np.uint64)
    for column in numbers.T:
        state = (state ^ column) * MULTIPLIER
        state ^= state >> np.uint64(29)
    return (state >> np.uint64(32)).astype(np.uint32)


def _runs(bits: np.ndarray) -> np.ndarray:
    """The hashes of the runs of ``RUN`` rows that begin at each row: uint32, fewer than rows."""
    rows, n = _mixed(bits).astype(np.uint64), max(0, len(bits) - RUN + 1)
    return _mixed(np.stack([rows[k : n + k] for k in range(RUN)], axis=1))


def _digest(bits: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(bits).astype("<u8", copy=False).data).hexdigest()[:WHOLE]


# ---- many series ----


@dataclass(frozen=True)
class SeenSeries(schema.Record):
    """What tells the rows of many series that a model was trained or validated on.

    count: the rows of all; names: hashes of the names; trained, known: of each series the seconds, or the number, from
    the last row that a network was trained on, and from the last one of all, to ``latest``; marks: without times,
    hashes of the first rows.
    """

    count: Annotated[int, schema.COUNT]
    latest: Annotated[int, _PLACE]
    names: Annotated[list[int], schema.listed(_MARK)]
    trained: Annotated[list[int], schema.listed(_PLACE)]
    known: Annotated[list[int], schema.listed(_PLACE)]
    marks: Annotated[list[int], schema.listed(_MARK)]

    @classmethod
    def of(cls, panel: Panel, column: int, rows: Mapping[int, tuple[int, int]]) -> SeenSeries:
        """Return what tells the rows of these series: of each number the first rows of the training, and of all."""
        ends = np.array([[_clock(panel, k)[n - 1] for n in both] for k, both in rows.items()], np.int64)
        latest = int(ends.max())
        names = [zlib.crc32(panel.ids[k].encode()) for k in rows]
        marks = [_mark(panel, column, k) for k in rows if panel.grids[k] is None and panel.irregular is None]
        trained, known = (latest - ends).T.tolist()
        return cls(sum(n for _, n in rows.values()), latest, names, trained, known, marks)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> SeenSeries:
        """Return what a weights file keeps. Raises ValueError for the first fault."""
        found = cls(**schema.check(mapping, cls.FIELDS, "its rows of the training"))
        if len({len(found.names), len(found.trained), len(found.known), len(found.marks or found.names)}) > 1:
            raise ValueError("its rows of the training are of different numbers of series")
        return found

    def find(self, panel: Panel, column: int) -> np.ndarray:
        """Return (S, 2) how many of the first rows of each series a network was trained on, and the model has known."""
        places, found = {name: j for j, name in enumerate(self.names)}, np.zeros((len(panel), 2), np.int64)
        for k, one in enumerate(panel.ids):
            j = places.get(zlib.crc32(one.encode()))
            if j is not None and (not self.marks or self.marks[j] == _mark(panel, column, k)):
                ends = [self.latest - self.trained[j], self.latest - self.known[j]]
                found[k] = np.searchsorted(_clock(panel, k), ends, side="right")
        return found


def _clock(panel: Panel, k: int) -> np.ndarray:
    """The times (n_k,) of a series as whole numbers, increasing: seconds if they are dates."""
    times = panel.times(k)
    return times.astype("M8[s]").astype(np.int64) if times.dtype.kind == "M" else times


def _mark(panel: Panel, column: int, k: int) -> int:
    return int(_digest(_content(panel.series(k), [column])[:RUN])[:8], 16)


# ---- sequences ----

SEQUENCES = schema.listed(_hash(DIGITS))


def hashes_of(sequences: Sequences, columns: Sequence[str], which: np.ndarray | None = None) -> list[str]:
    """Return a hash of the frames of each sequence, or of the sequences ``which``, in these columns."""
    frames = sequences.frames[:, [sequences.columns.index(name) for name in columns]] + 0.0
    which = np.arange(len(sequences.starts) - 1) if which is None else which
    parts = (np.ascontiguousarray(frames[sequences.starts[s] : sequences.starts[s + 1]]) for s in which)
    return [hashlib.sha256(part.astype("<f8", copy=False).data).hexdigest()[:DIGITS] for part in parts]


def find_sequences(seen: Sequence[str], sequences: Sequences, columns: Sequence[str]) -> np.ndarray:
    """Return (S,) True for each sequence that is in ``seen``; of equal ones as many as are there."""
    left, found = Counter(seen), []
    for one in hashes_of(sequences, columns):
        found.append(left[one] > 0)
        left[one] -= 1
    return np.array(found, bool)
