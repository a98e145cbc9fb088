"""The strict reader of shipped files, streams and plain files: commas, a header, decimal points, ISO times; no guess."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from .content import Content, Growing, Labels, id_columns, position
from .errors import DataError
from .sources import TableOptions

ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d)?)?)?Z?")
LETTER = re.compile(r"[^\W\d]")  # a header has names
ROWS = 10_000  # rows that are in memory as text at one time


class StrictReader:
    """Blocks of rows from ``lines``, the first of them the header. ``time``: by default the first column whose first
    cell is an ISO time; ``labels``: columns kept as text, None: those that name series. Raises DataError, with the line,
    for any other form."""

    def __init__(
        self, lines: Iterable[str], name: str, time: str | None = None, labels: Sequence[str] | None = ()
    ) -> None:
        self.name, self.done, rows = name, 0, csv.reader(lines)
        self.columns, first = next(rows, []), next(rows, None)
        if first is None or len({*self.columns, ""}) <= len(self.columns) or not LETTER.search("".join(self.columns)):
            raise DataError(f"{name}: a header line of different names and rows of numbers expected")
        self._rows = chain([first], rows)
        dates = (k for k, cell in enumerate(first[: len(self.columns)]) if ISO.fullmatch(cell))
        self.time = next(dates, None) if time is None else position(name, self.columns, time)
        labels = id_columns(name, self.columns, TableOptions()) if labels is None else labels
        self.labels = [position(name, self.columns, label) for label in labels]
        self.numeric = [k for k in range(len(self.columns)) if k != self.time and k not in self.labels]

    def blocks(self, size: int = 1) -> Iterator[tuple[np.ndarray | None, np.ndarray, list[tuple[str, ...]]]]:
        """Yield the times (m,) datetime64[s] or None, values (m, C) and the cells of each label of up to size rows."""
        while chunk := list(islice(self._rows, size)):
            for row, cells in enumerate(chunk, self.done + 2):
                if len(cells) != len(self.columns):
                    raise DataError(f"{self.name} line {row} has {len(cells)} fields; {len(self.columns)} expected")
            columns: list[tuple[str, ...]] = list(zip(*chunk))
            values = np.empty((len(chunk), len(self.numeric)))
            for place, k in enumerate(self.numeric):
                values[:, place] = self._parse(columns[k], k, _numbers)
            times = None if self.time is None else self._parse(columns[self.time], self.time, _times)
            yield times, values, [columns[k] for k in self.labels]
            self.done += len(chunk)

    def _parse(self, cells: Sequence[str], k: int, parse: Callable[[Sequence[str]], Any]) -> Any:
        try:
            return parse(cells)
        except ValueError:
            if len(cells) > 1:  # find the cell
                return [self._parse([cell], k, parse) for self.done, cell in enumerate(cells, self.done)]
            expected = "an ISO time" if parse is _times else "a number"
            what = f"line {self.done + 2}, column {self.columns[k]!r} holds {cells[0][:40]!r}"
            raise DataError(f"{self.name} {what}; {expected} expected") from None


def _numbers(cells: Sequence[str]) -> list[float]:
    return list(map(float, [cell.replace("_", "no number") or "nan" for cell in cells]))


def _times(cells: Sequence[str]) -> np.ndarray:
    return np.array([cell.rstrip("Z") if ISO.fullmatch(cell) else "no time" for cell in cells], "datetime64[s]")


def read_strict(path: str, name: str, time: str | None = None, labels: Sequence[str] | None = ()) -> Content:
    """Read a whole file (UTF-8). Raises DataError as ``StrictReader``."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = StrictReader(file, name, time, labels)
        values, dates, kept = (
            Growing(len(reader.numeric)),
            Growing(1, np.int64),
            [Labels(labels is None) for _ in reader.labels],
        )
        for times, block, cells in reader.blocks(ROWS):
            values.add(block)
            if times is not None:
                dates.add(times.astype(np.int64)[:, None])
            for label, column in zip(kept, cells):
                label.add(column)
    names = [[reader.columns[k] for k in places] for places in (reader.numeric, reader.labels)]
    when = None if reader.time is None else dates.done()[:, 0].view("datetime64[s]")
    found = Content(
        values.done(), names[0], reader.columns, when, dict(zip(names[1], (label.done() for label in kept)))
    )
    return found if reader.time is None else found._replace(time=[reader.columns[reader.time]])
