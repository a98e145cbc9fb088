"""``Sequences``: sequences of different lengths, each with a label or a number."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .errors import DataError
from .load import check_size
from .missing import fill_column


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


def finished(sequences: Sequences) -> Sequences:
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
        rank = sorted(present.tolist(), key=lambda code: natural(sequences.classes[code]))
        place = np.zeros(len(sequences.classes), np.int64)
        place[rank] = np.arange(len(rank))
        sequences.classes = [sequences.classes[code] for code in rank]
        if sequences.row_labels is None:
            sequences.labels = place[labels]
        else:
            sequences.row_labels = np.append(place, -1)[labels]
    return sequences


def natural(text: str) -> list[tuple[int, float, str]]:
    """The key that sorts -1 before 2 and 2 before 10, numbers before words, and s2 before s10."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return [(0, float(text), "")]
    return [(0, float(part), "") if part.isdecimal() else (1, 0.0, part) for part in re.split(r"(\d+)", text) if part]
