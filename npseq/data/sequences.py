"""``load_sequences``: labelled sequences from tables, archives and arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..formats.messages import argument
from ..formats.paths import name_of
from .archives import label_of, read_archive
from .arrays import of_nested
from .content import Content, position
from .errors import DataError, listed, no_column
from .limits import load_arrays
from .load import read
from .roles import counts_rows
from .sequence_arrays import from_archive, from_arrays, stacked
from .sequence_set import Sequences as Sequences
from .sequence_set import finished, natural
from .sources import SHIPPED_SEQUENCES, TableOptions, existing, shipped
from .strict_reader import read_strict


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
    allowed = None if options is None else options.max_memory
    file = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    if file is None:
        if hasattr(source, "columns") and (nested := of_nested(source)) is not None:
            source, label = nested, None if isinstance(label, str) else label
        if not hasattr(source, "columns"):
            return from_arrays(source, label, regress), None
    elif file.endswith((".npy", ".npz")):
        arrays = load_arrays(existing(file), allowed)
        return from_arrays(arrays, None if label is None else arrays, regress, name_of(file)), None
    elif (own := label_of(file, allowed)) is not None:
        if (archive := read_archive(file, allowed)) is not None:
            return from_archive(archive, name_of(file), label is not None, regress), None
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
        order, content = content.column(time), content.without(time)
    if order is None:
        return content, name
    codes, names = next(iter(content.labels.values()))
    rank = sorted(range(len(names)), key=lambda code: natural(names[code]))  # the order of the rows does not matter
    codes = np.append(np.argsort(rank), -1).astype(np.int64)[codes]
    content.labels[kept[0]] = codes, [names[code] for code in rank]
    rows = np.lexsort((order, codes))
    if (rows != np.argsort(codes, kind="stable")).any():
        content.notes.append("rows were not in time order: sorted")
    labels = {column: (codes[rows], names) for column, (codes, names) in content.labels.items()}
    return content._replace(values=content.values[rows], labels=labels), name


def _gather(
    content: Content, name: str, labelled: bool, inputs: Sequence[str] | None, number: Any, each_row: bool = False
) -> Sequences:
    """The rows of each sequence one after the other, its label and its name."""
    notes = list(content.notes)
    (codes, names), *others = content.labels.values()
    order = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
    if len(order) < len(codes):
        notes.append(f"{len(codes) - len(order):,} rows name no sequence: left out")
    codes, content = codes[order], content._replace(values=content.values[order])
    if not len(codes):
        raise DataError(f"{name}: no row names its sequence")
    starts = np.append(np.flatnonzero(np.append(True, codes[1:] != codes[:-1])), len(codes))
    lengths = np.diff(starts)
    labels, known = np.zeros(len(lengths), np.int64), np.ones(len(lengths), bool)
    targets, row_labels, classes = None, None, list[str]()
    if number:
        if number not in content.columns:
            raise DataError(content.refused.get(number) or str(no_column(name, number, content.columns)))
        targets = _the_one_of_each(content.column(number), lengths, names, name)
        content, known = content.without(number), ~np.isnan(targets)
    elif labelled and not others:  # by its name and by its number, say
        raise DataError(f"{name}: one column is given for the sequence and for the label; two columns expected")
    elif labelled:
        label, classes = others[0]
        if each_row:
            row_labels = label[order].astype(np.int64)
        else:
            labels = _the_one_of_each(label[order], lengths, names, name, classes)
            known = labels >= 0
    if not known.all():
        notes.append(f"{np.count_nonzero(~known):,} sequences have no label: left out")
    values, columns = _chosen(content, name, lengths, inputs, notes)
    result = Sequences(name, values[np.repeat(known, lengths)], columns, np.append(0, np.cumsum(lengths[known])),
                       labels[known], classes, notes, [one for one, there in zip(names, known) if there],
                       None if targets is None else targets[known], row_labels)  # fmt: skip
    return finished(result)


def _the_one_of_each(
    values: np.ndarray, lengths: np.ndarray, names: Sequence[str], source: str, classes: Sequence[str] | None = None
) -> np.ndarray:
    """The one number, or the code of the one class, of each sequence, in whichever of its rows it is: (S,), NaN or −1
    where there is none."""
    missing, none = (np.isnan(values), np.nan) if classes is None else (values < 0, -1)
    sequence, first = np.repeat(np.arange(len(lengths)), lengths), np.full(len(lengths), none)
    there = np.flatnonzero(~missing)[::-1]
    first[sequence[there]] = values[there]  # the last assignment is the first row's
    two = ~missing & (values != first[sequence])
    if two.any():
        row = int(two.argmax())
        pair = [f"{one:g}" if classes is None else classes[int(one)] for one in (first[sequence[row]], values[row])]
        raise DataError(
            f"{source}: the sequence {names[sequence[row]]!r} has two {'numbers' if classes is None else 'labels'}, "
            f"{pair[0]!r} and {pair[1]!r}; one expected"
        )
    return first


def _chosen(
    content: Content, name: str, lengths: np.ndarray, inputs: Sequence[str] | None, notes: list[str]
) -> tuple[np.ndarray, list[str]]:
    """The columns to use, and their names."""
    columns, values = content.columns, content.values
    if inputs is not None:
        for column in inputs:
            if column not in columns:
                raise DataError(content.refused.get(column) or str(no_column(name, column, columns)))
            if list(inputs).count(column) > 1:
                raise DataError(f"the column {column!r} is named twice: name each input once")
        return values[:, [columns.index(column) for column in inputs]], list(inputs)
    counts = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    used = [k for k, column in enumerate(columns) if not _counts(column, values[:, k], counts, len(columns) > 1)]
    if content.refused:
        notes.append(f"non-numeric columns ignored: {listed(content.refused)}")
    if not used:
        raise DataError(f"{name} has no column of numbers beside the sequence and the label")
    return values[:, used], [columns[k] for k in used]


def _counts(name: str, column: np.ndarray, counts: np.ndarray, others: bool) -> bool:
    """True if a column only counts the frames of each sequence, from any start; or all rows, if there are ``others``."""
    frames = not np.isnan(column).any() and len(counts) > 1 and (column - column[0] == counts).all() and counts.any()
    return bool(frames or others and counts_rows(name, column))


def _one_row_each(
    source: Any, label: Any, options: TableOptions | None, regress: bool, unused: Sequence[str]
) -> Sequences:
    """A row for each sequence of one number a step; empty cells at the end make it shorter."""
    content, name = read(source, None, [] if regress or label is None else [label], options, ragged=True)
    if content.times is not None:
        raise DataError(
            f"{name}: without {argument('sequence')} a row is a sequence of numbers, but there is a column of times"
        )
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
    return stacked(name, steps[:, :, None], labels, classes, notes, regress)
