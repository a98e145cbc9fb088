"""Tables and sequences: the shipped data, CSV, .npy and .npz files, the gaps in them, and their time column.

A table is read whole into one float64 array. Everything that can be wrong with a file ends in a ``DataError`` of one
line that says what was found, what was expected and what to do.
"""

import hashlib
import os
from dataclasses import dataclass, field

import numpy as np

from .arrays import read_arrays
from .errors import DataError, listed, no_column
from .missing import fill as fill_gaps
from .sources import SHIPPED, existing, shipped
from .text_table import read_csv
from .time_axis import put_in_time_order

LARGEST = 1e140  # the square of a number, summed over any table, stays finite below this


@dataclass
class Table:
    """Columns of numbers in time order.

    values (n, C) float64, gaps filled; columns: their names; step: the usual time between two rows in seconds, or None;
    start: the time of the first row, where all rows are ``step`` apart; irregular (n,) datetime64[s], their times where
    they are not; filled (n, C) bool, the cells that were gaps; all_columns: the names in the file, in its order;
    refused: name -> message, of the columns that are no numbers; notes: lines on what was found and done.
    """

    name: str
    values: np.ndarray
    columns: list
    step: int | None = None
    start: np.datetime64 | None = None
    irregular: np.ndarray | None = None
    filled: np.ndarray | None = None
    all_columns: list = field(default_factory=list)
    refused: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    @property
    def times(self):
        """(n,) datetime64[s], or None for a table without a time column."""
        if self.start is None:
            return self.irregular
        return self.start + np.arange(len(self.values)) * np.timedelta64(self.step, "s")

    def column(self, name):
        """The index in ``values`` of a column given by name, or by its number in the file from 0; None is the first one
        beside the time.

        Raises:
            DataError: naming the columns that there are, or what is wrong with the one asked for.
        """
        names = self.all_columns or self.columns
        if name is None:
            name = next(name for name in names if name in self.columns or name in self.refused)
        if name not in names:
            if not str(name).isdigit() or int(name) >= len(names):
                raise no_column(self.name, name, self.columns)
            name = names[int(name)]
        if name not in self.columns:
            raise DataError(self.refused.get(name, f"the column {name!r} of {self.name} holds times, not numbers"))
        return self.columns.index(name)

    def fingerprint(self):
        """A hash of the numbers and the times, to tell whether a run is continued on the same data."""
        digest = hashlib.sha256(repr((self.columns, self.step, str(self.start))).encode())
        digest.update(np.ascontiguousarray(self.values))
        if self.irregular is not None:
            digest.update(np.ascontiguousarray(self.irregular.view(np.int64)))
        return digest.hexdigest()[:16]


def load(source, time=None, fill="linear", on_progress=None):
    """The shipped table of that name, or the file (.csv and other text, .npy, .npz).

    Args:
        source: a name of ``SHIPPED`` or a path. A .npy file of float64 without gaps is not read but mapped into memory.
        time: the time column; by default the first one that holds dates.
        fill: ``"linear"`` fills gaps between the values before and after, which looks ahead to the value after the gap;
            ``"past"`` repeats the value before, so that nothing looks ahead. At the two ends the nearest value is held.
        on_progress: called now and then with the share of a text file that has been read.

    Raises:
        DataError.
    """
    source = os.fspath(source)
    path = shipped(SHIPPED[source]) if source in SHIPPED else existing(source)
    content, name = _read(path, time, on_progress), os.path.basename(source)
    table = Table(
        name,
        content.values,
        content.columns,
        all_columns=content.all_columns,
        refused=content.refused,
        notes=list(content.notes),
    )
    if content.refused:
        table.notes.append(f"columns left out, not being numbers: {listed(content.refused)}")
    if content.times is not None:
        times, content = content.times, None  # so that no second copy is held while rows move
        put_in_time_order(table, times)
        del times
    check_size(table.name, table.values, table.columns)  # first: filling a gap between two such values overflows
    fill_gaps(table, fill)
    return table


def _read(path, time, on_progress):
    if path.endswith((".npy", ".npz")):
        return read_arrays(path, time)
    return read_csv(path, time, on_progress=on_progress)


def check_size(name, values, columns):
    for k, column in enumerate(columns):
        most = max(np.fmax.reduce(values[:, k]), -np.fmin.reduce(values[:, k]))  # gaps are left out
        if most > LARGEST:
            row = int(np.nanargmax(np.abs(values[:, k])))
            raise DataError(
                f"{name}: row {row} of {column!r} holds {values[row, k]:.3g}, too large to compute with; "
                "mend it, or leave the cell empty"
            )
