"""Labelling: a class for each row of sequences of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import DataError
from ..data.sequences import Sequences
from ..nn.scaling import Scaler, Scaling
from .base import Batch, Predictor
from .metrics import class_metrics
from .recipe import LabellingRecipe
from .scoring import batches
from .sequence_examples import LabelledExamples, SequenceTask, frames_of

IGNORED = -100  # the label of a step that does not count, as ``losses.cross_entropy`` has it
BATCH = 64  # sequences that are predicted at a time


class LabelledFrames(LabelledExamples):
    """Sequences with a class for each row, standardised, shared by training and inference.

    ``sequences`` come from ``data.load_sequences`` with ``each_row``. Arguments and errors as ``LabelledExamples``.
    """

    def __init__(self, sequences: Sequences, scaler: Scaler, classes: list[str] | None = None):
        super().__init__(sequences, scaler, classes)
        numbers = np.append(self.numbers, IGNORED)  # −1, no label, is the last
        given = sequences.row_labels
        self.labels = np.full(len(sequences.frames), IGNORED) if given is None else numbers[given]

    @classmethod
    def from_recipe(cls, recipe: LabellingRecipe, sequences: Sequences) -> LabelledFrames:
        """Return the examples of other sequences, prepared in the same way. Errors as the class."""
        return LabelledFrames(sequences, recipe.scaler, recipe.classes)

    def rows_of(self, some: np.ndarray) -> np.ndarray:
        """Return the numbers of the rows of the sequences ``some``, end to end."""
        starts = self.sequences.starts
        return np.concatenate([np.arange(starts[s], starts[s + 1]) for s in some])

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, T, I) padded to the longest, labels (B, T), −100 where there is none,
        and lengths (B,)."""
        examples = self.examples(rows, dtype)
        B, T = examples.x.shape[:2]
        assert examples.lengths is not None
        target = np.full((B, T), IGNORED)
        target[np.arange(T) < examples.lengths[:, None]] = self.labels[self.rows_of(rows)]
        return examples._replace(target=target)

    def weight(self, rows: np.ndarray) -> int:
        """Return the number of rows of the sequences ``rows`` that have a label."""
        return int((self.labels[self.rows_of(rows)] != IGNORED).sum())

    def predictions(self, model: Predictor, rows: np.ndarray) -> np.ndarray:
        """Return the logits (n, K) of the n rows of the sequences ``rows``, end to end."""
        parts = []
        for some in batches(rows, BATCH):
            x, _, lengths = self.examples(some, model.dtype)
            assert lengths is not None
            parts.append(model.outputs(x, lengths)[np.arange(x.shape[1]) < lengths[:, None]])
        return np.concatenate(parts)

    def to_units(self, y: np.ndarray) -> np.ndarray:
        """Return ``y``: logits stay as they are."""
        return y

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return accuracy, recall per class and confusion matrix (``metrics.class_metrics``) of ``predictions``, over
        the rows that have a label."""
        labels = self.labels[self.rows_of(rows)]
        known = labels != IGNORED
        return class_metrics(labels[known], np.argmax(predictions[known], axis=1), len(self.classes))


class Labelling(SequenceTask, LabelledFrames):
    """Predict a class for each row of sequences of different lengths.

    15 % of the sequences form the test part and 15 % of the rest the validation part, drawn with ``seed``. The scaler
    is fitted on the rows of the training part.

    Raises:
        DataError: for fewer than three sequences, fewer than two classes, or a part without a label.
    """

    kind, loss = "label", "cross_entropy"

    def __init__(self, sequences: Sequences, seed: int = 0):
        name, n, rng = sequences.name, len(sequences.names), np.random.default_rng(seed)
        if n < 3:
            raise DataError(
                f"{name} has {n} sequences; at least 3 expected, for a training, a validation and a test part"
            )
        if len(sequences.classes) < 2:
            raise DataError(f"{name} has {len(sequences.classes)} classes; at least two expected")
        self.draw_parts(n, rng)
        super().__init__(sequences, Scaler.fit(frames_of(sequences, self.parts["train"])))
        for part, rows in self.parts.items():
            if not self.weight(rows):
                raise DataError(f"{name}: no row of the {part} part has a label")
        self.columns = sequences.columns
        self.input_size, self.output_size = len(self.columns), len(self.classes)

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics on the test part of two baselines fitted on the training part: always the most frequent
        class; and the class whose mean row is nearest (standardised, Euclidean), which sees one row alone."""
        train, test = (self.rows_of(self.parts[part]) for part in ("train", "test"))
        train = train[self.labels[train] != IGNORED]
        counts = np.bincount(self.labels[train], minlength=self.output_size)
        frames = self.scaler.standardise(self.sequences.frames)
        distances = np.full((len(test), self.output_size), np.inf)
        for k in np.flatnonzero(counts):
            centre = frames[train[self.labels[train] == k]].mean(axis=0)
            distances[:, k] = ((frames[test] - centre) ** 2).sum(axis=1)
        most = np.broadcast_to(counts, distances.shape)
        rows = self.parts["test"]
        return {"most frequent class": self.metrics(most, rows), "nearest mean row": self.metrics(-distances, rows)}

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        labelled = int((self.labels != IGNORED).sum())
        target = f"{labelled:,} of {len(self.labels):,} rows have one of {self.output_size} classes"
        return self.describe_sequences("rows", target)

    def scaling(self) -> Scaling:
        """Return the scaling of ``Model.predict``: rows in data units; the outputs are logits."""
        return Scaling(self.scaler, Scaler.identity(self.output_size))

    def recipe(self) -> LabellingRecipe:
        """Return what a weights file must keep to prepare new data in the same way."""
        return LabellingRecipe(data=self.name, inputs=self.columns, classes=self.classes, scaler=self.scaler)
