"""The columns of a user's table, collected chunk by chunk: numbers, times or text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..formats.messages import Message, argument
from . import dates
from .content import Content, Growing, Labels, id_columns, position
from .errors import DataError
from .numbers import (
    CODED,
    CONVENTIONS,
    MISSING,
    NAMED,
    NUMBER,
    PADDED,
    TRUTH,
    hold_two_values,
    number_form,
    unit_of,
    value_of,
    values_of,
)
from .sources import TableOptions
from .time_columns import TimeColumns, joined

AMOUNT = re.compile(rf"[^\d\s]{{0,4}}\s?(?:{NUMBER.pattern})\s?[^\d\s]{{0,4}}", re.I)
WORDS = re.compile(
    r"\d+|(?<![a-z])(?:am|pm|[a-z]{3}day|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)(?![a-z])", re.I
)
DATE_DIGITS = 3  # of 7 Mar 24; the number of a day alone has fewer
MOST_TEXTS = 5000  # different cells of a column of text that may tell several series apart


@dataclass
class Known:
    """What is said about a table, and what the first of two passes has shown for the second.

    cells: numbers of a form that the first rows did not show; no_time: columns whose numbers are no times after all;
    encoding: of the letters further down; names: True if ``labels`` name series. second: True in the second pass. again: True if the first was in vain.
    """

    time: str | None
    labels: Sequence[str] | None
    options: TableOptions
    ragged: bool
    cells: list[str] = field(default_factory=list)
    no_time: set[int] = field(default_factory=set)
    encoding: str | None = None
    names: bool = False
    second: bool = False
    again: bool = False


class Collector:
    """Chunks of rows on their way to ``Content``; columns are numbered as in the source.

    Args:
        columns: their names. rows: the first rows, as text. signs: decimal and thousands signs in numbers.
        places: returns the words for rows, given by their numbers from 0, such as "a.csv line 7".
    """

    def __init__(
        self,
        name: str,
        columns: list[str],
        rows: Iterable[Sequence[str]],
        known: Known,
        places: Callable[[Collection[int]], Mapping[int, str]],
        signs: tuple[str, str | None] = (".", None),
    ) -> None:
        self.name, self.columns, self.known, self.options, self.done = name, columns, known, known.options, 0
        self.places, self.signs, self.rows = places, dict.fromkeys(range(len(columns)), signs), list(rows)
        self.marks = MISSING | {mark.lower() for mark in known.options.na}
        self.words: list[str] = []
        if known.labels is None:
            known.labels, known.names = id_columns(name, columns, known.options), True
        self.label_columns = [position(name, columns, label) for label in known.labels]
        self.labels = [Labels(known.names) for _ in self.label_columns]
        self.time = self._time_columns()
        self.dates = dates.TimeReader(name, ", ".join(columns[k] for k in self.time), self.options.date_format)
        self.numeric = [k for k in range(len(columns)) if k not in self.time and k not in self.label_columns]
        self.values = Growing(len(self.numeric))
        self.refused: dict[int, tuple[int, str]] = {}  # the row, or -1, and what is wrong
        self.unread: set[int] = set()
        self.texts: dict[int, tuple[Growing, dict[Any, int]]] = {}
        self.met: set[int] = set()  # columns in which a number was met
        if self.options.decimal is None:
            self._refuse_two_values()

    def _refuse_two_values(self) -> None:
        """Refuse columns whose commas are no decimal signs: by their own cells, or by those of another one."""
        samples = {k: cells for k in self.numeric if (cells := self._sample(k)) and any("," in cell for cell in cells)}
        padded = any(PADDED.fullmatch(cell) for cells in samples.values() for cell in cells)
        for k, cells in samples.items():
            if hold_two_values(cells) or padded and all(map(CODED.fullmatch, cells)):
                row = next(row for row, cells in enumerate(self.rows) if cells[k] == samples[k][0])
                self._refuse(k, row, f"holds {cells[0][:40]!r}, two values in one cell; a number expected", True)

    def _sample(self, k: int) -> list[str]:
        return [row[k] for row in self.rows if row[k].lower() not in self.marks]

    def _time_columns(self) -> list[int]:
        if self.options.wide_rows:
            return []
        if (time := self.known.time) is not None:
            names = [time] if time in self.columns else [name.strip() for name in str(time).split(",")]
            return [position(self.name, self.columns, name) for name in names]
        free = [k for k in range(len(self.columns)) if k not in self.label_columns and k not in self.known.no_time]
        found = TimeColumns(self.columns, self.rows, free, self.marks)
        if (form := self.options.date_format) is None:
            return found.find(not self.known.no_time)
        if not (columns := found.of_form(form)):
            raise DataError(f"{self.name}: no column has times of the form {form}")
        return columns

    def add(self, frame: pd.DataFrame) -> None:
        """Append a chunk of rows. Raises DataError."""
        block = np.full((len(frame), len(self.numeric)), np.nan)
        for place, k in enumerate(self.numeric):
            if k not in self.refused:
                block[:, place] = self._numbers(frame.iloc[:, k], k)
            if k in self.texts:
                self._add_text(frame.iloc[:, k], k)
        if "inf" in self.marks:
            block[np.isinf(block)] = np.nan
        self.values.add(block)
        for column, k in zip(self.labels, self.label_columns):
            codes, different = pd.factorize(frame.iloc[:, k])
            cells = text_of(pd.Series(different)).str.strip()
            missing = cells.isna() if self.known.names else cells.str.lower().isin(self.marks)
            column.add([*cells.mask(missing, column.missing), column.missing], codes)
        if self.time:
            self._add_times([frame.iloc[:, k] for k in self.time])
        self.done += len(frame)

    def _add_times(self, columns: list[pd.Series]) -> None:
        if len(columns) > 1 or not has_times(columns[0]):
            columns = [text_of(column) for column in columns]
        cells = joined(columns, [self.columns[k] for k in self.time]) if len(columns) > 1 else columns[0]
        wrong = self.dates.add(cells)
        if wrong is not None:  # perhaps a mark of a missing value between blanks
            cells = cells.mask(cells.str.strip().str.lower().isin(self.marks))
            wrong = self.dates.add(cells)
        if wrong is not None:
            row, cell = wrong
            if self.known.time is None and dates.NUMBER.fullmatch(cell) and not self.known.second:
                self.known.no_time.add(self.time[0])
                self.known.again, self.time = True, []
                return
            what = f"a time such as 2024-03-31 14:00 expected; {argument('date_format')} says its form"
            if form := self.options.date_format:
                what = f"a time of the form {form} expected"
            place = self.places([self.done + row])[self.done + row]
            raise DataError(f"{place}, time column {self.dates.name!r} holds {cell[:40]!r}, {what}")

    def _numbers(self, column: pd.Series, k: int) -> Any:
        """The numbers of a chunk of a column; NaN if it holds something else, and the reason in ``refused``."""
        if column.dtype.kind in "biuf":
            self.met.add(k)
            values = column.to_numpy(dtype=float, na_value=np.nan)
        elif has_times(column) or column.dtype.kind == "m":
            self._refuse(k, -1, f"the column {self.columns[k]!r} of {self.name} holds times, not numbers")
            return np.nan
        else:
            cells = text_of(column).str.strip().reset_index(drop=True)
            for sign in self.options.strip:
                cells = cells.str.replace(sign, "", regex=False).str.strip()
            lower = cells.str.lower()
            cells = lower.map(TRUTH).fillna(cells).mask(lower.isin(self.marks)).dropna()
            if not self._fit(cells, k):
                if not self.done and k not in self.unread:
                    self.texts[k] = Growing(1, np.int32), {}
                return np.nan
            values = np.full(len(column), np.nan)
            values[cells.index], words = values_of(cells, *self.signs[k])
            self.words += [word for word in words if word not in self.words]
            self.met |= {k} if len(cells) else set()
        for mark in self.options.na:
            if number_form(*self.signs[k]).fullmatch(mark):
                values = np.where(values == value_of(mark, *self.signs[k]), np.nan, values)
        return values

    def _add_text(self, column: pd.Series, k: int) -> None:
        """Append cells of text as codes, as long as few of them are different."""
        codes, known = self.texts[k]
        numbers, cells = pd.factorize(column)
        for cell in cells:
            known.setdefault(cell, len(known))
        codes.add(np.array([*(known[cell] for cell in cells), -1], np.int32)[numbers][:, None])
        if len(known) > MOST_TEXTS:
            del self.texts[k]

    def _fit(self, cells: pd.Series, k: int) -> bool:
        """True if these cells are numbers of the form of their column. If they have another form, the column takes it; where
        that comes too late, all is read again. Otherwise the reason is put into ``refused``."""
        wrong = cells[~cells.str.fullmatch(number_form(*self.signs[k])).astype(bool)]
        if wrong.empty:
            return True
        shown, said = wrong.iloc[0], {self.options.decimal, self.options.thousands} - {None}
        if k in self.met or len(wrong) < len(cells):
            self.met.add(k)
            if len(said) < 2 and not self.known.second and all(map(NUMBER.fullmatch, wrong)):
                self.known.cells += wrong[:1000].tolist()
                self.known.again = True
        elif not said:
            fitting = [one for one in CONVENTIONS if wrong.str.fullmatch(number_form(*one)).all()]
            if len({decimal for decimal, _ in fitting}) == 1:
                self.signs[k] = fitting[0]
                self.words.append(f"decimal {fitting[0][0]!r} in {self.columns[k]}")
                return True
        hint, every = "", cells.tolist()
        if unit := unit_of(every):
            hint = f"; {argument('strip', unit)} reads it as a number"
        elif k in self.met and wrong.nunique() == 1 and not re.search(r"\d", shown):
            hint = f"; if it marks a missing value, say {argument('na', shown)}"
        numbers = sum(bool(AMOUNT.fullmatch(cell)) and not NAMED.fullmatch(cell) for cell in every[:1000])
        what = (
            f"holds {shown[:40]!r}, {'two values in one cell; ' * hold_two_values(every[:1000])}a number expected{hint}"
        )
        self._refuse(k, self.done + int(wrong.index[0]), what, k in self.met or 2 * numbers > len(every[:1000]))
        return False

    def _refuse(self, k: int, row: int, what: str, unread: bool = False) -> None:
        self.refused[k] = row, what
        if unread:
            self.unread.add(k)

    def content(self, words: list[str]) -> Content:
        """Return all chunks together."""
        columns, values = self.columns, self.values.done()
        kept = [column.done() for column in self.labels]
        times, how = self.dates.done() if self.time else (None, "")
        refused = self._reasons()
        found = np.fmax.reduce(values) if len(values) else values  # NaN where no row has a number
        empty = {k for k, most in zip(self.numeric, found) if np.isnan(most)} - refused.keys()
        unnamed = {k for k in empty if columns[k].startswith("Unnamed: ")}
        for k in sorted(empty - unnamed):
            refused[k] = f"{self.name}: the column {columns[k]!r} has no number in it"
        used = [j for j, k in enumerate(self.numeric) if k not in refused and k not in unnamed]
        if not used and (self.numeric or not self.labels):
            beside = f"{self.name} has no column of numbers beside {', '.join(columns)}"
            raise DataError(refused[min(refused)] if refused else beside)
        several = f"time in {' and '.join(columns[k] for k in self.time)}" if len(self.time) > 1 else ""
        counts = _count(len(columns) - len(unnamed), "column"), _count(len(values), "row")
        notes = [f"read as: {', '.join(filter(None, [*words, *self.words, how, several, *counts]))}"]
        for k in () if self.time else self.refused:
            if dates.HINT.search(columns[k]) and has_one_form(self._sample(k)):
                how = f"{argument('time', columns[k])} {argument('date_format', 'FORMAT')}"
                notes.append(Message(f"if {columns[k]} is the time, {how} reads it"))
        values = values if len(used) == len(self.numeric) else values[:, used]
        keep = self._rows(values, times, kept, notes)
        texts = {columns[k]: (codes.done()[:, 0], list(map(str, known))) for k, (codes, known) in self.texts.items()}
        return Content(
            values[keep],
            [columns[self.numeric[j]] for j in used],
            [one for k, one in enumerate(columns) if k not in unnamed],
            None if times is None else times[keep],
            {columns[k]: (codes[keep], names) for k, (codes, names) in zip(self.label_columns, kept)},
            {columns[k]: why for k, why in sorted(refused.items())},
            notes,
            [columns[k] for k in self.unread],
            {name: (codes[keep], names) for name, (codes, names) in texts.items()},
            [columns[k] for k in self.time],
        )

    def _reasons(self) -> dict[int, str]:
        """Why columns were refused, with the place of the first cell that is no number."""
        places = self.places({row for row, _ in self.refused.values() if row >= 0})
        return {
            k: what if row < 0 else f"{places[row]}, column {self.columns[k]!r} {what}"
            for k, (row, what) in self.refused.items()
        }

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


def has_one_form(cells: Sequence[str]) -> bool:
    """True if a format of strptime may read these cells: beside digits and the words that it knows they are all equal."""
    return len({WORDS.sub("0", cell) for cell in cells}) == 1 and sum(map(str.isdigit, cells[0])) >= DATE_DIGITS


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
