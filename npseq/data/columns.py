"""The columns of a user's table: which are numbers, times or text, collected chunk by chunk."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from . import dates
from .content import Content, Growing, Labels, position
from .errors import DataError
from .layout import CONVENTIONS, MISSING, TRUTH, number_form, number_reader
from .sources import TableOptions

CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?|\d{1,2}\.\d\d\.\d\d")
HOURS = re.compile(r"(hour|hr|hh|time|clock|stunde|uhrzeit|zeit|hora|heure)s?", re.I)
PARTS = {  # the names, and the values, of columns that are a time together
    "year|yr|y{1,4}|jahr": "1[5-9]..|2[01]..",
    "month|mon|mo|mm?|monat|quarter|qtr|q": f"0?[1-9]|1[0-2]|Q?[1-4]|{'|'.join(f'{name[:3]}({name[3:]})?' for name in dates.NAMES)}",
    "day|dy|dd?|tag": "0?[1-9]|[12].|3[01]",
    "hour|hr|hh?|stunde": "[01]?.|2[0-4]",
    "minute|min|mn|mm": "[0-5]?.",
    "second|sec|ss?": "[0-5]?.",
}


class Again(Exception):
    """Raised to read once more: what a row further down has shown is now in ``Known``."""


@dataclass
class Known:
    """What is said about a table, and what one pass has shown for the next: cells that the first rows did not foresee,
    numbers that are no times after all, signs in numbers that were tried, and the encodings that are left."""

    time: str | None
    labels: Sequence[str]
    options: TableOptions
    ragged: bool
    cells: list[str] = field(default_factory=list)
    no_time: set[int] = field(default_factory=set)
    tried: set[tuple[str, str | None]] = field(default_factory=set)
    encodings: list[str] = field(default_factory=lambda: ["utf-8-sig", "cp1252", "latin-1"])


class Collector:
    """Chunks of rows on their way to ``Content``; columns are numbered as in the source."""

    def __init__(
        self,
        name: str,
        columns: list[str],
        rows: Any,
        known: Known,
        decimal: str = ".",
        thousands: str | None = None,
    ):
        self.name, self.columns, self.known, self.options, self.done = name, columns, known, known.options, 0
        self.decimal, self.thousands = decimal, thousands
        self.readers = dict.fromkeys(range(len(columns)), number_reader(decimal, thousands))
        self.words: list[str] = []
        self.label_columns = [position(name, columns, label) for label in known.labels]
        self.labels = [Labels() for _ in self.label_columns]
        self.time = self._time_columns(known.time, rows)
        self.dates = dates.TimeReader(name, ", ".join(columns[k] for k in self.time), self.options.date_format)
        self.numeric = [k for k in range(len(columns)) if k not in self.time and k not in self.label_columns]
        self.values = Growing(len(self.numeric))
        self.refused: dict[int, str] = {}
        self.numbers_met: set[int] = set()

    def _time_columns(self, time: str | None, rows: Iterable[Sequence[str]]) -> list[int]:
        if time is not None:
            names = [time] if time in self.columns else str(time).split(",")
            return [position(self.name, self.columns, name.strip()) for name in names]
        cells = [[cell for cell in column if cell.lower() not in MISSING] for column in zip(*rows)]
        free = [
            k for k in range(len(cells)) if k not in self.label_columns and k not in self.known.no_time and cells[k]
        ]
        if form := self.options.date_format:
            return [k for k in free if dates.parse(pd.Series(cells[k], dtype=object), form)[1] is None][:1]
        if parts := self._parts(free, cells):
            return parts
        for written in (True, False):  # times that are numbers only where no column has dates
            found = (
                k
                for k in free
                if cells[k][0].isdigit() != written and dates.looks_like_times(self.columns[k], cells[k])
            )
            if (first := next(found, None)) is None:
                continue
            k = next((k for k in (first, *found) if len(set(cells[k])) > 1), first)  # one day in all rows is no time
            clocks = (j for j in (k + 1, k - 1, *free) if j in free and j != k and self._is_clock(j, cells, cells[k]))
            return [k, *clocks][:2]
        return []

    def _parts(self, free: list[int], cells: list[list[str]]) -> list[int]:
        """The columns of the year, the month (or quarter), the day and so on; [] without a month.

        In a table without names they are the first columns, if their times are in order with equal steps.
        """
        parts: list[int] = []
        for names, values in PARTS.items():
            fits = (
                k for k in free if k not in parts and re.fullmatch(f"{names}|c{len(parts)}", self.columns[k], re.I)
                and all(re.fullmatch(values, cell, re.I) for cell in cells[k])
            )  # fmt: skip
            if (k := next(fits, None)) is None:
                break
            parts.append(k)
        while len(parts) > 1 and self.columns[parts[0]] == "c0":
            joined = self._joined([pd.Series(cells[k], dtype=object) for k in parts], parts)
            read = [dates.parse(joined, order) for order in ("ymd", "ym")]
            if len(joined) > 3 and any(wrong is None and dates.have_equal_steps(times) for times, wrong in read):
                break
            parts.pop()
        return parts if len(parts) > 1 else []

    def _joined(self, columns: list[pd.Series], places: list[int]) -> pd.Series:
        """The parts of each time in one cell, such as 2024-2-13 14:05 or 1990-Q1."""
        cells = columns[0]
        first = next((cell for cell in cells if isinstance(cell, str)), "")
        signs = "-- ::" if first.isdigit() and len(first) <= 4 else " " * len(columns)
        for sign, k, column in zip(signs, places[1:], columns[1:]):
            quarter = self.columns[k][:1] in "Qq" and not column.astype(str).str.contains("Q", case=False).any()
            cells = cells + (sign + "Q" * quarter) + column
        return cells

    def _is_clock(self, k: int, cells: list[list[str]], days: list[str]) -> bool:
        """True if a column has the hours or clock times of dates."""
        if any(":" in day for day in days):
            return False
        if all(CLOCK.fullmatch(cell) for cell in cells[k]):
            return True
        hours = all(re.fullmatch(r"\d|[01]\d|2[0-4]", cell) for cell in cells[k])
        hours = hours or all(re.fullmatch(r"([01]\d|2[0-4])[0-5]\d", cell) for cell in cells[k])
        return hours and bool(HOURS.fullmatch(self.columns[k])) and len(set(days)) < len(days)

    def add(self, frame: pd.DataFrame) -> None:
        """Append a chunk of rows. Raises DataError, or Again."""
        block = np.full((len(frame), len(self.numeric)), np.nan)
        for place, k in enumerate(self.numeric):
            if k not in self.refused:
                block[:, place] = self._numbers(frame.iloc[:, k], k)
        for mark in self.options.na:
            if mark.lower() == "inf":
                block[np.isinf(block)] = np.nan
            elif (number := number_reader(self.decimal, self.thousands)(mark)) is not None:
                block[block == number] = np.nan
        self.values.add(block)
        for column, k in zip(self.labels, self.label_columns):
            cells = text_of(frame.iloc[:, k]).fillna("").tolist()
            column.add(["" if cell.lower() in MISSING or cell in self.options.na else cell for cell in cells])
        if self.time:
            self._add_times([frame.iloc[:, k] for k in self.time])
        self.done += len(frame)

    def _add_times(self, columns: list[pd.Series]) -> None:
        if len(columns) > 1 or not has_times(columns[0]):
            columns = [column if self.strings and column.dtype.kind == "O" else text_of(column) for column in columns]
        cells = self._joined(columns, self.time) if len(columns) > 1 else columns[0]
        wrong = self.dates.add(cells)
        if wrong is not None:  # perhaps a mark of a missing value between blanks
            cells = cells.where(~cells.str.strip().str.lower().isin(MISSING | set(self.options.na)))
            wrong = self.dates.add(cells)
        if wrong is not None:
            row, cell = wrong
            if self.known.time is None and cell.replace(".", "").isdigit():
                self.known.no_time.add(self.time[0])
                raise Again
            form = self.options.date_format
            what = (
                f"of the form {form} expected"
                if form
                else "such as 2024-03-31 14:00 expected; --date-format says its form"
            )
            raise DataError(f"{self.place(row)}, time column {self.dates.name!r} holds {cell[:40]!r}, a time {what}")

    def _numbers(self, column: pd.Series, k: int) -> Any:
        """The numbers of a chunk of a column; NaN if it holds something else, and the reason in ``refused``."""
        if column.dtype.kind in "biuf":
            self.numbers_met.add(k)
            return column.to_numpy(dtype=float, na_value=np.nan)
        if has_times(column) or column.dtype.kind == "m":
            self.refused[k] = f"the column {self.columns[k]!r} of {self.name} holds times, not numbers"
            return np.nan
        numbers, wrong = [], []
        for row, cell in enumerate(text_of(column)):
            number = self._number(cell, self.readers[k])
            if number is None:
                wrong.append(row)
            elif number == number:
                self.numbers_met.add(k)
            numbers.append(number)
        if wrong:
            return self._refused([str(cell).strip() for cell in column.iloc[wrong]], k, column, wrong[0])
        return np.array(numbers, float)

    def _number(self, cell: Any, read: Callable[[str], float | None]) -> float | None:
        """The number in a cell, NaN where it is missing, None if it is something else."""
        if cell != cell:
            return np.nan
        for sign in self.options.strip:
            cell = cell.replace(sign, "").strip()
        if (number := read(cell)) is not None:
            return number
        cell = cell.lower()
        return float(TRUTH[cell]) if cell in TRUTH else np.nan if cell in MISSING else None

    def _refused(self, shown: list[str], k: int, column: pd.Series, row: int) -> Any:
        """NaN, and why a column is not numbers: the first of the cells that are none, ``shown``.

        If all of them are numbers of another form, all is read again; if all cells of the column are, the column.
        """
        others = [one for one in CONVENTIONS if one != (self.decimal, self.thousands)]
        if k in self.numbers_met:
            if self.redecides and all(any(number_form(*one).fullmatch(cell) for one in others) for cell in shown):
                self.known.cells += shown[:1000]
                raise Again
        elif not self.options.decimal and not self.options.thousands:
            fitting = [one for one in others if all(map(number_form(*one).fullmatch, shown))]
            if len({decimal for decimal, _ in fitting}) == 1:
                self.readers[k] = number_reader(*fitting[0])
                self.words.append(f"decimal {fitting[0][0]!r} in {self.columns[k]}")
                return self._numbers(column, k)
        sign = re.fullmatch(r"([^\d\s]{1,3})?\s*[-+]?[\d.,]*\d[.,]?\s*([^\d\s]{1,3})?", shown[0])
        hint = f"; --strip {sign[1] or sign[2]} reads it as a number" if sign and (sign[1] or sign[2]) else ""
        if not hint and k in self.numbers_met and len(set(shown)) == 1:
            hint = f"; if it marks a missing value, say --na {shlex.quote(shown[0])}"
        self.refused[k] = (
            f"{self.place(row)}, column {self.columns[k]!r} holds {shown[0][:40]!r}, a number expected{hint}"
        )
        return np.nan

    redecides = strings = False

    def place(self, row: int) -> str:
        return f"{self.name} row {self.done + row}"

    def content(self, words: list[str]) -> Content:
        """Return all chunks together."""
        columns, values, notes = self.columns, self.values.done(), []
        kept = [column.done() for column in self.labels]
        times, how = self.dates.done() if self.time else (None, "")
        found = np.fmax.reduce(values) if len(values) else values  # NaN where no row has a number
        empty = {k for k, most in zip(self.numeric, found) if np.isnan(most)} - self.refused.keys()
        unnamed = {k for k in empty if columns[k].startswith("Unnamed: ")}
        self.refused |= {
            k: f"{self.name}: the column {columns[k]!r} has no number in it" for k in sorted(empty - unnamed)
        }
        used = [j for j, k in enumerate(self.numeric) if k not in self.refused and k not in unnamed]
        if not used and (self.numeric or not self.labels):
            beside = f"{self.name} has no column of numbers beside {', '.join(columns)}"
            raise DataError(self.refused[min(self.refused)] if self.refused else beside)
        words = [
            *words,
            *self.words,
            how,
            f"time in {' and '.join(columns[k] for k in self.time)}" if len(self.time) > 1 else "",
        ]
        words += [_count(len(columns) - len(unnamed), "column"), _count(len(values), "row")]
        notes.append(f"read as: {', '.join(filter(None, words))}")
        for k in () if self.time else self.refused:
            if dates.HINT.search(columns[k]) and re.search(r"holds '[^']*\d", self.refused[k]):
                name = shlex.quote(columns[k])
                notes.append(f"if {columns[k]} is the time, --time {name} --date-format FORMAT reads it")
        if len(used) < len(self.numeric):
            values = values[:, used]
        keep = self._rows(values, times, kept, notes)
        if keep is not None:
            values, times = values[keep], None if times is None else times[keep]
            kept = [(codes[keep], names) for codes, names in kept]
        return Content(
            values,
            [columns[self.numeric[j]] for j in used],
            [one for k, one in enumerate(columns) if k not in unnamed],
            times,
            {columns[k]: label for k, label in zip(self.label_columns, kept)},
            {columns[k]: why for k, why in sorted(self.refused.items())},
            notes,
        )

    def _rows(self, values: np.ndarray, times: np.ndarray | None, kept: list[Any], notes: list[str]) -> Any:
        """The rows to keep, or None for all: those without a time, and empty ones at the end, are left out and told."""
        if times is not None:
            there = ~np.isnat(times)
            if not there.any():
                raise DataError(f"{self.name}: the time column {self.dates.name!r} is empty")
            if there.all():
                return None
            notes.append(f"{np.count_nonzero(~there):,} rows have no time: left out")
            return there
        n = len(values)
        while n and np.isnan(values[n - 1]).all() and all(codes[n - 1] < 0 for codes, _ in kept):
            n -= 1
        if n == len(values) or not values.shape[1]:
            return None
        notes.append(f"{len(values) - n:,} empty rows at the end left out")
        return slice(0, n)


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' * (n != 1)}"


def has_times(column: pd.Series) -> bool:
    """True for a column of pandas' times or periods."""
    return column.dtype.kind == "M" or isinstance(column.dtype, pd.PeriodDtype)


def text_of(column: pd.Series) -> pd.Series:
    """The cells as text, NaN where missing; whole numbers without a decimal point."""
    if column.dtype.kind == "f" and (column.dropna().astype(float) % 1 == 0).all():
        column = column.astype(float).astype("Int64")
    there = column.notna()
    return column.astype(object).where(there).map(str, na_action="ignore").astype(object).str.strip()
