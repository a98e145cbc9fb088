"""Sequences of different lengths as examples, and the tasks on them: a class or a number for each sequence, or a class
for each row."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..data.errors import DataError, listed, no_column
from ..data.sequences import Sequences
from ..formats.messages import Message, marked
from ..nn.losses import probabilities
from ..nn.scaling import Scaler, Scaling, patches
from .base import BATCH_ROWS, Batch, Dataset, Predictor, Progress, Task, batches, fingerprint
from .metrics import class_metrics
from .recipe import ClassificationRecipe, LabellingRecipe, RegressionRecipe
from .seen import hashes_of

FREQUENT, LINEAR = "most frequent class", "linear in simple statistics"  # baselines
NEAREST_STEPS, PAIRS = 256, 10**8  # of 1-NN: steps and pairs of sequences that are compared at most
FRACTION = 0.15  # of the sequences in the test part, and of the rest in the validation part
IGNORED = -100  # the label of a step that does not count, as ``losses.cross_entropy`` has it
ROWS_BATCH = 64  # sequences whose rows are classified at a time
KINDS = {"class": "classify", "row": "label", "number": "regress"}  # target -> name of the task in a file
TARGETS = {kind: target for target, kind in KINDS.items()}
SequenceRecipe: TypeAlias = ClassificationRecipe | RegressionRecipe  # a ``LabellingRecipe`` is one of the first


class SequenceDataset(Dataset):
    """Sequences as examples, standardised frame by frame, shared by training and inference.

    Args:
        sequences: the data; what is to be predicted may be unknown.
        scaler: of their columns.
        target: ``"class"`` or ``"number"`` for one of each sequence, ``"row"`` for a class of each row.
        classes: that the model knows, in the order of its outputs; by default those of the sequences.
        target_scaler: of the numbers.
        patch: rows that are one step of the model (``scaling.patches``); 1 with a class of each row.

    Attributes:
        labels: numbers of the classes, (S,), or of all rows, end to end, ``IGNORED`` where there is none.

    Raises:
        DataError: for a label that is none of ``classes``.
    """

    def __init__(
        self,
        sequences: Sequences,
        scaler: Scaler,
        target: str = "class",
        classes: list[str] | None = None,
        target_scaler: Scaler | None = None,
        patch: int = 1,
    ):
        if patch > 1 and target == "row":
            raise DataError(f"a patch of {patch} rows has one answer; 1 row expected with a label for each row")
        self.patch = patch
        self.sequences, self.scaler, self.target, self.name = sequences, scaler, target, sequences.name
        self.outputs = "all" if target == "row" else "last"
        self.columns, self.classes = sequences.columns, sequences.classes if classes is None else classes
        self.target_scaler = target_scaler or Scaler.identity(len(self.classes))
        known = {label: number for number, label in enumerate(self.classes)}
        for label in sequences.classes:
            if label not in known:
                raise DataError(f"{self.name} has the class {label!r}; the model knows {', '.join(self.classes)}")
        numbers = np.array([*(known[label] for label in sequences.classes), IGNORED])  # −1, no label, is the last
        if target == "row":
            given = sequences.row_labels
            self.labels = np.full(len(sequences.frames), IGNORED) if given is None else numbers[given]
        else:
            self.labels = numbers[sequences.labels] if sequences.classes else sequences.labels

    @classmethod
    def from_recipe(cls, recipe: SequenceRecipe, sequences: Sequences) -> SequenceDataset:
        """Return the examples of other sequences, prepared in the same way.

        Raises:
            DataError: as the class, or for sequences with other columns.
        """
        for name in recipe.inputs:
            if name not in sequences.columns:
                raise no_column(sequences.name, name, sequences.columns)
        if len(sequences.columns) > len(recipe.inputs):
            raise DataError(
                f"{sequences.name} has the columns {listed(sequences.columns)}; {listed(recipe.inputs)} expected"
            )
        if isinstance(recipe, RegressionRecipe):
            return cls._of(sequences, recipe, target_scaler=recipe.target_scaler)
        return cls._of(sequences, recipe, classes=recipe.classes)

    @staticmethod
    def _of(sequences: Sequences, recipe: SequenceRecipe, **more: Any) -> SequenceDataset:
        return SequenceDataset(sequences, recipe.scaler, TARGETS[recipe.task], patch=recipe.patch, **more)

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, T, I) padded to the longest of them, lengths (B,), without a target."""
        x, lengths = patches(*self._padded(rows, dtype))
        return Batch(x, None, lengths)

    def _padded(self, rows: np.ndarray, dtype: Any = np.float64) -> tuple[np.ndarray, int, np.ndarray]:
        """Return the rows (B, T, F) of the sequences ``rows``, standardised, the patch, and the lengths (B,)."""
        x, lengths = self.sequences.batch(rows, self.scaler.mean, self.scaler.scale, dtype)
        return x, self.patch, lengths

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows`` with their labels (B,) or numbers (B, 1), standardised; with labels of rows
        (B, T), ``IGNORED`` where there is none."""
        examples = self.examples(rows, dtype)
        if self.target == "number":
            return examples._replace(target=self.target_scaler.standardise(self.numbers(rows)).astype(dtype))
        if self.target == "class":
            return examples._replace(target=self.labels[rows])
        assert examples.lengths is not None
        target = np.full(examples.x.shape[:2], IGNORED)
        target[_within(examples)] = self.labels[self.rows_of(rows)]
        return examples._replace(target=target)

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers (B, 1) of the sequences ``rows``, in data units."""
        assert self.sequences.targets is not None
        numbers: np.ndarray = self.sequences.targets[rows][:, None]
        return numbers

    def rows_of(self, some: np.ndarray) -> np.ndarray:
        """Return the row numbers of the sequences ``some``, one sequence after the other."""
        starts = self.sequences.starts
        return np.concatenate([np.arange(starts[s], starts[s + 1]) for s in some])

    def truth(self, rows: np.ndarray) -> np.ndarray:
        """Return the labels of the sequences ``rows``, (B,) or (n,) of all their rows, or the numbers (B, 1)."""
        if self.target == "number":
            return self.numbers(rows)
        found: np.ndarray = self.labels[self.rows_of(rows) if self.target == "row" else rows]
        return found

    def weight(self, rows: np.ndarray) -> int:
        """Return the number of sequences, or of rows that have a label."""
        return int((self.truth(rows) != IGNORED).sum()) if self.target == "row" else len(rows)

    def to_units(self, y: np.ndarray, rows: Any = None) -> np.ndarray:
        """Return logits as they are, standardised numbers (B, 1) in data units."""
        return self.target_scaler.to_units(y) if self.target == "number" else y

    def predictions(
        self, model: Predictor, rows: np.ndarray, batch_size: int = BATCH_ROWS, progress: Progress = iter
    ) -> np.ndarray:
        """Return the logits (B, K) or numbers (B, 1) of the sequences ``rows``, or the logits (n, K) of their n rows,
        end to end."""
        if self.target != "row":
            return super().predictions(model, rows, batch_size, progress)
        parts = []
        for some in progress(list(batches(rows, min(batch_size, ROWS_BATCH)))):
            examples = self.examples(some, model.dtype)
            parts.append(model.outputs(examples.x, examples.lengths)[_within(examples)])
        return np.concatenate(parts)

    def answers(self, predictions: np.ndarray) -> dict[str, Any]:
        """Return the columns of a table of ``predictions``: the numbers, or the classes and all probabilities."""
        if self.target == "number":
            return {"prediction": predictions[:, 0]}
        p = probabilities(predictions)
        answer = [self.classes[k] for k in p.argmax(axis=1)]
        return {"answer": answer, **{f"p_{name}": p[:, k] for k, name in enumerate(self.classes)}}

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return accuracy, recall per class and confusion matrix (``metrics.class_metrics``) of logits, over the rows
        that have a label; of numbers RMSE, MAE and R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)², None if all numbers are equal."""
        truth = self.truth(rows)
        if self.target != "number":
            known = truth != IGNORED
            return class_metrics(truth[known], np.argmax(predictions[known], axis=1), len(self.classes))
        errors, deviation = predictions - truth, truth - truth.mean()
        total = float((deviation * deviation).sum())
        return {
            "rmse": float(np.sqrt((errors * errors).mean())),
            "mae": float(np.abs(errors).mean()),
            "r2": None if total == 0 else 1 - float((errors * errors).sum()) / total,
        }


class SequenceTask(SequenceDataset, Task):
    """Predict a class or a number for each of several sequences of different lengths, or a class for each row.

    The input is the frame, standardised by the frames of the training part, as numbers to be predicted are. Without
    ``test``, 15 % of the sequences form the test part and 15 % of the rest the validation part, drawn with ``seed``,
    and for a class of each sequence drawn per class (stratified).

    Args:
        train, test: ``data.Sequences``.
        target: as ``SequenceDataset``.
        patch: as there; None for ``patch_for`` the training sequences.

    Raises:
        DataError: for fewer than two classes, too few sequences for three parts, a part without a label, or numbers
            that are not finite.
    """

    def __init__(
        self,
        train: Sequences,
        test: Sequences | None = None,
        target: str = "class",
        seed: int = 0,
        patch: int | None = 1,
    ):
        self.kind, self.loss = KINDS[target], "mse" if target == "number" else "cross_entropy"
        if test is not None and (test.columns, test.classes) != (train.columns, train.classes):
            raise DataError(f"{train.name}: the training and the test part have different columns or classes")
        sequences, n = train if test is None else train.followed_by(test), len(train.starts) - 1
        if target == "number":
            if sequences.targets is None or not np.isfinite(sequences.targets).all():
                raise DataError(f"{train.name} has no number for each sequence")
        elif len(train.classes) < 2:
            found = f"one class, {train.classes[0]!r}" if train.classes else "no classes"
            raise DataError(f"{train.name} has {found}; at least two expected")
        if target != "class" and n < (least := 3 if test is None else 2):
            raise DataError(f"{train.name} has {n} sequences: too few for a training, a validation and a test part; "
                            f"at least {least} expected")  # fmt: skip
        groups = [np.arange(n)]
        if target == "class":
            groups = [np.flatnonzero(train.labels == k) for k in range(len(train.classes))]
            if short := [name for name, rows in zip(train.classes, groups) if len(rows) < (3 if test is None else 2)]:
                raise DataError(
                    f"{train.name} has too few sequences of the class {short[0]!r} for a training, a validation "
                    "and a test part; at least 3 expected"
                )
        self.published = test is not None
        tested = np.arange(n, len(sequences.starts) - 1) if self.published else None
        self.parts = _drawn(groups, tested, np.random.default_rng(seed))
        kept = self.parts["train"]
        numbers = Scaler.fit(sequences.targets[kept][:, None]) if target == "number" else None  # type: ignore[index]
        patch = patch or patch_for(np.diff(sequences.starts)[kept])
        super().__init__(sequences, Scaler.fit(frames_of(sequences, kept)), target, None, numbers, patch)
        for part, rows in self.parts.items():
            if not self.weight(rows):
                raise DataError(f"{self.name}: no row of the {part} part has a label")
        self.input_size, self.output_size = patch * len(self.columns), len(self.target_scaler)

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics on the test part of baselines fitted on the training part.

        Classes: always the most frequent class; the class whose mean frame is nearest (standardised, Euclidean) to the
        sequence's mean frame, or to the row; and for whole sequences the class of the nearest sequence (``1-NN``) and
        a linear model (least squares) of each column's mean, standard deviation and last value, and the length.
        Numbers: the mean; and such a linear model.
        """
        train, test = self.parts["train"], self.parts["test"]
        if self.target == "number":
            mean = np.full((len(test), 1), self.numbers(train).mean())
            linear = self._linear(self.numbers(train))
            return {"mean": self.metrics(mean, test), LINEAR: self.metrics(linear, test)}
        labels, points, tested = self.truth(train), self._points(train), self._points(test)
        counts = np.bincount(labels[labels != IGNORED], minlength=self.output_size)
        distances = np.full((len(tested), self.output_size), np.inf)
        for k in np.flatnonzero(counts):
            distances[:, k] = ((tested - points[labels == k].mean(axis=0)) ** 2).sum(axis=1)
        most = np.broadcast_to(counts, distances.shape)
        nearest = "nearest mean row" if self.target == "row" else "nearest mean frame"
        found = {FREQUENT: self.metrics(most, test), nearest: self.metrics(-distances, test)}
        if self.target == "class":
            found[LINEAR] = self.metrics(self._linear(np.eye(self.output_size)[labels]), test)
            if len(train) * len(test) <= PAIRS:
                found["1-NN"] = self.metrics(np.eye(self.output_size)[labels[self._nearest()]], test)
        return found

    def _linear(self, y: np.ndarray) -> np.ndarray:
        """Return the least-squares prediction of y for the test part, given that of the training part."""
        fitted = np.linalg.lstsq(self._statistics(self.parts["train"]), y, rcond=1e-9)[0]
        return np.asarray(self._statistics(self.parts["test"]) @ fitted)

    def _nearest(self) -> np.ndarray:
        """Return for each sequence of the test part the nearest of the training part: Euclidean, all sequences
        stretched to the longest length, or ``NEAREST_STEPS``, by linear interpolation."""
        places = np.linspace(0, 1, min(int(np.diff(self.sequences.starts).max()), NEAREST_STEPS))

        def stretched(rows: np.ndarray) -> np.ndarray:
            each = (self.scaler.standardise(frames_of(self.sequences, row[None])) for row in rows)
            return np.array([[np.interp(places, np.linspace(0, 1, len(z)), c) for c in z.T] for z in each])

        train, test = (stretched(self.parts[part]).reshape(len(self.parts[part]), -1) for part in ("train", "test"))
        nearest: np.ndarray = ((train * train).sum(axis=1) - 2 * test @ train.T).argmin(axis=1)
        return nearest

    def _points(self, rows: np.ndarray) -> np.ndarray:
        """Return the standardised mean frame of each sequence, or all rows."""
        if self.target == "row":
            return self.scaler.standardise(self.sequences.frames[self.rows_of(rows)])
        x, _, lengths = self._padded(rows)
        return np.asarray(x.sum(axis=1) / lengths[:, None])

    def _statistics(self, rows: np.ndarray) -> np.ndarray:
        frames = [self.scaler.standardise(frames_of(self.sequences, row[None])) for row in rows]
        return np.array([[*z.mean(axis=0), *z.std(axis=0), *z[-1], len(z), 1.0] for z in frames])

    def describe(self) -> list[str]:
        """Return the lines about the data: the sequences, what is predicted, and the parts."""
        lengths = np.diff(self.sequences.starts)
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        labelled = int((self.labels != IGNORED).sum())
        target = {
            "class": f"{len(self.classes)} classes",
            "number": "a number for each",
            "row": f"{labelled:,} of {len(self.labels):,} rows have one of {len(self.classes)} classes",
        }[self.target]
        return [
            f"data        {self.name}: {len(lengths):,} sequences of {lengths.min()} to {lengths.max()} "
            f"{'rows' if self.target == 'row' else 'frames'}, {len(self.columns)} columns, {target}",
            *(Message(f"            {marked(note)}") for note in self.sequences.notes),
            f"split       {sizes} sequences" + (", the test part as published" if self.published else ""),
        ]

    def scaling(self) -> Scaling:
        """Return the scaling of ``Model.predict``: frames in data units; logits stay as they are."""
        return Scaling(self.scaler.repeat(self.patch), self.target_scaler, patch=self.patch)

    def recipe(self) -> SequenceRecipe:
        """Return what a weights file must keep to prepare new data in the same way."""
        if self.target == "number":
            return RegressionRecipe(self.name, self.columns, self.scaler, self.target_scaler, self.patch)
        recipe = LabellingRecipe if self.target == "row" else ClassificationRecipe
        return recipe(self.name, self.columns, self.classes, self.scaler, self.patch)

    def kept(self) -> dict[str, Any]:
        """Return what tells the sequences of the training and validation parts (``SequenceMetadata``)."""
        learned = np.concatenate([self.parts["train"], self.parts["validation"]])
        return {"seen": hashes_of(self.sequences, self.columns, learned)}

    def fingerprint(self) -> str:
        """Return a hash of the data and of how they are prepared."""
        parts = {part: rows.tolist() for part, rows in self.parts.items()}
        return fingerprint(self.sequences.fingerprint(), parts, self.recipe().to_json())


def _within(examples: Batch) -> np.ndarray:
    """Return (B, T), True where a step is within its sequence."""
    assert examples.lengths is not None
    within: np.ndarray = np.arange(examples.x.shape[1]) < examples.lengths[:, None]
    return within


def _drawn(groups: list[np.ndarray], tested: np.ndarray | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the parts: a fraction of each group for the test part, unless it is ``tested``, and one of the rest for
    the validation part."""
    if tested is None:
        drawn = [draw(rows, rng) for rows in groups]
        groups = [np.setdiff1d(rows, some) for rows, some in zip(groups, drawn)]
        tested = np.sort(np.concatenate(drawn))
    validation = np.sort(np.concatenate([draw(rows, rng) for rows in groups]))
    return {"train": np.setdiff1d(np.concatenate(groups), validation), "validation": validation, "test": tested}


def patch_for(lengths: np.ndarray) -> int:
    """Return the rows of a patch for a class of each sequence, chosen by cross-validation on the training parts of
    four data sets (``docs/estimators.md``): 16 from a median length of 40; below, 8 if all lengths are equal and from 8
    up, so that a patch is the same part of each sequence; otherwise 1."""
    if np.median(lengths) >= 40:
        return 16
    return 8 if lengths.min() == lengths.max() >= 8 else 1


def frames_of(sequences: Sequences, rows: np.ndarray) -> np.ndarray:
    """Return the frames (n, C) of the sequences ``rows``, end to end."""
    return np.concatenate([sequences.frames[sequences.starts[s] : sequences.starts[s + 1]] for s in rows])


def draw(rows: np.ndarray, rng: np.random.Generator, fraction: float = FRACTION) -> np.ndarray:
    """Draw ``fraction`` of ``rows``, at least one."""
    return rng.permutation(rows)[: max(1, round(fraction * len(rows)))]
