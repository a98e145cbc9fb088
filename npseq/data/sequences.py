"""Labelled sequences of different lengths."""

import hashlib
import os
from dataclasses import dataclass, field

import numpy as np

from .errors import DataError, listed, no_column
from .missing import fill_column
from .sources import SHIPPED_SEQUENCES, existing, shipped
from .table import check_size
from .text_table import read_csv


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
    targets: np.ndarray | None = None  # (S,) a number for each sequence

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
        return Sequences(
            self.name,
            np.concatenate([self.frames, other.frames]),
            self.columns,
            np.concatenate([self.starts, self.starts[-1] + other.starts[1:]]),
            np.concatenate([self.labels, other.labels]),
            self.classes,
            self.notes + other.notes,
            self.names + other.names,
            None if self.targets is None else np.concatenate([self.targets, other.targets]),
        )

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
        train, test = (
            _sequences(shipped(file), source, sequence, label, inputs, time) for file in SHIPPED_SEQUENCES[source]
        )
        return train, test
    return _sequences(existing(source), os.path.basename(source), sequence, label, inputs, time), None


def _sequences(path, name, sequence, label, inputs, time):
    if path.endswith((".npy", ".npz")):
        raise DataError(f"{path}: sequences with labels are read from text files (CSV) only")
    content = read_csv(path, time, [sequence] if label is None else [sequence, label])
    if label is None:
        content.labels[label] = np.zeros(len(content.values), np.int32), []
    if len(content.labels) != 2:
        raise DataError(
            f"{path}: {sequence!r} is given as the column of the sequence and of the label; two columns expected"
        )
    (number, sequence_names), (label_of_row, names) = content.labels.values()
    order = np.argsort(number, kind="stable")
    number, label_of_row = number[order], label_of_row[order]
    new = np.append(True, number[1:] != number[:-1])
    starts = np.append(np.flatnonzero(new), len(number))
    labels = label_of_row[starts[:-1]]
    two = labels[number] != label_of_row
    if two.any():
        which = sequence_names[number[two.argmax()]]
        raise DataError(
            f"{path}: the sequence {which!r} has two labels, {names[labels[number[two.argmax()]]]!r} and "
            f"{names[label_of_row[two.argmax()]]!r}; one expected"
        )
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
            notes.append(f"columns left out, not being numbers: {listed(content.refused)}")
    if not columns:
        raise DataError(f"{path} has no column of numbers beside the sequence and the label")
    gap, count = np.isnan(frames), 0
    for s, k in zip(*np.nonzero(np.logical_or.reduceat(gap, starts[:-1], axis=0))):
        rows = slice(starts[s], starts[s + 1])
        filled = fill_column(frames[rows, k], gap[rows, k])
        if filled is None:
            raise DataError(
                f"{path}: the sequence {sequence_names[s]!r} has no number in the column {columns[k]!r}; "
                "fill it, or leave the sequence out"
            )
        count += filled
    if count:
        notes.append(f"{count:,} gaps filled by linear interpolation within their sequences")
    check_size(name, frames, columns)
    rank = sorted(range(len(names)), key=lambda code: _natural(names[code]))
    labels = labels if label is None else np.argsort(rank)[labels]
    return Sequences(name, frames, columns, starts, labels, [names[code] for code in rank], notes, list(sequence_names))


def _counts_frames(column, counts):
    """Does this column only number the frames of each sequence, from whatever start?"""
    return not np.isnan(column).any() and len(counts) > 1 and (column - column[0] == counts).all() and counts.any()


def _natural(text):
    """2 before 10, numbers before words."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
