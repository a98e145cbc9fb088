"""What every reader returns, and the buffers that it fills."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .errors import no_column
from .sources import TableOptions

# as Nixtla and GluonTS name them
FIELD_IDS, FIELD_TIMES, FIELD_TARGETS = ("unique_id", "item_id"), ("ds", "timestamp"), ("y", "target")
WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d*)(?:\.\d*(?:[eE][-+]?\d+)?)?")


class Content(NamedTuple):
    """What a source holds, before rows are ordered and missing values are filled.

    values (n, C) float64, NaN where a value is missing; columns: their C names; all_columns: every name, in the order
    of the source; times (n,) datetime64 or None; labels: name to (codes (n,), names) of the columns kept as text, code
    −1 where the label is missing; refused: name to message, of the columns without numbers; unread: those of them that hold
    numbers in a form that is not read; texts: as labels, of other columns of text with few different cells; time: the names
    of the time columns; notes: what was decided.
    """

    values: np.ndarray
    columns: list[str]
    all_columns: list[str]
    times: np.ndarray | None = None
    labels: dict[str, tuple[np.ndarray, list[str]]] = {}
    refused: dict[str, str] = {}
    notes: list[str] = []
    unread: list[str] = []
    texts: dict[str, tuple[np.ndarray, list[str]]] = {}
    time: list[str] = []

    def column(self, name: str) -> np.ndarray:
        """Return the values (n,) of a column."""
        return self.values[:, self.columns.index(name)]

    def without(self, name: str) -> Content:
        """Return the content without a column of values."""
        k = self.columns.index(name)
        return self._replace(values=np.delete(self.values, k, axis=1), columns=self.columns[:k] + self.columns[k + 1 :])


class Growing:
    """An array that rows are appended to without ever holding two copies."""

    def __init__(self, width: int, dtype: type = np.float64) -> None:
        self.array: np.ndarray = np.empty((0, width), dtype)
        self.n = 0

    def add(self, rows: np.ndarray) -> None:
        """Append ``rows`` (m, width)."""
        n = self.n + len(rows)
        if n > len(self.array):
            self.array.resize((max(n, len(self.array) * 9 // 8), self.array.shape[1]), refcheck=False)
        self.array[self.n : n] = rows
        self.n = n

    def done(self) -> np.ndarray:
        """Return the array, cut to the rows that were added."""
        self.array.resize((self.n, self.array.shape[1]), refcheck=False)
        return self.array


class Labels:
    """A column kept as text, as codes in the order of appearance; a missing label has the code −1.

    Args:
        names: of series, of which NA and an empty text are some, too; ``missing`` then is no text of a file.
    """

    def __init__(self, names: bool = False) -> None:
        self.missing = "\0" if names else ""
        self.codes, self.known = Growing(1, np.int32), {self.missing: -1}

    def add(self, cells: Iterable[str], places: np.ndarray | None = None) -> None:
        """Append the cells, or those at ``places`` (n,) of them; numbers are spelled one way, so that 1, 1.0 and "1" are one
        class."""
        known = self.known
        for cell in [cell for cell in dict.fromkeys(cells) if cell not in known]:
            known[cell] = known.setdefault(spelling(cell), len(known) - 1)
        codes = np.fromiter((known[cell] for cell in cells), np.int32)
        self.codes.add((codes if places is None else codes[places])[:, None])

    def done(self) -> tuple[np.ndarray, list[str]]:
        """Return the codes (n,), counted from 0 without a hole, and the names."""
        codes, names = self.codes.done()[:, 0], {code: spelling(cell) for cell, code in self.known.items() if code >= 0}
        rank = np.zeros(max(names, default=0) + 2, np.int32)
        rank[list(names)] = np.arange(len(names))
        rank[-1] = -1
        return rank[codes], list(names.values())


def spelling(cell: str) -> str:
    """Return the one spelling of a label: a whole number without a decimal point, text without blanks around it.

    1.0 and 1.0000e+00 are 1; what may be a name of digits, such as 007 or 1e5, is left.
    """
    cell = cell.strip()
    number = float(cell) if WHOLE.fullmatch(cell) else 0.5
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else cell


def name_of_column(label: object) -> str:
    """Return the name of a column of a DataFrame: the filled parts of several levels are joined with commas."""
    return ", ".join(str(part) for part in label if str(part)) if isinstance(label, tuple) else str(label)


def position(source: str, columns: list[str], name: object) -> int:
    """Return the place of a column given by name, or by its number from 0. Raises DataError if there is none."""
    if name in columns:
        return columns.index(str(name))
    if str(name).isdigit() and int(str(name)) < len(columns):
        return int(str(name))
    raise no_column(source, name, columns)


def id_columns(source: str, columns: list[str], options: TableOptions) -> list[str]:
    """Return the columns that name the series: those that are said, or those of the forms of Nixtla and GluonTS.

    Raises:
        DataError: for a column that there is not.
    """
    if options.wide:
        return []
    if options.wide_rows:
        return columns[:1]
    if options.id is not None:
        names = [options.id] if options.id in columns else [name.strip() for name in options.id.split(",")]
        return [columns[position(source, columns, name)] for name in names]
    return [name for name in columns if name in FIELD_IDS][:1] if {*columns} & {*FIELD_TIMES} else []
