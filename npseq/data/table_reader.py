"""Users' tables, read by pandas in chunks: text files, spreadsheets, columnar files and DataFrames."""

from __future__ import annotations

import csv
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pandas as pd

from . import dates, layout, limits
from .content import Content, Growing, Labels, position
from .errors import DataError, listed
from .layout import CONVENTIONS, MARKS, MISSING, TRUTH
from .sources import TableOptions, ending, open_binary

CELLS = 300_000  # cells in memory as text at one time
EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) > (3, 0) else {"float_precision": "round_trip"}  # fmt: skip
CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?")
HOURS = re.compile(r"(hour|hr|hh|time|clock|stunde|uhrzeit|zeit|hora|heure)s?", re.I)


class _Again(Exception):
    """Raised to read once more: what a row further down has shown is now in ``_Known``."""


@dataclass
class _Known:
    """What is said about a table, and what one pass has shown for the next: cells that the first rows did not foresee,
    numbers that are no times after all, and the encodings that are left."""

    time: str | None
    labels: Sequence[str]
    options: TableOptions
    ragged: bool
    cells: list[str] = field(default_factory=list)
    no_time: set[int] = field(default_factory=set)
    encodings: list[str] = field(default_factory=lambda: ["utf-8-sig", "cp1252", "latin-1"])


def read_table(
    source: object,
    name: str,
    time: str | None = None,
    labels: Sequence[str] = (),
    options: TableOptions | None = None,
    on_progress: Callable[[float], None] | None = None,
    ragged: bool = False,
) -> Content:
    """Read a table.

    Args:
        source: a path, "-" for standard input, or a DataFrame. name: of it, for messages.
        time: the time column, or several with commas between; by default the first one that holds times.
        labels: columns to keep as text. options: what need not be decided.
        on_progress: called periodically with the fraction of the file read so far.
        ragged: True if rows may end early.

    Raises:
        DataError: for a table that cannot be read, with the line, or that can be read in two ways, naming both.
    """
    options = options or TableOptions()
    known = _Known(time, labels, options, ragged)
    if options.encoding:
        known.encodings = [options.encoding]
    if isinstance(source, pd.DataFrame):
        return _repeated(lambda: _Frame(source, name, known), known)
    end = ending(source)
    if end in (".parquet", ".xlsx", ".xlsm"):
        limits.check_columns(source, options.max_memory)
    if end in (".parquet", ".feather"):
        frame = _opened(name, end, lambda: (pd.read_parquet if end == ".parquet" else pd.read_feather)(source))
        return _repeated(lambda: _Frame(frame, name, known), known)
    try:
        file, raw, size = open_binary(source, options.max_memory)
        with raw, file:
            if end in (".xlsx", ".xlsm"):
                file = _sheet(_opened(name, end, lambda: pd.ExcelFile(file, engine="openpyxl")), name, options.sheet)
            told = on_progress and (lambda: on_progress(min(1.0, raw.tell() / max(size, 1))))
            return _repeated(lambda: _Text(file, name, known, told), known)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} cannot be read as {error.encoding}: name its encoding with --encoding") from None
    except (
        OSError,
        EOFError,
        csv.Error,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        pd.errors.ParserError,
    ) as error:
        raise DataError(f"{name} cannot be read as a table: {' '.join(str(error).split())[:200]}") from None


def _opened(name, end, read):
    """What ``read`` returns; a damaged file can raise nearly anything."""
    try:
        return read()
    except ImportError as error:
        raise DataError(f"{name}: {end} files need {error.name}: pip install {error.name}") from None
    except Exception as error:
        raise DataError(f"{name} cannot be read as {end}: {' '.join(str(error).split())[:200]}") from None


def _repeated(collector, known):
    """Read, and read again while the rows show that a first decision was wrong."""
    while True:
        try:
            return collector().read()
        except _Again:
            continue
        except UnicodeDecodeError:
            if len(known.encodings) == 1:
                raise
            del known.encodings[0]


def _sheet(book, name, sheet):
    """A sheet of a spreadsheet as text, so that titles, units and marks are treated as in text."""
    if sheet is None:
        filled = [
            one for one in book.sheet_names if not pd.read_excel(book, sheet_name=one, header=None, nrows=2).empty
        ]
        if len(filled) > 1:
            raise DataError(f"{name} has the sheets {listed(filled)}; say which with --sheet")
        sheet = (filled or book.sheet_names)[0]
    elif sheet not in book.sheet_names:
        raise DataError(f"{name} has no sheet {sheet!r}; it has {listed(book.sheet_names)}")
    cells = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object).dropna(axis=1, how="all")
    return io.BytesIO(cells.to_csv(header=False, index=False).encode())


class _Collector:
    """Chunks of rows on their way to ``Content``; columns are numbered as in the source."""

    def __init__(self, name, columns, rows, known, decimal=".", thousands=None):
        self.name, self.columns, self.known, self.options, self.done = name, columns, known, known.options, 0
        self.decimal, self.thousands = decimal, thousands
        self.pattern = re.compile(layout.number_pattern(decimal, thousands), re.I)
        self.label_columns = [position(name, columns, label) for label in known.labels]
        self.labels = [Labels() for _ in self.label_columns]
        self.asked = known.time is not None
        self.time = self._time_columns(known.time, rows)
        self.numeric = [k for k in range(len(columns)) if k not in self.time and k not in self.label_columns]
        self.values, self.refused, self.stamps = Growing(len(self.numeric)), {}, Growing(1, np.int64)
        self.dates = (
            dates.TimeReader(name, ", ".join(columns[k] for k in self.time), self.options.date_format)
            if self.time
            else None
        )
        self.numbers_met, self.notes = set(), []

    def _time_columns(self, time, rows):
        if time is not None:
            names = [time] if time in self.columns else str(time).split(",")
            return [position(self.name, self.columns, name.strip()) for name in names]
        cells = [[cell for cell in column if cell.lower() not in MISSING] for column in zip(*rows)]
        free = [
            k for k in range(len(cells)) if k not in self.label_columns and k not in self.known.no_time and cells[k]
        ]
        for written in (True, False):  # times that are numbers only where no column has dates
            for k in free:
                if cells[k][0].isdigit() != written and dates.looks_like_times(self.columns[k], cells[k]):
                    return [k, k + 1] if written and self._is_clock(k + 1, cells, cells[k]) else [k]
        return []

    def _is_clock(self, k, cells, days):
        """True if the column after the dates has their hours or clock times."""
        if k >= len(cells) or k in self.label_columns or not cells[k] or any(":" in day for day in days):
            return False
        if all(CLOCK.fullmatch(cell) for cell in cells[k]):
            return True
        hours = all(cell.isdigit() and int(cell) <= 24 for cell in cells[k])
        return hours and bool(HOURS.fullmatch(self.columns[k])) and len(set(days)) < len(days)

    def add(self, frame: pd.DataFrame) -> None:
        block = np.full((len(frame), len(self.numeric)), np.nan)
        for place, k in enumerate(self.numeric):
            if k not in self.refused:
                found = self._numbers(frame.iloc[:, k], k)
                if found is not None:
                    block[:, place] = found
        for mark in self.options.na:
            if mark.lower() == "inf":
                block[np.isinf(block)] = np.nan
            elif self.pattern.fullmatch(mark):
                block[block == float(mark.replace(self.decimal, "."))] = np.nan
        self.values.add(block)
        for column, k in zip(self.labels, self.label_columns):
            cells = frame.iloc[:, k]
            text = cells.astype(object).where(cells.notna(), "").astype(str).tolist()
            column.add(["" if cell.strip().lower() in MISSING or cell in self.options.na else cell for cell in text])
        if self.time:
            self._add_times([frame.iloc[:, k] for k in self.time])
        self.done += len(frame)

    def _add_times(self, columns):
        if len(columns) == 1 and (stamps := _stamps(columns[0])) is not None:
            self.stamps.add(stamps[:, None])
            return
        columns = [column if self.strings else _text(column) for column in columns]
        cells = columns[0]
        for column in columns[1:]:
            cells = cells + " " + column
        wrong = self.dates.add(cells)
        if wrong is not None:  # perhaps a mark of a missing value between blanks
            cells = cells.where(~cells.str.strip().str.lower().isin(MISSING | set(self.options.na)))
            wrong = self.dates.add(cells)
        if wrong is not None:
            row, cell = wrong
            if not self.asked and cell.replace(".", "").isdigit():
                self.known.no_time.add(self.time[0])
                raise _Again
            raise DataError(
                f"{self.place(row)}, time column {self.dates.name!r} holds {cell[:40]!r}, a time "
                + (
                    f"of the form {self.options.date_format} expected"
                    if self.options.date_format
                    else "such as 2024-03-31 14:00 expected; --date-format says its form"
                )
            )

    def _numbers(self, column, k):
        """The numbers of a chunk of a column, or None (and why) if it holds something else."""
        if column.dtype.kind in "biuf":
            self.numbers_met.add(k)
            return column.to_numpy(dtype=float, na_value=np.nan)
        if column.dtype.kind in "Mm" or isinstance(column.dtype, pd.PeriodDtype):
            self.refused[k] = f"the column {self.columns[k]!r} of {self.name} holds times, not numbers"
            return None
        text = _text(column)
        for sign in self.options.strip:
            text = text.str.replace(sign, "", regex=False)
        text = text.str.strip().str.lower()
        missing = (text.isna() | text.isin(MISSING)).to_numpy(bool)
        there = text[~missing].replace(TRUTH)
        fits = there.str.fullmatch(self.pattern).to_numpy(bool)
        if not fits.all():
            self._refuse(column[~missing][~fits], k, int(np.flatnonzero(~missing)[np.argmin(fits)]))
            return None
        if self.thousands:
            there = there.str.replace(
                re.compile(
                    "[ \u00a0\u202f\u2009]"
                    if self.thousands == " "
                    else "['’]"
                    if self.thousands == "'"
                    else re.escape(self.thousands)
                ),
                "",
                regex=True,
            )
        there = there.str.replace(self.decimal, ".", regex=False).str.replace("−", "-", regex=False)
        numbers = np.full(len(column), np.nan)
        numbers[~missing] = np.array(there.tolist(), dtype=object).astype(float)
        if len(there):
            self.numbers_met.add(k)
        return numbers

    def _refuse(self, cells, k, row):
        shown = [str(cell).strip() for cell in cells]
        others = [
            re.compile(layout.number_pattern(*one), re.I)
            for one in CONVENTIONS
            if one != (self.decimal, self.thousands)
        ]
        if (
            self.redecides
            and k in self.numbers_met
            and all(any(one.fullmatch(cell) for one in others) for cell in shown)
        ):
            self.known.cells += shown[:1000]
            raise _Again
        sign = re.fullmatch(r"([^\d\s]{1,3})?\s*[-+]?[\d.,]+\s*([^\d\s]{1,3})?", shown[0])
        hint = f"; --strip {sign[1] or sign[2]} reads it as a number" if sign and (sign[1] or sign[2]) else ""
        self.refused[k] = (
            f"{self.place(row)}, column {self.columns[k]!r} holds {shown[0][:40]!r}, a number expected{hint}"
        )

    redecides = strings = False

    def place(self, row):
        return f"{self.name} row {self.done + row}"

    def content(self, words) -> Content:
        """All chunks together."""
        name, columns, values = self.name, self.columns, self.values.done()
        times, kept = None, [column.done() for column in self.labels]
        if self.time:
            times, how = (self.stamps.done()[:, 0].view("M8[us]"), "") if self.stamps.n else self.dates.done()
            words = (
                words
                + [how] * bool(how)
                + [f"time in {' and '.join(columns[k] for k in self.time)}"] * (len(self.time) > 1)
            )
        empty = [
            np.isnan(values[:, j]).all() if len(values) and np.isnan(values[0, j]) else False
            for j in range(len(self.numeric))
        ]
        unnamed = [
            k
            for k, none in zip(self.numeric, empty)
            if none and columns[k].startswith("Unnamed: ") and k not in self.refused
        ]
        for k, none in zip(self.numeric, empty):
            if none and k not in self.refused:
                self.refused[k] = f"{name}: the column {columns[k]!r} has no number in it"
        if len(self.refused) == len(self.numeric) and not (self.labels and not self.numeric):
            beside = f"{name} has no column of numbers beside {', '.join(columns)}"
            raise DataError(next((self.refused[k] for k in self.numeric if k not in unnamed), beside))
        notes = self.notes + [
            f"read as: {', '.join([*words, _count(len(columns) - len(unnamed), 'column'), _count(len(values), 'row')])}"
        ]
        used = [j for j, k in enumerate(self.numeric) if k not in self.refused]
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
            {columns[k]: why for k, why in self.refused.items() if k not in unnamed},
            notes,
        )

    def _rows(self, values, times, kept, notes):
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


class _Text(_Collector):
    """One pass over a text file."""

    strings = True

    def __init__(self, file, name, known, told):
        self.file, self.told = file, told
        file.seek(0)
        sample, whole = layout.read_sample(file)
        self.layout = decided = layout.decide(
            sample, whole, name, known.options, known.encodings, known.cells, known.ragged
        )
        self.redecides = not (known.options.decimal and known.options.thousands) and len(known.cells) < 10_000
        super().__init__(name, decided.names, decided.rows, known, decided.decimal, decided.thousands)

    def read(self):
        """Read the rows."""
        decided, options, width = self.layout, self.options, len(self.columns)
        self.file.seek(0)
        self.counter = _Counter(self.file, decided.sep)
        as_text = range(width) if decided.thousands else [*self.time, *self.label_columns]
        rows = pd.read_csv(
            io.BufferedReader(self.counter),
            sep=r"\s+" if decided.sep == " " else decided.sep,
            header=None,
            names=range(width),
            index_col=False,
            skiprows=decided.skip,
            encoding=decided.encoding,
            decimal=decided.decimal,
            dtype=dict.fromkeys(as_text, object),
            na_values=[*MARKS, *options.na],
            keep_default_na=False,
            skipinitialspace=True,
            chunksize=max(1, CELLS // width),
            low_memory=False,
            **EXACT,
        )
        try:
            with rows:
                for frame in rows:
                    self.add(frame)
                    if self.told:
                        self.told()
        except pd.errors.ParserError:
            self._check_lengths()
            raise
        expected = decided.separators_skipped + self.done * (width - 1)
        if decided.sep == " " or self.counter.count != expected:
            self._check_lengths()
        return self.content(decided.words)

    def place(self, row):
        return f"{self.name} line {next(line for k, (line, _) in enumerate(self._records()) if k == self.done + row)}"

    def _records(self):
        """(line, cells) of the rows, from the start of the file once more."""
        self.file.seek(0)
        text = io.TextIOWrapper(_Counter(self.file, ","), self.layout.encoding, newline="")
        for at, (line, cells) in enumerate(layout.records(text, self.layout.sep)):
            if at >= self.layout.skip and cells:
                yield line, cells

    def _check_lengths(self):
        """Raise DataError for the first row with another number of fields."""
        width = len(self.columns)
        for line, cells in self._records():
            if len(cells) > width or len(cells) < width - self.layout.trailing and not self.known.ragged:
                raise DataError(
                    f"{self.name} line {line} has {len(cells)} fields; {width} expected, as in the rows above it"
                )


class _Frame(_Collector):
    """A DataFrame."""

    def __init__(self, frame, name, known):
        if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex | pd.MultiIndex) or frame.index.name is not None:
            frame = frame.reset_index(names=[one or "index" for one in frame.index.names])
        self.frame = frame
        head = [_text(frame.iloc[:200, k]).fillna("") for k in range(frame.shape[1])]
        columns = [", ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in frame.columns]
        if len(set(columns)) < len(columns):
            raise DataError(
                f"{name} has two columns {listed({one for one in columns if columns.count(one) > 1})!r}; give each a separate name"
            )
        super().__init__(name, columns, list(zip(*head)), known)

    def _time_columns(self, time, rows):
        kinds = [
            column.dtype.kind == "M" or isinstance(column.dtype, pd.PeriodDtype) for _, column in self.frame.items()
        ]
        if time is None and True in kinds:
            return [kinds.index(True)]
        return super()._time_columns(time, rows)

    def read(self):
        if not len(self.frame):
            raise DataError(f"{self.name} has no rows")
        self.add(self.frame)
        content = self.content([])
        return content._replace(notes=content.notes[1:] if content.notes[0].startswith("read as: ") else content.notes)


class _Counter(io.RawIOBase):
    """A file that counts a separator while it is read, to find rows that are too short without a second pass."""

    def __init__(self, file: BinaryIO, sep: str) -> None:
        self.file, self.sep, self.count = file, sep.encode(), 0

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.file.read(len(buffer))
        self.count += data.count(self.sep)
        buffer[: len(data)] = data
        return len(data)


def _count(n, word):
    return f"{n:,} {word}{'s' * (n != 1)}"


def _text(column: pd.Series) -> pd.Series:
    """The cells as text, NaN where missing; whole numbers without a decimal point."""
    if column.dtype.kind == "f" and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    there = column.notna()
    return column.astype(object).where(there).map(str, na_action="ignore").astype(object).str.strip()


def _stamps(column: pd.Series) -> np.ndarray | None:
    """(n,) microseconds since 1970 of a column of times, in UTC; None for another column."""
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if column.dtype.kind != "M":
        return None
    column = column.dt.tz_convert(None) if column.dt.tz is not None else column
    return column.to_numpy().astype("M8[us]").astype(np.int64)
