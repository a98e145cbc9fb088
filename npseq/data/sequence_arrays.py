"""Labelled sequences from arrays in memory, and from files that hold one sequence after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formats.messages import argument
from ..nn.validation import OBJECTS, as_array
from .archives import Archive
from .content import Labels
from .errors import DataError, listed
from .numbers import MISSING
from .sequence_set import Sequences, finished


def from_arrays(source: Any, label: Any, regress: bool, name: str = "the data") -> Sequences:
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
    arrays = [as_array("X", one, OBJECTS).astype(np.float64, copy=False) for one in source]
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
        label = as_array("y", label, OBJECTS if regress else None).ravel()
        if len(label) != len(x):
            raise DataError(f"{name} has {len(x)} sequences and {len(label)} labels")
        if regress:
            labels = label.astype(np.float64)
        else:
            known = Labels()
            known.add(["" if one != one or str(one).strip().lower() in MISSING else str(one) for one in label.tolist()])
            labels, classes = known.done()
    return stacked(name, x, labels, classes, [], regress)


def from_archive(archive: Archive, name: str, labelled: bool, regress: bool) -> Sequences:
    """The sequences of a .ts or .arff file."""
    if labelled and archive.labels is None:
        raise DataError(f"{name} has no labels (@classLabel false): labelled sequences expected")
    if labelled and archive.numbers and not regress:
        raise DataError(
            f"{name} has a number for each sequence and no class (@targetLabel true): "
            f"{argument('regress', True)} predicts it"
        )
    labels: Any = archive.labels if labelled else None
    if labelled and regress:
        try:
            labels = [np.nan if one.lower() in MISSING else float(one) for one in archive.labels or ()]
        except ValueError as error:
            raise DataError(f"{name} has classes and no numbers to predict: {error}") from None
    return from_arrays(archive.arrays, labels, regress, name)


def stacked(
    name: str, x: np.ndarray, labels: np.ndarray, classes: list[str], notes: list[str], regress: bool
) -> Sequences:
    """x (N, T, F), NaN after the end of each sequence, as ``Sequences``."""
    if 0 in x.shape:
        raise DataError(f"{name} has no sequence with a number beside its label")
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
    return finished(
        Sequences(name, frames, columns, np.append(0, np.cumsum(lengths[keep])), np.zeros(len(numbers), np.int64) if regress else labels[keep],
                  classes, notes, [str(number) for number in numbers], np.asarray(labels, float)[keep] if regress else None)
    )  # fmt: skip
