"""The class of a sequence."""

import numpy as np

from ..data.errors import DataError
from . import features
from .base import Batch, fingerprint
from .metrics import class_metrics


class Classification:
    """Name the class of a sequence; sequences have different lengths.

    The input is the frame, standardised by the frames of the training part; the target the class. ``train`` and
    ``test`` are ``data.Sequences``. Without ``test``, 15 in 100 sequences are kept for the test, and of the others (or
    of ``train``) 15 in 100 for validation: drawn by ``seed``, from each class its share.

    Raises:
        DataError: for fewer than two classes, or a class with too few sequences to be in each part.
    """

    kind, loss = "classify", "cross_entropy"

    def __init__(self, train, test=None, seed=0):
        self.name, self.classes, self.columns = train.name, train.classes, train.columns
        if test is not None and (test.columns, test.classes) != (train.columns, train.classes):
            raise DataError(f"{train.name}: the training and the test part have different columns or classes")
        if len(self.classes) < 2:
            raise DataError(f"{train.name} has one class, {self.classes[0]!r}; at least two expected")
        rng, n = np.random.default_rng(seed), len(train.labels)
        if test is None:
            rest, tested = self._draw(np.arange(n), train.labels, rng)
        else:
            rest, tested = np.arange(n), np.arange(n, n + len(test.labels))
        kept, validation = self._draw(rest, train.labels, rng)
        self.parts = {"train": kept, "validation": validation, "test": tested}
        self.sequences, self.published = train if test is None else train.followed_by(test), test is not None
        self.labels = self.sequences.labels
        starts = self.sequences.starts
        frames = np.concatenate([np.arange(starts[s], starts[s + 1]) for s in kept])
        self.mean, self.spread = features.moments(self.sequences.frames[frames])
        self.input_size, self.output_size = len(self.columns), len(self.classes)

    def _draw(self, rows, labels, rng, share=0.15):
        """Of each class its share of ``rows``, at least one -> the others, those drawn, both in order."""
        drawn = []
        for label, name in enumerate(self.classes):
            own = rows[labels[rows] == label]
            if len(own) < 2:
                raise DataError(
                    f"{self.name} has too few sequences of the class {name!r} for a training, a validation "
                    "and a test part; at least 3 expected"
                )
            drawn.append(rng.permutation(own)[: max(1, round(share * len(own)))])
        drawn = np.sort(np.concatenate(drawn))
        return np.setdiff1d(rows, drawn), drawn

    def batch(self, rows, dtype=np.float32):
        """The sequences ``rows`` -> x (B, T, I) padded to the longest of them, labels (B,), lengths (B,)."""
        x, lengths = self.sequences.batch(rows, self.mean, self.spread, dtype)
        return Batch(x, self.labels[rows], lengths)

    def to_units(self, y):
        """Logits stay as they are."""
        return y

    def metrics(self, logits, rows):
        """Share of right answers, the same for each class (None for one that is not there), and the table of answers:
        one line for each true class, one column for each answer."""
        return class_metrics(self.labels[rows], np.argmax(logits, axis=1), self.output_size)

    def baselines(self):
        """name -> metrics on the test part: always the most frequent class; the class whose mean frame is nearest to
        the sequence's mean frame (standardised, Euclidean), both from the training part."""
        train, test = self.parts["train"], self.parts["test"]
        counts = np.bincount(self.labels[train], minlength=self.output_size)
        most = np.broadcast_to(counts, (len(test), len(counts)))
        centres = np.stack(
            [self._mean_frames(train[self.labels[train] == k]).mean(axis=0) for k in range(self.output_size)]
        )
        distances = ((self._mean_frames(test)[:, None] - centres) ** 2).sum(axis=2)
        return {"most frequent class": self.metrics(most, test), "nearest mean frame": self.metrics(-distances, test)}

    def _mean_frames(self, rows):
        x, _, lengths = self.batch(rows, np.float64)
        return x.sum(axis=1) / lengths[:, None]

    def describe(self):
        """Lines for the header."""
        lengths = np.diff(self.sequences.starts)
        lines = [
            f"data        {self.name}: {len(lengths):,} sequences of {lengths.min()} to {lengths.max()} frames, "
            f"{self.input_size} columns, {self.output_size} classes"
        ]
        lines += [f"            {note}" for note in self.sequences.notes]
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return lines + [f"split       {sizes} sequences" + (", the test part as published" if self.published else "")]

    def scaling(self):
        """Of ``Model.predict``: frames in their own units; the answers are logits."""
        return {
            "input_mean": self.mean.tolist(),
            "input_scale": self.spread.tolist(),
            "output_mean": [0.0] * self.output_size,
            "output_scale": [1.0] * self.output_size,
        }

    def recipe(self):
        """What a weights file remembers of the task, for JSON."""
        return {
            "task": self.kind,
            "data": self.name,
            "inputs": self.columns,
            "classes": self.classes,
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
        }

    def fingerprint(self):
        parts = {part: rows.tolist() for part, rows in self.parts.items()}
        return fingerprint(self.sequences.fingerprint(), parts, self.recipe())
