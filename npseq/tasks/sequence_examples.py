"""Sequences of different lengths as examples: what classification, labelling and regression have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.errors import DataError
from ..data.sequences import Sequences
from ..nn.scaling import Scaler
from .base import Batch, fingerprint

FRACTION = 0.15  # of the sequences in the test part, and of the rest in the validation part


class SequenceExamples:
    """Sequences, standardised frame by frame.

    Args:
        sequences: the data.
        scaler: of their columns.
    """

    def __init__(self, sequences: Sequences, scaler: Scaler):
        self.sequences, self.scaler, self.name = sequences, scaler, sequences.name

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, T, I) padded to the longest of them, lengths (B,), without a target."""
        x, lengths = self.sequences.batch(rows, self.scaler.mean, self.scaler.scale, dtype)
        return Batch(x, None, lengths)


class LabelledExamples(SequenceExamples):
    """Sequences with labels.

    Args:
        sequences, scaler: as ``SequenceExamples``.
        classes: that the model knows, in the order of its outputs; by default those of the sequences.

    Attributes:
        numbers: (number of classes of the sequences,) their numbers in ``classes``.

    Raises:
        DataError: for a label that is none of ``classes``.
    """

    def __init__(self, sequences: Sequences, scaler: Scaler, classes: list[str] | None = None):
        super().__init__(sequences, scaler)
        self.classes = sequences.classes if classes is None else classes
        known = {label: number for number, label in enumerate(self.classes)}
        for label in sequences.classes:
            if label not in known:
                raise DataError(f"{self.name} has the class {label!r}; the model knows {', '.join(self.classes)}")
        self.numbers = np.array([known[label] for label in sequences.classes], int)


class SequenceTask:
    """What a task adds to its ``SequenceExamples``: three parts, the lines about the data, and their hash."""

    if TYPE_CHECKING:  # the examples have these
        name: str
        sequences: Sequences
        columns: list[str]

        def recipe(self) -> Any: ...

    parts: dict[str, np.ndarray]  # the numbers of the sequences of "train", "validation" and "test"
    published = False  # the test part came apart from the training part

    def draw_parts(self, n: int, rng: np.random.Generator, tested: np.ndarray | None = None) -> None:
        """Set ``parts``: of the sequences 0 … n − 1 a fraction is drawn for the test part, unless it is ``tested``, and
        one of the rest for the validation part."""
        rest = np.arange(n)
        if tested is None:
            tested = np.sort(draw(rest, rng))
            rest = np.setdiff1d(rest, tested)
        validation = np.sort(draw(rest, rng))
        self.parts = {"train": np.setdiff1d(rest, validation), "validation": validation, "test": tested}

    def describe_sequences(self, unit: str, target: str) -> list[str]:
        """Return the lines about the data: sequences of so many ``unit``, the columns, the ``target``, the parts."""
        lengths = np.diff(self.sequences.starts)
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return [
            f"data        {self.name}: {len(lengths):,} sequences of {lengths.min()} to {lengths.max()} {unit}, "
            f"{len(self.columns)} columns, {target}",
            *(f"            {note}" for note in self.sequences.notes),
            f"split       {sizes} sequences" + (", the test part as published" if self.published else ""),
        ]

    def fingerprint(self) -> str:
        """Return a hash of the data and of how they are prepared."""
        parts = {part: rows.tolist() for part, rows in self.parts.items()}
        return fingerprint(self.sequences.fingerprint(), parts, self.recipe().to_json())


def frames_of(sequences: Sequences, rows: np.ndarray) -> np.ndarray:
    """Return the frames (n, C) of the sequences ``rows``, end to end."""
    return np.concatenate([sequences.frames[sequences.starts[s] : sequences.starts[s + 1]] for s in rows])


def draw(rows: np.ndarray, rng: np.random.Generator, fraction: float = FRACTION) -> np.ndarray:
    """Draw ``fraction`` of ``rows``, at least one."""
    return rng.permutation(rows)[: max(1, round(fraction * len(rows)))]
