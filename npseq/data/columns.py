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
from .layout import CONVENTIONS, MISSING, NUMBER, TRUTH, number_form, plain_signs
from .sources import TableOptions
from .time_forms import CLOCK_TIME

HOURS = re.compile(r"(hour|hr|hh|time|clock|stunde|uhrzeit|zeit|hora|heure)s?", re.I)
PARTS = ("year|yr|y{1,4}|jahr", "month|mon|mo|mm?|monat|quarter|qtr|q", "day|dy|dd?|tag", "hour|hr|hh?|stunde",
         "minute|min|mn|mm", "second|sec|ss?")  # fmt: skip  # the names of columns that are a time together
YEARS = re.compile(r"1[5-9]\d\d|2[01]\d\d")
AMOUNT = re.compile(r"([^\d\s+-]{1,3})?\s*[-+]?[\d.,]*\d[.,]?\s*([^\d\s]{1,3})?")


class Again(Exception):
    """Raised to read once more: what a row further down has shown is now in ``Known``."""


@dataclass
class Known:
    """What is said about a table, and what one pass has shown for the next: cells that the first rows did not foresee,
    and numbers that are no times after all."""

    time: str | None
    labels: Sequence[str]
    options: TableOptions
    ragged: bool
    cells: list[str] = field(default_factory=list)
    no_time: set[int] = field(default_factory=set)


class Collector:
    """Chunks of rows on their way to ``Content``; columns are numbered as in the source.

    Args:
        columns: their names. rows: the first rows, as text. signs: decimal and thousands signs in numbers.
        place: returns the words for a row by its number from 0, such as "a.csv line 7".
    """

    def __init__(
        self,
        name: str,
        columns: list[str],
        rows: Iterable[Sequence[str]],
        known: Known,
        place: Callable[[int], str],
        signs: tuple[str, str | None] = (".", None),
    ) -> None:
        self.name, self.columns, self.known, self.options, self.done = name, columns, known, known.options, 0
        self.place, self.signs = place, dict.fromkeys(range(len(columns)), signs)
        self.marks = MISSING | {mark.lower() for mark in known.options.na}
        self.words: list[str] = []
        self.label_columns = [position(name, columns, label) for label in known.labels]
        self.labels = [Labels() for _ in self.label_columns]
        self.time = self._time_columns(rows)
        self.dates = dates.TimeReader(name, ", ".join(columns[k] for k in self.time), self.options.date_format)
        self.numeric = [k for k in range(len(columns)) if k not in self.time and k not in self.label_columns]
        self.values = Growing(len(self.numeric))
        self.refused: dict[int, str] = {}
        self.met: set[int] = set()  # columns in which a number was met

    def _time_columns(self, rows: Iterable[Sequence[str]]) -> list[int]:
        if (time := self.known.time) is not None:
            names = [time] if time in self.columns else str(time).split(",")
            return [position(self.name, self.columns, name.strip()) for name in names]
        cells = [[cell for cell in column if cell.lower() not in MISSING] for column in zip(*rows)]
        taken = self.known.no_time.union(self.label_columns)
        free = [k for k in range(len(cells)) if k not in taken and cells[k]]
        if form := self.options.date_format:
            return [k for k in free if dates.parse(pd.Series(cells[k], dtype=object), form)[1] is None][:1]
        if parts := self._parts(free, cells):
            return parts
        for digits in (False, True):  # times that are numbers only where no column has dates
            group = [k for k in free if cells[k][0].isdigit() == digits]
            if found := [k for k in group if dates.looks_like_times(self.columns[k], cells[k])]:
                k = next((k for k in found if len(set(cells[k])) > 1), found[0])  # one day in all rows is no time
                near = [j for j in (k + 1, k - 1, *free) if j in free and j != k]
                return [k, *(j for j in near if self._is_clock(j, cells, cells[k]))][:2]
        return []

    def _parts(self, free: list[int], cells: list[list[str]]) -> list[int]:
        """The columns of the year, the month (or quarter), the day and so on; [] without a month.

        In a table without names they are the first columns, if their times are in order with equal steps.
        """
        parts: list[int] = []
        for names in PARTS:
            rest = (k for k in free if k not in parts)
            k = next((k for k in rest if re.fullmatch(f"{names}|c{len(parts)}", self.columns[k], re.I)), None)
            if k is None or not parts and not all(map(YEARS.fullmatch, cells[k])):
                break
            parts.append(k)
        while len(parts) > 1:
            joined = self._joined([pd.Series(cells[k], dtype=object) for k in parts], parts)
            if self.columns[parts[0]] != "c0":
                fits = dates.looks_like_times("", joined.tolist())
            else:
                read = [dates.parse(joined, order) for order in ("ymd", "ym")]
                fits = len(joined) > 3 and any(wrong is None and dates.have_equal_steps(times) for times, wrong in read)
            if fits:
                return parts
            parts.pop()
        return []

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
        hours = all(re.fullmatch(r"\d|([01]\d|2[0-4])([0-5]\d)?", cell) for cell in cells[k])
        hours = hours and bool(HOURS.fullmatch(self.columns[k])) and len(set(days)) < len(days)
        return hours or all(CLOCK_TIME.fullmatch(cell) for cell in cells[k])

    def add(self, frame: pd.DataFrame) -> None:
        """Append a chunk of rows. Raises DataError, or Again."""
        block = np.full((len(frame), len(self.numeric)), np.nan)
        for place, k in enumerate(self.numeric):
            if k not in self.refused:
                block[:, place] = self._numbers(frame.iloc[:, k], k)
        if "inf" in self.marks:
            block[np.isinf(block)] = np.nan
        self.values.add(block)
        for column, k in zip(self.labels, self.label_columns):
            cells = text_of(frame.iloc[:, k]).str.strip()
            column.add(cells.mask(cells.str.lower().isin(self.marks)).fillna("").tolist())
        if self.time:
            self._add_times([frame.iloc[:, k] for k in self.time])
        self.done += len(frame)

    def _add_times(self, columns: list[pd.Series]) -> None:
        if len(columns) > 1 or not has_times(columns[0]):
            columns = [text_of(column) for column in columns]
        cells = self._joined(columns, self.time) if len(columns) > 1 else columns[0]
        wrong = self.dates.add(cells)
        if wrong is not None:  # perhaps a mark of a missing value between blanks
            cells = cells.mask(cells.str.strip().str.lower().isin(self.marks))
            wrong = self.dates.add(cells)
        if wrong is not None:
            row, cell = wrong
            if self.known.time is None and dates.NUMBER.fullmatch(cell):
                self.known.no_time.add(self.time[0])
                raise Again
            what = "a time such as 2024-03-31 14:00 expected; --date-format says its form"
            if form := self.options.date_format:
                what = f"a time of the form {form} expected"
            place = self.place(self.done + row)
            raise DataError(f"{place}, time column {self.dates.name!r} holds {cell[:40]!r}, {what}")

    def _numbers(self, column: pd.Series, k: int) -> Any:
        """The numbers of a chunk of a column; NaN if it holds something else, and the reason in ``refused``."""
        if column.dtype.kind in "biuf":
            self.met.add(k)
            values = column.to_numpy(dtype=float, na_value=np.nan)
        elif has_times(column) or column.dtype.kind == "m":
            self.refused[k] = f"the column {self.columns[k]!r} of {self.name} holds times, not numbers"
            return np.nan
        else:
            cells = text_of(column).str.strip().reset_index(drop=True)
            for sign in self.options.strip:
                cells = cells.str.replace(sign, "", regex=False).str.strip()
            lower = cells.str.lower()
            cells = lower.map(TRUTH).fillna(cells).mask(lower.isin(self.marks)).dropna()
            if not self._fit(cells, k):
                return np.nan
            values = np.full(len(column), np.nan)
            values[cells.index] = cells.str.translate(plain_signs(*self.signs[k])).astype(float)
            self.met |= {k} if len(cells) else set()
        for mark in self.options.na:
            if number_form(*self.signs[k]).fullmatch(mark):
                values = np.where(values == float(mark.translate(plain_signs(*self.signs[k]))), np.nan, values)
        return values

    def _fit(self, cells: pd.Series, k: int) -> bool:
        """True if these cells are numbers of the form of their column. If they have another form, the column takes it; where
        that comes too late, all is read again. Otherwise the reason is put into ``refused``."""
        wrong = cells[~cells.str.fullmatch(number_form(*self.signs[k])).astype(bool)]
        if wrong.empty:
            return True
        shown, said = wrong.iloc[0], {self.options.decimal, self.options.thousands} - {None}
        if k in self.met or len(wrong) < len(cells):
            self.met.add(k)
            if len(said) < 2 and not self.known.cells and wrong.str.fullmatch(NUMBER).all():
                self.known.cells += wrong[:1000].tolist()
                raise Again
        elif not said:
            fitting = [one for one in CONVENTIONS if wrong.str.fullmatch(number_form(*one)).all()]
            if len({decimal for decimal, _ in fitting}) == 1:
                self.signs[k] = fitting[0]
                self.words.append(f"decimal {fitting[0][0]!r} in {self.columns[k]}")
                return True
        sign = AMOUNT.fullmatch(shown)
        hint = f"; --strip {sign[1] or sign[2]} reads it as a number" if sign and (sign[1] or sign[2]) else ""
        if not hint and k in self.met and wrong.nunique() == 1:
            hint = f"; if it marks a missing value, say --na {shlex.quote(shown)}"
        place = self.place(self.done + int(wrong.index[0]))
        self.refused[k] = f"{place}, column {self.columns[k]!r} holds {shown[:40]!r}, a number expected{hint}"
        return False

    def content(self, words: list[str]) -> Content:
        """Return all chunks together."""
        columns, values = self.columns, self.values.done()
        kept = [column.done() for column in self.labels]
        times, how = self.dates.done() if self.time else (None, "")
        found = np.fmax.reduce(values) if len(values) else values  # NaN where no row has a number
        empty = {k for k, most in zip(self.numeric, found) if np.isnan(most)} - self.refused.keys()
        unnamed = {k for k in empty if columns[k].startswith("Unnamed: ")}
        for k in sorted(empty - unnamed):
            self.refused[k] = f"{self.name}: the column {columns[k]!r} has no number in it"
        used = [j for j, k in enumerate(self.numeric) if k not in self.refused and k not in unnamed]
        if not used and (self.numeric or not self.labels):
            beside = f"{self.name} has no column of numbers beside {', '.join(columns)}"
            raise DataError(self.refused[min(self.refused)] if self.refused else beside)
        several = f"time in {' and '.join(columns[k] for k in self.time)}" if len(self.time) > 1 else ""
        counts = _count(len(columns) - len(unnamed), "column"), _count(len(values), "row")
        notes = [f"read as: {', '.join(filter(None, [*words, *self.words, how, several, *counts]))}"]
        for k in () if self.time else self.refused:
            if dates.HINT.search(columns[k]) and re.search(r"holds '[^']*\d", self.refused[k]):
                name = shlex.quote(columns[k])
                notes.append(f"if {columns[k]} is the time, --time {name} --date-format FORMAT reads it")
        values = values if len(used) == len(self.numeric) else values[:, used]
        keep = self._rows(values, times, kept, notes)
        return Content(
            values[keep],
            [columns[self.numeric[j]] for j in used],
            [one for k, one in enumerate(columns) if k not in unnamed],
            None if times is None else times[keep],
            {columns[k]: (codes[keep], names) for k, (codes, names) in zip(self.label_columns, kept)},
            {columns[k]: why for k, why in sorted(self.refused.items())},
            notes,
        )

    def _rows(self, values: np.ndarray, times: np.ndarray | None, kept: list[Any], notes: list[str]) -> Any:
        """The rows to keep: those without a time, and empty ones at the end, are left out and told."""
        n = len(values)
        if times is not None:
            there = ~np.isnat(times)
            if not there.any():
                raise DataError(f"{self.name}: the time column {self.dates.name!r} is empty")
            if there.all():
                return slice(n)
            notes.append(f"{np.count_nonzero(~there):,} rows have no time: left out")
            return there
        while values.shape[1] and n and np.isnan(values[n - 1]).all() and all(codes[n - 1] < 0 for codes, _ in kept):
            n -= 1
        if n < len(values):
            notes.append(f"{len(values) - n:,} empty rows at the end left out")
        return slice(n)


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' * (n != 1)}"


def has_times(column: pd.Series | pd.Index) -> bool:
    """True for a column, or an index, of pandas' times or periods."""
    return column.dtype.kind == "M" or isinstance(column.dtype, pd.PeriodDtype)


def text_of(column: pd.Series) -> pd.Series:
    """The cells as text, NaN where missing; whole numbers without a decimal point."""
    if pd.api.types.infer_dtype(column, skipna=True) == "string":
        return column.astype(object)
    if column.dtype.kind == "f" and (column.dropna().astype(float) % 1 == 0).all():
        column = column.astype(float).astype("Int64")
    there = column.notna()
    return column.astype(object).where(there).map(str, na_action="ignore").astype(object)
