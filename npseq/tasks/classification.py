"""Classification of sequences of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import DataError
from ..data.sequences import Sequences
from ..nn.scaling import Scaler, Scaling
from .base import Batch
from .metrics import class_metrics
from .recipe import ClassificationRecipe
from .sequence_examples import LabelledExamples, SequenceTask, draw, frames_of


class Frames(LabelledExamples):
    """Sequences as examples, standardised frame by frame, shared by training and inference.

    Arguments and errors as ``LabelledExamples``.
    """

    def __init__(self, sequences: Sequences, scaler: Scaler, classes: list[str] | None = None):
        super().__init__(sequences, scaler, classes)
        self.labels = self.numbers[sequences.labels] if len(self.numbers) else sequences.labels

    @classmethod
    def from_recipe(cls, recipe: ClassificationRecipe, sequences: Sequences) -> Frames:
        """Return the examples of other sequences, prepared in the same way. Errors as the class."""
        return Frames(sequences, recipe.scaler, recipe.classes)

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, T, I) padded to the longest of them, labels (B,), lengths (B,)."""
        return self.examples(rows, dtype)._replace(target=self.labels[rows])

    def to_units(self, y: np.ndarray) -> np.ndarray:
        """Return ``y``: logits stay as they are."""
        return y

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return accuracy, recall per class and confusion matrix (``metrics.class_metrics``) of logits (B, K)."""
        return class_metrics(self.labels[rows], np.argmax(predictions, axis=1), len(self.classes))


class Classification(SequenceTask, Frames):
    """Classify sequences of different lengths.

    The input is the frame, standardised by the frames of the training part; the target is the class. ``train`` and
    ``test`` are ``data.Sequences``. Without ``test``, 15 % of the sequences form the test part and 15 % of the rest the
    validation part, drawn per class with ``seed`` (stratified).

    Raises:
        DataError: for fewer than two classes, or a class with too few sequences to be in each part.
    """

    kind, loss = "classify", "cross_entropy"

    def __init__(self, train: Sequences, test: Sequences | None = None, seed: int = 0):
        self.name, self.classes, self.columns = train.name, train.classes, train.columns
        if test is not None and (test.columns, test.classes) != (train.columns, train.classes):
            raise DataError(f"{train.name}: the training and the test part have different columns or classes")
        if len(self.classes) < 2:
            found = f"one class, {self.classes[0]!r}" if self.classes else "no classes"
            raise DataError(f"{train.name} has {found}; at least two expected")
        rng, n = np.random.default_rng(seed), len(train.labels)
        if test is None:
            rest, tested = self._draw(np.arange(n), train.labels, rng)
        else:
            rest, tested = np.arange(n), np.arange(n, n + len(test.labels))
        kept, validation = self._draw(rest, train.labels, rng)
        self.parts = {"train": kept, "validation": validation, "test": tested}
        self.published = test is not None
        sequences = train if test is None else train.followed_by(test)
        super().__init__(sequences, Scaler.fit(frames_of(sequences, kept)))
        self.input_size, self.output_size = len(self.columns), len(self.classes)

    def _draw(self, rows: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a fraction of the ``rows`` of each class, at least one. Returns the others and those drawn, sorted."""
        parts = []
        for label, name in enumerate(self.classes):
            own = rows[labels[rows] == label]
            if len(own) < 2:
                raise DataError(
                    f"{self.name} has too few sequences of the class {name!r} for a training, a validation "
                    "and a test part; at least 3 expected"
                )
            parts.append(draw(own, rng))
        drawn = np.sort(np.concatenate(parts))
        return np.setdiff1d(rows, drawn), drawn

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics on the test part of two baselines fitted on the training part: always the most frequent
        class; and the class whose mean frame is nearest to the sequence's mean frame (standardised, Euclidean)."""
        train, test = self.parts["train"], self.parts["test"]
        counts = np.bincount(self.labels[train], minlength=self.output_size)
        most = np.broadcast_to(counts, (len(test), len(counts)))
        centres = np.stack(
            [self._mean_frames(train[self.labels[train] == k]).mean(axis=0) for k in range(self.output_size)]
        )
        distances = ((self._mean_frames(test)[:, None] - centres) ** 2).sum(axis=2)
        return {"most frequent class": self.metrics(most, test), "nearest mean frame": self.metrics(-distances, test)}

    def _mean_frames(self, rows: np.ndarray) -> np.ndarray:
        x, _, lengths = self.examples(rows, np.float64)
        assert lengths is not None
        return np.asarray(x.sum(axis=1) / lengths[:, None])

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        return self.describe_sequences("frames", f"{self.output_size} classes")

    def scaling(self) -> Scaling:
        """Return the scaling of ``Model.predict``: frames in data units; the outputs are logits."""
        return Scaling(self.scaler, Scaler.identity(self.output_size))

    def recipe(self) -> ClassificationRecipe:
        """Return what a weights file must keep to prepare new data in the same way."""
        return ClassificationRecipe(data=self.name, inputs=self.columns, classes=self.classes, scaler=self.scaler)
