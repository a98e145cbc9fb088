"""Tables of text: separators, headers, decimal commas, gaps, dates in the usual forms.

A file is read once, some rows at a time, into arrays that grow in place: the memory needed is that of the numbers.
"""

import csv
import os
import re
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from .errors import DataError, no_column

MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}  # cells that stand for a gap, in lower case
CELLS = 50_000  # cells that are in memory as text at a time

DATE = re.compile(
    r"\s*(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})"
    r"(?:(?:\s+|T)(\d{1,2})(?::(\d{2})(?::(\d{2})(?:[.,](\d*))?)?)?\s*([AaPp][Mm])?)?"
    r"\s*(?:Z|[+-]00:?00)?\s*$"
)


class Text(NamedTuple):
    """What a text file holds.

    values (n, C) float64, NaN for gaps; columns: the C names; all_columns: every name in the file, in its order; times
    (n,) datetime64[s] or None; labels: name -> (codes (n,), names) of the columns asked for as labels; refused: name ->
    message, of the columns that are no numbers; notes: lines on what was met.
    """

    values: np.ndarray
    columns: list
    all_columns: list
    times: np.ndarray | None
    labels: dict
    refused: dict
    notes: list


def read_csv(path, time=None, labels=(), on_progress=None):
    """A text table with any usual separator, quoted fields, decimal commas, a byte-order mark, with a header or not.

    Args:
        path: of the file.
        time: name or number of the time column; by default the first column whose first cell is a date.
        labels: names or numbers of columns to keep as text.
        on_progress: called now and then with the share of the file that has been read.

    Returns:
        ``Text``. Columns without a header line are called c0, c1, ….

    Raises:
        DataError: for an empty or ragged file, no column of numbers, or a time column that is none, naming the line and
            what stands there.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            sample = file.read(65536)
            if not sample.strip():
                raise DataError(f"{path} is empty; a table with a header line and rows of numbers expected")
            lines = sample.splitlines()
            separator = _separator(lines[:-1] if len(lines) > 1 else lines)
            file.seek(0)
            return _Reader(path, file, separator).read(time, labels, on_progress)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _separator(lines):
    """The separator that splits nearly all of the first lines into one number of fields; a comma, which may also be a
    decimal comma, only when no other does."""
    lines = [line for line in lines[:50] if line.strip()]
    best, best_share = ",", 0.0
    for separator in "\t;|,":
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        usual = max(set(counts), key=counts.count) if counts else 1
        share = counts.count(usual) / len(counts) if usual > 1 else 0.0
        if share >= 0.9:
            return separator
        if share > best_share:
            best, best_share = separator, share
    return best


class _Growing:
    """An array to which rows are added, and which is never in memory twice."""

    def __init__(self, width, dtype):
        self.array, self.n = np.empty((0, width), dtype), 0

    def add(self, rows):
        n = self.n + len(rows)
        if n > len(self.array):
            self._resize(max(n, len(self.array) * 9 // 8))
        self.array[self.n : n] = rows
        self.n = n

    def done(self):
        self._resize(self.n)
        return self.array

    def _resize(self, n):
        self.array.resize((n, self.array.shape[1]), refcheck=False)


class _Reader:
    """One pass over one file. ``done`` counts the rows of the chunks before the one at hand."""

    def __init__(self, path, file, separator):
        self.path, self.file, self.separator, self.done = path, file, separator, 0
        self.signs = set()  # decimal signs met: "." and ","

    def read(self, time, labels, on_progress):
        rows = csv.reader(self.file, delimiter=self.separator)
        filled = (row for row in rows if "".join(row).strip())
        first, second = next(filled), next(filled, None)
        self.header = _is_header(first, self.is_text)
        if self.header and second is None:
            raise DataError(f"{self.path} has a header line and no rows")
        self.columns = columns = [self.header and cell.strip() or f"c{k}" for k, cell in enumerate(first)]
        seen = set()
        for name in columns:
            if name in seen:
                raise DataError(f"{self.path} has two columns {name!r}; give each a name of its own")
            seen.add(name)
        third = next(filled, None)
        rows = chain([row for row in (second, third) if row is not None], filled)
        rows = rows if self.header else chain([first], rows)
        example = second if self.header else first
        for above, cell in zip(second or (), third or ()):
            if self.header and len(second) == len(first) and DATE.match(cell) and not DATE.match(above):
                raise DataError(
                    f"{self.path} line {self.line(0)} has {above.strip()!r} where line {self.line(1)} has "
                    f"the date {cell.strip()!r}; if it is a second header line, delete it"
                )
        kept = {self.index(name): ({}, _Growing(1, np.int32)) for name in labels}
        if time is not None:
            time = self.index(time)
        else:
            dates = (k for k, cell in enumerate(example[: len(columns)]) if DATE.match(cell) and k not in kept)
            time = next(dates, None)
        numeric = [k for k in range(len(columns)) if k != time and k not in kept]
        values, refused = _Growing(len(numeric), np.float64), {}
        dates = _Dates(self, columns[time]) if time is not None else None

        size = max(1, CELLS // len(columns))
        while chunk := list(islice(rows, size)):
            if set(map(len, chunk)) != {len(columns)}:
                self.ragged(chunk)
            cells = list(zip(*chunk))
            block = np.full((len(chunk), len(numeric)), np.nan)
            for place, k in enumerate(numeric):
                if k not in refused:
                    try:
                        block[:, place] = self.numbers(cells[k])
                    except ValueError:
                        refused[k] = self.refusal(cells[k], columns[k])
            block[np.isinf(block)] = np.nan
            values.add(block)
            if dates is not None:
                dates.add(cells[time])
            for k, (codes, column) in kept.items():
                column.add(np.array([codes.setdefault(cell.strip(), len(codes)) for cell in cells[k]])[:, None])
            self.done += len(chunk)
            if on_progress is not None:
                on_progress(self.file.buffer.tell() / os.path.getsize(self.path))
        if {".", ","} <= self.signs:
            raise DataError(f"{self.path} has both decimal points and decimal commas; one of them expected")
        values = values.done()
        for place, k in enumerate(numeric):
            if k not in refused and np.isnan(values[:, place].min()) and np.isnan(values[:, place]).all():
                refused[k] = f"{self.path}: the column {columns[k]!r} has no number in it"
        if len(refused) == len(numeric):
            none = f"{self.path} has no column of numbers beside {', '.join(columns)}"
            raise DataError(next(iter(refused.values()), none))
        if refused:
            values = values[:, [place for place, k in enumerate(numeric) if k not in refused]]
        times, notes = dates.done() if dates is not None else (None, [])
        return Text(
            values,
            [columns[k] for k in numeric if k not in refused],
            columns,
            times,
            {columns[k]: (column.done()[:, 0], list(codes)) for k, (codes, column) in kept.items()},
            {columns[k]: message for k, message in refused.items()},
            notes,
        )

    def index(self, name):
        if name in self.columns:
            return self.columns.index(name)
        if str(name).isdigit() and int(name) < len(self.columns):
            return int(name)
        raise no_column(self.path, name, self.columns)

    def line(self, row):
        """The number of the line where a row of the chunk at hand ends, by reading the file again from the start."""
        with open(self.path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.separator)
            filled = (reader.line_num for cells in reader if "".join(cells).strip())
            return next(islice(filled, self.header + self.done + row, None))

    def ragged(self, chunk):
        row = next(k for k, cells in enumerate(chunk) if len(cells) != len(self.columns))
        line, found = self.line(row), len(chunk[row])
        hint = "; if the first line is a title, delete it" if line <= 3 and found > len(self.columns) else ""
        raise DataError(
            f"{self.path} line {line} has {found} fields; {len(self.columns)} expected, as in the first line{hint}"
        )

    # ---- numbers ----

    def number(self, cell):
        """ValueError for what is no number, NaN for a gap."""
        cell = cell.strip()
        if cell.lower() in MISSING:
            return np.nan
        if "_" in cell:
            raise ValueError
        if self.separator == ",":
            return float(cell)
        value = float(cell.replace(",", "."))
        self.signs.update(sign for sign in ".," if sign in cell)
        return value

    def numbers(self, cells):
        joined = "".join(cells)
        if "_" not in joined and "," not in joined:
            try:
                column = list(map(float, [cell or "nan" for cell in cells]))  # five times as fast as cell by cell
            except ValueError:
                pass
            else:
                if "." in joined:
                    self.signs.add(".")
                return column
        return [self.number(cell) for cell in cells]

    def is_text(self, cell):
        try:
            self.number(cell)
        except ValueError:
            return not DATE.match(cell)
        return False

    def refusal(self, cells, name):
        """What is wrong with a column of numbers."""
        for row, cell in enumerate(cells):
            try:
                self.number(cell)
            except ValueError:
                line = self.line(row)
                hint = "; if this is a second header line, delete it" if line <= 3 else ""
                return f"{self.path} line {line}, column {name!r} holds {cell.strip()[:40]!r}, a number expected{hint}"


def _is_header(first, is_text):
    """Is the first row names? Yes if it has text, and no number with a decimal point (whole numbers may be years)."""
    return any(is_text(cell) for cell in first) and not any("." in cell and not is_text(cell) for cell in first)


# ---- times ----


class _Dates:
    """The time column. Rows whose day and month could be either way round wait for one that can not."""

    def __init__(self, reader, name):
        self.reader, self.name, self.times = reader, name, _Growing(1, np.int64)
        self.waiting, self.order, self.fractions = [], None, False

    def add(self, cells):
        times = _iso(cells)
        if times is not None and not self.waiting:
            self.times.add(times[:, None])
            return
        parts = self.parts(cells)
        self.order = self.order or _order(parts)
        self.waiting.append(parts)
        if self.order or all((parts[:, 6] == 1).all() for parts in self.waiting):
            for parts in self.waiting:
                self.times.add(self.seconds(parts)[:, None])
            self.waiting = []

    def done(self):
        """(n,) datetime64[s] or None, and notes."""
        if self.waiting:
            a, b, c = self.waiting[0][0, :3]
            raise DataError(
                f"{self.reader.path}: dates such as {a:02}/{b:02}/{c} can be day/month or month/day; write "
                f"them as {c}-{b:02}-{a:02}, or the other way"
            )
        if self.fractions:
            return None, [
                f"the times in {self.name!r} have fractions of a second: rows are taken as they follow each other"
            ]
        return self.times.done()[:, 0].view("datetime64[s]"), []

    def parts(self, cells):
        """(n, 7) integers: the three numbers of the date in the order of the text, hour, minute, second, and 1 where
        the year is written first, 2 where points stand between the numbers, else 0."""
        parts = np.zeros((len(cells), 7), np.int64)
        for row, cell in enumerate(cells):
            found = DATE.match(cell)
            if found is None:
                raise DataError(
                    f"{self.reader.path} line {self.reader.line(row)}, time column {self.name!r} holds "
                    f"{cell[:40]!r}; a date such as 2024-03-31 14:00, 31.03.2024 14:00 or 03/31/2024 "
                    "2:00 PM expected, without a time zone"
                )
            a, separator, b, c, hour, minute, second, fraction, half = found.groups()
            hour = int(hour or 0)
            if half:
                hour = hour % 12 + 12 * (half.lower() == "pm")
            self.fractions |= bool((fraction or "").strip("0"))
            parts[row] = (
                int(a),
                int(b),
                int(c),
                hour,
                int(minute or 0),
                int(second or 0),
                1 if len(a) == 4 else 2 if separator == "." else 0,
            )
        return parts

    def seconds(self, parts):
        """-> (n,) seconds since 1970."""
        year_last = parts[:, [2, 1, 0] if self.order == "day first" else [2, 0, 1]]
        date = np.where(parts[:, 6:] == 1, parts[:, :3], year_last)
        year, month, day = date.T
        year = np.where(year < 69, year + 2000, np.where(year < 100, year + 1900, year))
        first = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (np.clip(month, 1, 12) - 1)
        days = first.astype("datetime64[D]") + (day - 1)
        hour, minute, second = parts[:, 3:6].T
        wrong = (
            (month < 1)
            | (month > 12)
            | (days.astype("datetime64[M]") != first)
            | (hour > 24)
            | (minute > 59)
            | (second > 60)
            | ((hour == 24) & (minute + second > 0))
        )
        if wrong.any():
            date, clock = parts[wrong.argmax(), :3], parts[wrong.argmax(), 3:6]
            taken = "" if parts[wrong.argmax(), 6] == 1 else f", taken as {self.order}"
            raise DataError(
                f"{self.reader.path}: in the time column {self.name!r} there is {'/'.join(map(str, date))} "
                f"{':'.join(f'{part:02}' for part in clock)}, which is no date{taken}"
            )
        return days.astype("datetime64[s]").astype(np.int64) + hour * 3600 + minute * 60 + second


def _iso(cells):
    """(n,) seconds since 1970 of dates that NumPy can read by itself (2024-03-31, 2024-03-31T14:00:00), or None."""
    if min(map(len, cells)) < 10 or max(map(len, cells)) > 19:
        return None
    joined = "".join(cells)
    if "Z" in joined or "+" in joined or "a" in joined.lower() or joined.count("-") != 2 * len(cells):
        return None
    try:
        return np.array(cells, "datetime64[s]").astype(np.int64)
    except ValueError:
        return None


def _order(parts):
    """How day and month stand in dates whose year comes last, or None where these rows do not show it."""
    last = parts[parts[:, 6] != 1]
    if (last[:, 6] == 2).any() or (last[:, 0] > 12).any():
        return "day first"
    return "month first" if (last[:, 1] > 12).any() else None
