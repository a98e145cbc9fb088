"""Tables and sequences: the shipped data, CSV, .npy and .npz files, the gaps in them, and their time column.

A table is read whole into one float64 array. Everything that can be wrong with a file ends in a ``DataError`` of one
line that says what was found, what was expected and what to do.
"""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .text_table import DataError, Text, no_column, read_csv

SHIPPED = {"metro_traffic": "metro_traffic_hourly.csv"}
SHIPPED_SEQUENCES = {"japanese_vowels": ("japanese_vowels_train.csv", "japanese_vowels_test.csv")}
LARGEST = 1e140  # the square of a number, summed over any table, stays finite below this
MOST_ROWS = 1.25  # rows with those put in for missing times, as a multiple of the rows there; above that (prices have
# no weekends) times are irregular
CHUNK = 1 << 20  # rows that are looked at at a time, so that no second copy of a table is made


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
    path = shipped(SHIPPED[source]) if source in SHIPPED else _existing(source)
    content, name = _read(path, time, on_progress), os.path.basename(source)
    table = Table(name, content.values, content.columns, all_columns=content.all_columns, refused=content.refused,
                  notes=list(content.notes))
    if content.refused:
        table.notes.append(f"columns left out, not being numbers: {_listed(content.refused)}")
    if content.times is not None:
        times, content = content.times, None  # so that no second copy is held while rows move
        _put_in_time_order(table, times)
        del times
    _check_size(table.name, table.values, table.columns)  # first: filling a gap between two such values overflows
    _fill(table, fill)
    return table


def shipped(file):
    """The path of a file in ``npseq/datasets``."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "datasets", file)


def _existing(source):
    known = ", ".join([*SHIPPED, *SHIPPED_SEQUENCES, "adding"])
    if os.path.isdir(source):
        raise DataError(f"{source} is a folder; a file, or one of {known}, expected")
    if not os.path.exists(source):
        raise DataError(f"there is no file {source}; a CSV, .npy or .npz file, or one of {known}, expected")
    return source


def _listed(names):
    names = list(names)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _read(path, time, on_progress):
    if path.endswith((".npy", ".npz")):
        return _read_arrays(path, time)
    return read_csv(path, time, on_progress=on_progress)


def _read_arrays(path, time):
    """A .npy or .npz file as ``Text``: arrays of rows, or of rows and columns, side by side."""
    try:
        content = np.load(path, mmap_mode="r" if path.endswith(".npy") else None, allow_pickle=False)
        if isinstance(content, np.ndarray):
            arrays = {"": content}
        else:
            with content:
                arrays = {name: content[name] for name in content.files}
    except Exception as error:  # a damaged file can raise nearly anything
        raise DataError(f"{path} cannot be read as a NumPy file: {' '.join(str(error).split())[:200]}") from None
    if time is None:
        time = next((name for name, array in arrays.items() if array.dtype.kind == "M"), None)
    elif time not in arrays or arrays[time].dtype.kind != "M":
        raise DataError(f"{path} has no array {time!r} of datetime64, a time column")
    times = arrays.pop(time, None)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or 0 in array.shape:
            raise DataError(f"{path}: the array {name or 'in it'} is {array.dtype} of shape {array.shape}; numbers in "
                            "one or two dimensions (rows, columns) expected")
    everything = [*arrays.values()] + ([] if times is None else [times])
    if not arrays or len({len(array) for array in everything}) != 1 or times is not None and times.ndim != 1:
        raise DataError(f"{path} holds no numbers, or arrays of different numbers of rows: "
                        + ", ".join(f"{array.dtype} {array.shape}" for array in everything))
    if times is not None and np.isnat(times).any():
        raise DataError(f"{path}: the time column {time!r} has empty times")
    columns = []
    for name, array in arrays.items():
        width = 1 if array.ndim == 1 else array.shape[1]
        columns += [name or "value"] if width == 1 else [f"{name or 'c'}{k}" for k in range(width)]
    values = [array[:, None] if array.ndim == 1 else array for array in arrays.values()]
    # one array of float64 is used as it is: a mapped file is not read into memory
    together = values[0].astype(np.float64, copy=False) if len(values) == 1 else np.concatenate(values, 1, dtype=float)
    return Text(together, columns, columns, None if times is None else times.astype("datetime64[s]"), {}, {}, [])


# ---- time ----

def _steps(times):
    """How often each difference between neighbours occurs, in seconds."""
    counts = Counter()
    for start in range(0, len(times) - 1, CHUNK):
        steps, count = np.unique(np.diff(times[start:start + CHUNK + 1]).astype(np.int64), return_counts=True)
        counts.update(dict(zip(steps.tolist(), count.tolist())))
    return counts


def _put_in_time_order(table, times):
    """Rows in time order, one for each time, and a row for each time that is missing; the notes say what was done."""
    steps = _steps(times)
    if min(steps, default=0) < 0:
        order = np.argsort(times, kind="stable")
        times, table.values = times[order], table.values[order]
        table.notes.append("rows were not in time order: sorted")
        steps = _steps(times)
    if repeats := steps.pop(0, 0):
        first = np.append(True, times[1:] > times[:-1])
        times, table.values = times[first], table.values[first]
        table.notes.append(f"{repeats:,} rows repeat a time: the first of each was kept")
    if not steps:
        return
    step = table.step = steps.most_common(1)[0][0]
    span = int((times[-1] - times[0]).astype(np.int64))
    if all(other % step == 0 for other in steps) and span // step < MOST_ROWS * len(times):
        table.start, missing = times[0], span // step + 1 - len(times)
        if missing:
            table.notes.append(f"{missing:,} times are missing: a row for each was put in, as a gap")
            at = times.view(np.int64)
            at -= at[0]
            at //= step
            whole = np.full((span // step + 1, table.values.shape[1]), np.nan)
            whole[at] = table.values
            table.values = whole
    else:
        table.irregular = times
        count = sum(steps.values())
        table.notes.append(f"irregular times: {count - steps[step]:,} of {count:,} steps are not the usual {step:,} "
                           "s; the "
                           "rows are taken as they follow each other")


# ---- gaps ----

def _fill(table, how):
    """Fill the gaps of every column and count them."""
    table.filled = ~np.isfinite(table.values)
    if not table.filled.any():
        return
    if not table.values.flags.writeable:
        table.values = np.array(table.values)
    for k, name in enumerate(table.columns):
        count = _fill_column(table.values[:, k], table.filled[:, k], how)
        if count is None:
            raise DataError(f"{table.name}: the column {name!r} has no number in it")
        if count:
            table.notes.append(f"{count:,} gaps in {name} filled "
                               + ("with the value before" if how == "past" else "by linear interpolation"))


def _fill_column(column, gap, how="linear"):
    """Fill ``column`` where ``gap`` says so, in place -> how many, or None where there is nothing to fill from."""
    at = np.flatnonzero(gap)
    if len(at) == len(column):
        return None
    if len(at):
        new = np.append(True, np.diff(at) > 1)  # the first cell of each gap
        run = np.cumsum(new) - 1
        before = (at[new] - 1)[run]
        after = (at[np.append(new[1:], True)] + 1)[run]
        before = np.where(before < 0, after, before)
        after = np.where(after == len(column), before, after)
        left, right = column[before], column[after]
        column[at] = left if how == "past" else left + (right - left) * ((at - before) / np.maximum(after - before, 1))
    return len(at)


def _check_size(name, values, columns):
    for k, column in enumerate(columns):
        most = max(np.fmax.reduce(values[:, k]), -np.fmin.reduce(values[:, k]))  # gaps are left out
        if most > LARGEST:
            row = int(np.nanargmax(np.abs(values[:, k])))
            raise DataError(f"{name}: row {row} of {column!r} holds {values[row, k]:.3g}, too large to compute with; "
                            "mend it, or leave the cell empty")


# ---- sequences of different lengths ----

@dataclass
class Sequences:
    """Labelled sequences, one after another.

    frames (n, C) float64; columns: their C names; starts (S + 1,): sequence s is the rows starts[s] … starts[s+1] − 1;
    labels (S,) numbers into ``classes``; classes: the names of the labels, sorted; notes: lines on what was done;
    names: of the sequences.
    """

    name: str
    frames: np.ndarray
    columns: list
    starts: np.ndarray
    labels: np.ndarray
    classes: list
    notes: list = field(default_factory=list)
    names: list = field(default_factory=list)

    def batch(self, which, mean=0.0, scale=1.0, dtype=np.float32):
        """The sequences ``which`` -> x (B, T, C) standardised and padded with zeros, lengths (B,)."""
        starts = self.starts[which]
        lengths = self.starts[np.asarray(which) + 1] - starts
        steps = np.arange(lengths.max())
        there = steps < lengths[:, None]
        x = np.zeros(there.shape + (len(self.columns),), dtype)
        x[there] = (self.frames[(starts[:, None] + steps)[there]] - mean) / scale
        return x, lengths

    def followed_by(self, other):
        """These sequences and then those of ``other``, which has the same columns and classes."""
        return Sequences(self.name, np.concatenate([self.frames, other.frames]), self.columns,
                         np.concatenate([self.starts, self.starts[-1] + other.starts[1:]]),
                         np.concatenate([self.labels, other.labels]), self.classes, self.notes + other.notes,
                         self.names + other.names)

    def fingerprint(self):
        digest = hashlib.sha256(repr((self.columns, self.classes)).encode())
        for array in (self.frames, self.starts, self.labels):
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()[:16]


def load_sequences(source, sequence="utterance", label="speaker", inputs=None, time=None):
    """Labelled sequences of a text file with one row a frame, -> ``Sequences``, and those of the test part or None.

    Args:
        source: ``"japanese_vowels"``, whose official test part is given too, or a path.
        sequence, label: columns that say to which sequence a row belongs and of which class that is; without labels
            (None) every label is 0, of no class. Rows of one sequence are taken in the order of the file.
        inputs: names of the columns to use; by default all other columns of numbers, but one that counts the frames.

    Raises:
        DataError: also for a sequence of two labels, or one without a single number in a column.
    """
    source = os.fspath(source)
    if source in SHIPPED_SEQUENCES:
        train, test = (_sequences(shipped(file), source, sequence, label, inputs, time)
                       for file in SHIPPED_SEQUENCES[source])
        return train, test
    return _sequences(_existing(source), os.path.basename(source), sequence, label, inputs, time), None


def _sequences(path, name, sequence, label, inputs, time):
    if path.endswith((".npy", ".npz")):
        raise DataError(f"{path}: sequences with labels are read from text files (CSV) only")
    content = read_csv(path, time, [sequence] if label is None else [sequence, label])
    if label is None:
        content.labels[label] = np.zeros(len(content.values), np.int32), []
    if len(content.labels) != 2:
        raise DataError(f"{path}: {sequence!r} is given as the column of the sequence and of the label; two columns "
                        "expected")
    (number, sequence_names), (label_of_row, names) = content.labels.values()
    order = np.argsort(number, kind="stable")
    number, label_of_row = number[order], label_of_row[order]
    new = np.append(True, number[1:] != number[:-1])
    starts = np.append(np.flatnonzero(new), len(number))
    labels = label_of_row[starts[:-1]]
    two = labels[number] != label_of_row
    if two.any():
        which = sequence_names[number[two.argmax()]]
        raise DataError(f"{path}: the sequence {which!r} has two labels, {names[labels[number[two.argmax()]]]!r} and "
                        f"{names[label_of_row[two.argmax()]]!r}; one expected")
    frames, columns, notes = content.values[order], content.columns, list(content.notes)
    if inputs is not None:
        columns = list(inputs)
        for column in columns:
            if column not in content.columns:
                raise DataError(content.refused.get(column) or str(no_column(path, column, content.columns)))
        frames = frames[:, [content.columns.index(column) for column in columns]]
    else:
        counts = np.arange(len(frames)) - starts[:-1][number]
        used = [k for k in range(len(columns)) if not _counts_frames(frames[:, k], counts)]
        columns, frames = [columns[k] for k in used], frames[:, used]
        if content.refused:
            notes.append(f"columns left out, not being numbers: {_listed(content.refused)}")
    if not columns:
        raise DataError(f"{path} has no column of numbers beside the sequence and the label")
    gap, count = np.isnan(frames), 0
    for s, k in zip(*np.nonzero(np.logical_or.reduceat(gap, starts[:-1], axis=0))):
        rows = slice(starts[s], starts[s + 1])
        filled = _fill_column(frames[rows, k], gap[rows, k])
        if filled is None:
            raise DataError(f"{path}: the sequence {sequence_names[s]!r} has no number in the column {columns[k]!r}; "
                            "fill it, or leave the sequence out")
        count += filled
    if count:
        notes.append(f"{count:,} gaps filled by linear interpolation within their sequences")
    _check_size(name, frames, columns)
    rank = sorted(range(len(names)), key=lambda code: _natural(names[code]))
    labels = labels if label is None else np.argsort(rank)[labels]
    return Sequences(name, frames, columns, starts, labels, [names[code] for code in rank], notes,
                     list(sequence_names))


def _counts_frames(column, counts):
    """Does this column only number the frames of each sequence, from whatever start?"""
    return not np.isnan(column).any() and len(counts) > 1 and (column - column[0] == counts).all() and counts.any()


def _natural(text):
    """2 before 10, numbers before words."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
