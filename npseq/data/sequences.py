"""Sequences of different lengths, each with a label or a number."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..formats.paths import name_of
from .archives import Archive, label_of, read_archive
from .content import Content, Labels, position
from .errors import DataError, listed, no_column
from .limits import load_arrays
from .load import check_size, read
from .missing import fill_column
from .numbers import MISSING
from .roles import counts_rows
from .sources import SHIPPED_SEQUENCES, TableOptions, existing, shipped
from .strict_reader import read_strict


@dataclass
class Sequences:
    """Labelled sequences, end to end.

    frames (n, C) float64; columns: their C names; starts (S + 1,): sequence s is the rows starts[s] … starts[s+1] − 1;
    labels (S,) numbers into ``classes``; classes: the names of the labels, sorted; notes: lines on what was done;
    names: of the sequences; targets (S,) float64: a number for each sequence instead of a class, or None; row_labels
    (n,): a class for each row instead, −1 where there is none, or None.
    """

    name: str
    frames: np.ndarray
    columns: list[str]
    starts: np.ndarray
    labels: np.ndarray
    classes: list[str]
    notes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    targets: np.ndarray | None = None
    row_labels: np.ndarray | None = None

    def batch(
        self, which: np.ndarray, mean: Any = 0.0, scale: Any = 1.0, dtype: Any = np.float32
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the sequences ``which`` as x (B, T, C), standardised and padded with zeros, and their lengths (B,)."""
        starts = self.starts[which]
        lengths = self.starts[np.asarray(which) + 1] - starts
        steps = np.arange(lengths.max())
        there = steps < lengths[:, None]
        x = np.zeros(there.shape + (len(self.columns),), dtype)
        x[there] = (self.frames[(starts[:, None] + steps)[there]] - mean) / scale
        return x, lengths

    def followed_by(self, other: Sequences) -> Sequences:
        """Return these sequences and then those of ``other``, which has the same columns and classes."""
        return replace(
            self,
            frames=np.concatenate([self.frames, other.frames]),
            starts=np.concatenate([self.starts, self.starts[-1] + other.starts[1:]]),
            labels=np.concatenate([self.labels, other.labels]),
            notes=self.notes + other.notes,
            names=self.names + other.names,
            targets=None if self.targets is None else np.concatenate([self.targets, other.targets]),
        )

    def fingerprint(self) -> str:
        """Return a hash of the frames and the labels, to tell whether a run is continued on the same data."""
        digest = hashlib.sha256(repr((self.columns, self.classes)).encode())
        more = [array for array in (self.targets, self.row_labels) if array is not None]
        for array in (self.frames, self.starts, self.labels, *more):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def load_sequences(
    source: Any,
    sequence: str | None = "utterance",
    label: Any = "speaker",
    inputs: Sequence[str] | None = None,
    time: str | None = None,
    options: TableOptions | None = None,
    regress: bool = False,
    unused: Sequence[str] = (),
    each_row: bool = False,
) -> tuple[Sequences, Sequences | None]:
    """Read labelled sequences.

    Args:
        source: ``"japanese_vowels"``, whose official test part is returned too; a table (anything ``load`` reads) with a
            row for each frame, or, with ``sequence=None``, a row for each sequence of one number a step (empty cells at
            the end make it shorter); a .ts or .arff file of labelled sequences; a .npz file or dict of X (N, T) or (N, T, F) and y; or a list of arrays (T_i, F).
        sequence, label: the columns that say to which sequence a row belongs, and its class. With ``label=None`` every
            label is 0. For arrays in memory ``label`` is a list of labels.
        inputs: names of the columns to use; by default all other numeric columns, except a frame counter.
        time: the column that orders the frames of each sequence, also a number; by default the first one of times.
        options: of a table of text. regress: True if the label is a number to be predicted and not a class.
        unused: columns that are no inputs, such as labels that are not needed.
        each_row: True if a table's label is one of the row, not of the sequence; an empty cell is no label.

    Raises:
        DataError: also for a sequence with two labels, or without a number in a column.
    """
    if isinstance(source, str) and source in SHIPPED_SEQUENCES:
        files = [shipped(file) for file in SHIPPED_SEQUENCES[source]]
        contents = [read_strict(file, file, time, [one for one in (sequence, label) if one]) for file in files]
        train, test = (_gather(content, source, label is not None, inputs, False) for content in contents)
        return train, test
    if not isinstance(source, (str, os.PathLike)):
        if not hasattr(source, "columns"):
            return _from_arrays(source, label, regress), None
    elif os.fspath(source).endswith((".npy", ".npz")):
        arrays = load_arrays(existing(os.fspath(source)), None if options is None else options.max_memory)
        return _from_arrays(arrays, None if label is None else arrays, regress, name_of(os.fspath(source))), None
    elif (own := label_of(os.fspath(source))) is not None:
        if (archive := read_archive(os.fspath(source))) is not None:
            return _from_archive(archive, name_of(os.fspath(source)), label is not None, regress), None
        sequence, label = (None, own) if (sequence, label) == ("utterance", "speaker") else (sequence, label)
    if sequence is None:
        return _one_row_each(source, label, options, regress, unused), None
    if sequence == label:
        raise DataError(f"{sequence!r} is given as the column of the sequence and of the label; two columns expected")
    kept = [sequence] if label is None or regress else [sequence, label]
    content, name = _read_ordered(source, time, kept, options)
    labelled = label is not None and not regress
    return _gather(content, name, labelled, inputs, label if regress else None, each_row), None


def _read_ordered(
    source: Any, time: str | None, kept: Sequence[str], options: TableOptions | None
) -> tuple[Content, str]:
    """The content with its rows in time order (told), where ``time`` may also be a column of numbers."""
    try:
        content, name = read(source, time, kept, options)
        order = content.times
    except DataError as error:
        if time is None:
            raise
        content, name = read(source, None, kept, options)
        if time not in content.columns:
            raise error from None
        k = content.columns.index(time)
        order = content.values[:, k]
        columns = [column for column in content.columns if column != time]
        content = content._replace(values=np.delete(content.values, k, axis=1), columns=columns)
    if order is None:
        return content, name
    codes, names = next(iter(content.labels.values()))
    rank = sorted(range(len(names)), key=lambda code: _natural(names[code]))  # the order of the rows does not matter
    codes = np.append(np.argsort(rank), -1).astype(np.int64)[codes]
    content.labels[kept[0]] = codes, [names[code] for code in rank]
    rows = np.lexsort((order, codes))
    if (rows != np.argsort(codes, kind="stable")).any():
        content.notes.append("rows were not in time order: sorted")
    labels = {column: (codes[rows], names) for column, (codes, names) in content.labels.items()}
    return content._replace(values=content.values[rows], labels=labels), name


def _gather(
    content: Content,
    name: str,
    labelled: bool,
    inputs: Sequence[str] | None,
    number: Any,
    each_row: bool = False,
) -> Sequences:
    """The rows of each sequence one after the other, its label and its name."""
    notes = list(content.notes)
    codes, names = next(iter(content.labels.values()))
    order = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
    if len(order) < len(codes):
        notes.append(f"{len(codes) - len(order):,} rows name no sequence: left out")
    codes, values = codes[order], content.values[order]
    if not len(codes):
        raise DataError(f"{name}: no row names its sequence")
    starts = np.append(np.flatnonzero(np.append(True, codes[1:] != codes[:-1])), len(codes))
    targets, row_labels = None, None
    classes: list[str] = []
    if number:
        if number not in content.columns:
            raise DataError(content.refused.get(number) or str(no_column(name, number, content.columns)))
        k = content.columns.index(number)
        targets = _the_one_of_each(values[:, k], np.isnan(values[:, k]), starts, names, name, "numbers", None)
        values, columns = np.delete(values, k, axis=1), [column for column in content.columns if column != number]
        content = content._replace(columns=columns)
        labels, known = np.zeros(len(starts) - 1, np.int64), ~np.isnan(targets)
    elif labelled and len(content.labels) < 2:  # by its name and by its number, say
        raise DataError(f"{name}: one column is given for the sequence and for the label; two columns expected")
    elif labelled and each_row:
        label, classes = [*content.labels.values()][1]
        row_labels = label[order].astype(np.int64)
        labels, known = np.zeros(len(starts) - 1, np.int64), np.ones(len(starts) - 1, bool)
    elif labelled:
        label, classes = [*content.labels.values()][1]
        labels = _the_one_of_each(label[order], label[order] < 0, starts, names, name, "labels", classes)
        known = labels >= 0
    else:
        labels, known = np.zeros(len(starts) - 1, np.int64), np.ones(len(starts) - 1, bool)
    if not known.all():
        notes.append(f"{np.count_nonzero(~known):,} sequences have no label: left out")
    values, columns = _chosen(content, name, values, starts, inputs, notes)
    lengths = np.diff(starts)
    result = Sequences(name, values[np.repeat(known, lengths)], columns, np.append(0, np.cumsum(lengths[known])),
                       labels[known], classes, notes, [one for one, there in zip(names, known) if there],
                       None if targets is None else targets[known], row_labels)  # fmt: skip
    return _finished(result)


def _the_one_of_each(
    values: np.ndarray,
    missing: np.ndarray,
    starts: np.ndarray,
    names: Sequence[str],
    source: str,
    what: str,
    classes: Sequence[str] | None,
) -> np.ndarray:
    """The one value of each sequence, wherever it stands in its rows: (S,), −1 or NaN where there is none."""
    sequence = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    first = np.full(len(starts) - 1, -1 if classes is not None else np.nan)
    there = np.flatnonzero(~missing)[::-1]
    first[sequence[there]] = values[there]  # the last assignment is the first row's
    two = ~missing & (values != first[sequence])
    if two.any():
        row = int(two.argmax())
        pair = [
            classes[int(value)] if classes is not None else f"{value:g}"
            for value in (first[sequence[row]], values[row])
        ]
        raise DataError(
            f"{source}: the sequence {names[sequence[row]]!r} has two {what}, {pair[0]!r} and {pair[1]!r}; one expected"
        )
    return first.astype(np.int64) if classes is not None else first


def _chosen(
    content: Content,
    name: str,
    values: np.ndarray,
    starts: np.ndarray,
    inputs: Sequence[str] | None,
    notes: list[str],
) -> tuple[np.ndarray, list[str]]:
    """The columns to use, and their names."""
    columns = content.columns
    if inputs is not None:
        for column in inputs:
            if column not in columns:
                raise DataError(content.refused.get(column) or str(no_column(name, column, columns)))
            if list(inputs).count(column) > 1:
                raise DataError(f"the column {column!r} is named twice: name each input once")
        return values[:, [columns.index(column) for column in inputs]], list(inputs)
    sequence = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    counts = np.arange(len(values)) - starts[sequence]
    used = [
        k
        for k in range(len(columns))
        if not (_counts_frames(values[:, k], counts) or counts_rows(columns[k], values[:, k]) and len(columns) > 1)
    ]
    if content.refused:
        notes.append(f"non-numeric columns ignored: {listed(content.refused)}")
    if not used:
        raise DataError(f"{name} has no column of numbers beside the sequence and the label")
    return values[:, used], [columns[k] for k in used]


def _finished(sequences: Sequences) -> Sequences:
    """Fill missing values within each sequence, check the sizes, sort the classes, drop those that do not occur."""
    name, frames, starts = sequences.name, sequences.frames, sequences.starts
    if len(starts) < 2:
        raise DataError(f"{name} has no sequence with a label")
    check_size(name, frames, sequences.columns)
    missing, count = np.isnan(frames), 0
    for s, k in zip(*np.nonzero(np.logical_or.reduceat(missing, starts[:-1], axis=0))):
        rows = slice(starts[s], starts[s + 1])
        filled = fill_column(frames[rows, k], missing[rows, k])
        if filled is None:
            raise DataError(
                f"{name}: the sequence {sequences.names[s]!r} has no number in the column {sequences.columns[k]!r}; "
                "fill it, or leave the sequence out"
            )
        count += filled
    if count:
        sequences.notes.append(f"{count:,} gaps filled by linear interpolation within their sequences")
    if sequences.classes:
        labels = sequences.labels if sequences.row_labels is None else sequences.row_labels
        present = np.unique(labels[labels >= 0])
        rank = sorted(present.tolist(), key=lambda code: _natural(sequences.classes[code]))
        place = np.zeros(len(sequences.classes), np.int64)
        place[rank] = np.arange(len(rank))
        sequences.classes = [sequences.classes[code] for code in rank]
        if sequences.row_labels is None:
            sequences.labels = place[labels]
        else:
            sequences.row_labels = np.append(place, -1)[labels]
    return sequences


def _one_row_each(
    source: Any, label: Any, options: TableOptions | None, regress: bool, unused: Sequence[str]
) -> Sequences:
    """A row for each sequence of one number a step; empty cells at the end make it shorter."""
    content, name = read(source, None, [] if regress or label is None else [label], options, ragged=True)
    if content.times is not None:
        raise DataError(f"{name}: without --sequence a row is a sequence of numbers, but there is a column of times")
    values, columns, notes = content.values, content.columns, list(content.notes)
    everything = content.all_columns
    aside = [everything[position(name, everything, column)] for column in ([label] if regress else unused)]
    if regress and aside[0] not in columns:
        raise DataError(content.refused[aside[0]])
    counters = [one for k, one in enumerate(columns) if counts_rows(one, values[:, k]) and one not in aside]
    left_out = [*counters, *(one for one in content.refused if one not in aside)]
    if left_out:
        notes.append(f"columns left out: {listed(left_out)}")
    steps = values[:, [k for k, one in enumerate(columns) if one not in counters + aside]]
    labels, classes = next(iter(content.labels.values()), (np.zeros(len(values), np.int64), []))
    labels = values[:, columns.index(aside[0])] if regress else labels
    return _stacked(name, steps[:, :, None], labels, classes, notes, regress)


def _from_arrays(source: Any, label: Any, regress: bool, name: str = "the data") -> Sequences:
    """X and y in memory: arrays, a dict of them, or a list of (T_i, F) arrays."""
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(label, (list, np.ndarray)):
        source, label = source
    if isinstance(source, Mapping):
        x, y = (
            next((source[key] for key in keys if key in source), None)
            for keys in (("X", "x", "data"), ("y", "Y", "labels", "label"))
        )
        if x is None or label is not None and y is None:
            raise DataError(f"{name} has the arrays {listed(source)}; X (N, T) or (N, T, F) and y (N,) expected")
        source, label = x, None if label is None else y
    arrays = [np.asarray(one, np.float64) for one in source]
    if not arrays or any(one.ndim not in (1, 2) for one in arrays) or len({one.shape[1:] for one in arrays}) > 1:
        raise DataError(
            f"{name}: sequences of shape (T,) or (T, F) with one F expected, got {listed(str(one.shape) for one in arrays)}"
        )
    width = max(map(len, arrays))
    x = np.full((len(arrays), width, arrays[0].shape[1] if arrays[0].ndim == 2 else 1), np.nan)
    for row, one in zip(x, arrays):
        row[: len(one)] = one.reshape(len(one), x.shape[2])
    labels: np.ndarray = np.zeros(len(x), np.int64)
    classes: list[str] = []
    if label is not None:
        label = np.asarray(label).ravel()
        if len(label) != len(x):
            raise DataError(f"{name} has {len(x)} sequences and {len(label)} labels")
        if regress:
            labels = label.astype(np.float64)
        else:
            known = Labels()
            known.add(["" if one != one or str(one).strip().lower() in MISSING else str(one) for one in label.tolist()])
            labels, classes = known.done()
    return _stacked(name, x, labels, classes, [], regress)


def _from_archive(archive: Archive, name: str, labelled: bool, regress: bool) -> Sequences:
    """The sequences of a .ts or .arff file."""
    if labelled and archive.labels is None:
        raise DataError(f"{name} has no labels (@classLabel false): labelled sequences expected")
    if labelled and archive.numbers and not regress:
        raise DataError(f"{name} has a number for each sequence and no class (@targetLabel true): --regress predicts it")
    return _from_arrays(archive.arrays, archive.labels if labelled else None, regress, name)


def _stacked(
    name: str, x: np.ndarray, labels: np.ndarray, classes: list[str], notes: list[str], regress: bool
) -> Sequences:
    """x (N, T, F), NaN after the end of each sequence, as ``Sequences``."""
    there = ~np.isnan(x).all(axis=2)
    lengths = np.where(there.any(axis=1), x.shape[1] - there[:, ::-1].argmax(axis=1), 0)
    known = ~np.isnan(labels) if regress else labels >= 0
    for what, none in (("are empty", lengths == 0), ("have no label", ~known & (lengths > 0))):
        if none.any():
            notes.append(f"{np.count_nonzero(none):,} sequences {what}: left out")
    keep = known & (lengths > 0)
    frames = x[keep][np.arange(x.shape[1]) < lengths[keep][:, None]]
    columns = ["value"] if x.shape[2] == 1 else [f"x{k}" for k in range(x.shape[2])]
    numbers = np.flatnonzero(keep)
    return _finished(
        Sequences(name, frames, columns, np.append(0, np.cumsum(lengths[keep])), np.zeros(len(numbers), np.int64) if regress else labels[keep],
                  classes, notes, [str(number) for number in numbers], np.asarray(labels, float)[keep] if regress else None)
    )  # fmt: skip


def _counts_frames(column: np.ndarray, counts: np.ndarray) -> bool:
    """True if this column is only a frame counter, from any starting value."""
    return bool(
        not np.isnan(column).any() and len(counts) > 1 and (column - column[0] == counts).all() and counts.any()
    )


def _natural(text: str) -> list[tuple[int, float, str]]:
    """The key that sorts -1 before 2 and 2 before 10, numbers before words, and s2 before s10."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return [(0, float(text), "")]
    return [(0, float(part), "") if part.isdecimal() else (1, 0.0, part) for part in re.split(r"(\d+)", text) if part]
