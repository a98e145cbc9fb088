"""The lines of ``npseq stream`` as values and times, read as the table of the training was."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime

import numpy as np

from ..data.errors import DataError
from ..data.numbers import MISSING, NUMBER, TRUTH, value_of
from ..data.sources import TableOptions
from ..forecast.streaming import ForecastStream
from ..tasks.metadata import Metadata

SEPARATORS = "\t;|,"
LONGEST = 1 << 24  # characters of a line that are read; more are no row, and would fill the memory


class BadRow(ValueError):
    """A row that cannot be used; the message is one line."""


class Rows:
    """The lines of a CSV stream, as values and times.

    If the first line is a header, with the name of a column that the model needs, columns are found by name. Without a
    header they are, in this order, the time (if there is one field more than the model has columns), the targets and
    the other inputs; or, if the training data had no header either, the columns of the same numbers.

    Args:
        options: what was said about the table of the training.
    """

    def __init__(
        self, stream: ForecastStream, time: str | None, time_format: str | None, options: TableOptions
    ) -> None:
        self.columns, self.needs_time = stream.columns, stream.recipe.calendar
        self.time_name, self.time_format, self.options = time, time_format or options.date_format, options
        self.separators = SEPARATORS if options.sep in (None, " ") else options.sep
        self.marks = MISSING | {mark.lower() for mark in options.na}
        self.missing = {value_of(mark, options.decimal or ".") for mark in options.na if NUMBER.fullmatch(mark)}
        self.separator = ""
        self.header: list[str] | None = None
        self.names: list[str] = []  # of all fields
        self.places: list[int] | None = None
        self.time_place: int | None = None

    def take(self, line: str) -> tuple[np.ndarray, str | None] | None:
        """Return the values and the time of a line; None for a blank line or a header.

        Raises:
            BadRow: for a line that is no row. DataError: for a first line by which no column can be found.
        """
        if len(line) == LONGEST:
            raise DataError(f"{LONGEST:,} characters without the end of a line; rows of CSV expected")
        if not line.strip():
            return None
        first = not self.separator
        if first and self._is_header(line.removeprefix("\ufeff")):
            return None
        cells = self._split(line.removeprefix("\ufeff") if first else line)
        if cells == self.header:  # files one after the other, each with its header
            return None
        try:
            if first:
                self._name(len(cells))
            if len(cells) != len(self.names):
                raise BadRow(f"{len(cells)} fields; {len(self.names)} expected")
            if self.places is None:
                self.time_place = self._time_column(cells)
                self.places = [self.names.index(name) for name in self.columns]
            values = np.array([self._number(cells[k], name) for k, name in zip(self.places, self.columns)])
            return values, None if self.time_place is None else self._time(cells[self.time_place])
        except BadRow as error:
            if first:
                raise DataError(
                    f"the first line is neither a row ({error}) nor a header with {', '.join(self.columns)}"
                ) from None
            raise

    def _split(self, line: str) -> list[str]:
        try:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=self.separator, strict=True))]
        except csv.Error as error:  # such as a quote that is not closed
            raise (BadRow if self.names else DataError)(f"this is no line of CSV: {error}") from None

    def _is_header(self, line: str) -> bool:
        """True for a header. Decides the separator: the one that gives names, or else the most fields."""
        counts: dict[str, int] = {}
        for separator in self.separators:
            self.separator = separator
            try:
                cells = self._split(line)
            except DataError:  # a quoted field may be none between other separators
                if not counts and separator == self.separators[-1]:
                    raise
                continue
            if any(name in cells for name in self.columns):
                self.header = self.names = cells
                absent = [name for name in self.columns if name not in cells]
                if absent:
                    raise DataError(f"the header has no column {absent[0]!r}; {', '.join(self.columns)} expected")
                return True
            counts[separator] = len(cells)
        self.separator = max(self.separators, key=lambda separator: counts[separator])
        return False

    def _name(self, fields: int) -> None:
        """Name the fields of a stream without a header."""
        count = len(self.columns)
        if all(name[:1] == "c" and name[1:].isdigit() for name in self.columns):
            self.names = [f"c{k}" for k in range(fields)]
            fits = max(int(name[1:]) for name in self.columns) < fields
        else:
            self.names = [self.time_name or "time", *self.columns][-fields:]
            fits = fields == count + 1 or fields == count and not self.needs_time
        if not fits:
            expected = (
                f"{count + 1}, the time first," if self.needs_time else f"{count}, or {count + 1} with the time first,"
            )
            raise BadRow(f"{fields} fields; {expected} expected")

    def _time_column(self, cells: list[str]) -> int | None:
        """Return the position of the time column: the named one, or the first field that is a time."""
        if self.time_name is not None:
            if self.time_name in self.names:
                return self.names.index(self.time_name)
            if self.time_name.isdigit() and int(self.time_name) < len(self.names):
                return int(self.time_name)
        for k, (name, cell) in enumerate(zip(self.names, cells)):
            if name not in self.columns:
                try:
                    self._time(cell)
                except BadRow:
                    continue
                return k
        if self.needs_time:
            wrong = BadRow if self.header is None else DataError  # a header without the time is wrong for all rows
            raise wrong("no time in it, which the model needs for its calendar (--time, --time-format)")
        return None

    def _number(self, cell: str, name: str) -> float:
        plain, said = cell, self.options
        for sign in said.strip:
            plain = plain.replace(sign, "").strip()
        if plain.lower() in self.marks:
            return np.nan
        plain, decimal = TRUTH.get(plain.lower(), plain), said.decimal or "."
        if said.decimal is None and said.thousands is None and self.separator != ",":
            plain = plain.replace(",", ".")
        try:
            value = value_of(plain, decimal, said.thousands)
        except ValueError:
            raise BadRow(f"{cell[:40]!r} in {name!r}; a number expected") from None
        return np.nan if value in self.missing or "inf" in self.marks and np.isinf(value) else value

    def _time(self, cell: str) -> str:
        """The time as ISO text."""
        try:
            if self.time_format is not None:
                return datetime.strptime(cell, self.time_format).isoformat()
            if not cell[:4].isdigit() or cell[4:5] != "-":
                raise ValueError
            return str(np.datetime64(cell.removesuffix("Z").removesuffix("+00:00"), "s"))
        except ValueError:
            form = self.time_format or "2024-03-31 14:00:00 (for others: --time-format)"
            raise BadRow(f"{cell[:40]!r} is no time of the form {form}") from None


class Range:
    """Tells when the values of a column leave the range of the training rows far behind, once until they are back."""

    def __init__(self, trained: Metadata) -> None:
        self.trained = trained
        self.outside = np.zeros(len(trained.range or ()), bool)

    def lines(self, stream: ForecastStream, values: np.ndarray) -> Iterator[str]:
        """Yield a line for each column that has left it with these values (C,)."""
        before, self.outside = self.outside, self.trained.far_outside(values)
        for k in np.flatnonzero(self.outside & ~before if len(before) else self.outside):
            low, high = self.trained.range[k]
            yield (
                f"{stream.columns[k]} is {values[k]:.6g}, far outside the range of the training rows, {low:.6g} to "
                f"{high:.6g}; forecasts after it extrapolate"
            )
