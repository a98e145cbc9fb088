"""Tables: the shipped series, CSV, .npy and .npz files, the gaps in them, and their time column.

A table is read whole into one float64 array. Everything that can be wrong with a file ends in a ``DataError`` of one
line that says what was found, what was expected and what to do.
"""

import hashlib
import os
from dataclasses import dataclass, field

import numpy as np

from .text import DataError, read_csv

SHIPPED = {"metro_traffic": "metro_traffic_hourly.csv"}


@dataclass
class Table:
    """Columns of numbers in time order.

    values (n, C) float64, gaps filled; columns: their names; times (n,) datetime64[s] or None; step: the time between
    two rows in seconds, or None; filled (n, C) bool, the cells that were gaps; notes: lines on what was found and done.
    """

    name: str
    values: np.ndarray
    columns: list
    times: np.ndarray | None = None
    step: int | None = None
    filled: np.ndarray | None = None
    notes: list = field(default_factory=list)

    def column(self, name):
        """The index of a column given by name or by number.

        Raises:
            DataError: naming the columns that there are.
        """
        if name in self.columns:
            return self.columns.index(name)
        if str(name).lstrip("-").isdigit() and -len(self.columns) <= int(name) < len(self.columns):
            return int(name) % len(self.columns)
        shown = ", ".join(self.columns[:12]) + (", …" if len(self.columns) > 12 else "")
        raise DataError(f"{self.name} has no column {name!r}; it has {shown}")

    def fingerprint(self):
        """A hash of the numbers and the times, to tell whether a run is continued on the same data."""
        digest = hashlib.sha256(repr((self.columns, self.step)).encode())
        digest.update(np.ascontiguousarray(self.values))
        if self.times is not None:
            digest.update(np.ascontiguousarray(self.times))
        return digest.hexdigest()[:16]


def load(source, time=None, fill=True):
    """The shipped table of that name, or the file (.csv and other text, .npy, .npz).

    Args:
        source: a name of ``SHIPPED`` or a path.
        time: the time column; by default the first column, when it holds dates.
        fill: fill gaps by linear interpolation between the values before and after, which looks ahead to the value
            after the gap. ``"past"`` repeats the value before instead.

    Raises:
        DataError.
    """
    if source in SHIPPED:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "datasets", SHIPPED[source])
    elif os.path.isdir(source):
        raise DataError(f"{source} is a folder; a file, or one of {', '.join(SHIPPED)}, expected")
    elif not os.path.isfile(source):
        raise DataError(f"there is no file {source}; a CSV, .npy or .npz file, or one of {', '.join(SHIPPED)}, expected")
    else:
        path = source
    table = _read_arrays(path) if path.endswith((".npy", ".npz")) else Table(path, *read_csv(path, time))
    table.name = os.path.basename(source)
    if table.times is not None:
        _regular(table)
    _fill(table, fill)
    return table


def _read_arrays(path):
    try:
        content = np.load(path, mmap_mode="r" if path.endswith(".npy") else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a NumPy file: {' '.join(str(error).split())[:200]}") from None
    if isinstance(content, np.ndarray):
        arrays = {"": content}
    else:
        with content:
            try:
                arrays = {name: content[name] for name in content.files}
            except ValueError as error:
                raise DataError(f"{path} cannot be read as a NumPy file: {str(error)[:200]}") from None
    values, columns = [], []
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2):
            raise DataError(f"{path}: the array {name or 'in it'} is {array.dtype} of shape {array.shape}; numbers in one "
                            "or two dimensions (rows, columns) expected")
        array = array[:, None] if array.ndim == 1 else array
        values.append(array)
        columns += [name or "value"] if array.shape[1] == 1 else [f"{name or 'c'}{k}" for k in range(array.shape[1])]
    if not values or len({len(array) for array in values}) != 1 or not len(values[0]):
        raise DataError(f"{path} holds no rows, or arrays of different numbers of rows: "
                        + ", ".join(f"{name} {array.shape}" for name, array in arrays.items()))
    return Table(path, np.concatenate(values, axis=1, dtype=np.float64), columns)


# ---- time and gaps ----

def _regular(table):
    """Rows in time order, one for each time, and a row for each time that is missing; what was done stands in the notes."""
    times, values = table.times, table.values
    if (np.diff(times) < np.timedelta64(0)).any():
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        table.notes.append("rows were not in time order: sorted")
    first = np.concatenate([[True], np.diff(times) > np.timedelta64(0)])
    if not first.all():
        table.notes.append(f"{(~first).sum():,} rows repeat a time: the first of each was kept")
        times, values = times[first], values[first]
    if len(times) > 1:
        gaps = np.diff(times).astype(np.int64)
        steps, counts = np.unique(gaps, return_counts=True)
        table.step = int(steps[counts.argmax()])
        slots = gaps // table.step
        if (gaps % table.step == 0).all() and slots.sum() < 4 * len(times):
            missing = int(slots.sum()) - len(slots)
            if missing:
                table.notes.append(f"{missing:,} times are missing: a row for each was put in, as a gap")
                at = np.concatenate([[0], np.cumsum(slots)])
                whole = np.full((at[-1] + 1, values.shape[1]), np.nan)
                whole[at] = values
                times, values = times[0] + np.arange(at[-1] + 1) * np.timedelta64(table.step, "s"), whole
        else:
            irregular = int((gaps != table.step).sum())
            table.notes.append(f"irregular times: {irregular:,} of {len(gaps):,} steps are not the usual "
                               f"{table.step:,} s; the rows are taken as they follow each other")
    table.times, table.values = times, values


def _fill(table, how):
    """Fill the gaps of every column and count them."""
    values = table.values
    table.filled = ~np.isfinite(values)
    if not table.filled.any():
        return
    if not values.flags.writeable:
        values = table.values = np.array(values)
    rows = np.arange(len(values))
    for k, name in enumerate(table.columns):
        gap = table.filled[:, k]
        if gap.all():
            raise DataError(f"{table.name}: the column {name!r} has no number in it")
        if not gap.any():
            continue
        if how == "past":
            last = np.maximum.accumulate(np.where(gap, -1, rows))
            last[last < 0] = np.flatnonzero(~gap)[0]
            values[:, k] = values[last, k]
        else:
            values[gap, k] = np.interp(rows[gap], rows[~gap], values[~gap, k])
        table.notes.append(f"{gap.sum():,} gaps in {name} filled "
                           + ("with the value before" if how == "past" else "by linear interpolation"))
