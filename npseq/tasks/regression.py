"""Regression on sequences of different lengths: a number for each sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import DataError
from ..data.sequences import Sequences
from ..nn.scaling import Scaler, Scaling
from .base import Batch
from .recipe import RegressionRecipe
from .sequence_examples import SequenceExamples, SequenceTask, frames_of


class NumberedFrames(SequenceExamples):
    """Sequences as examples with a number each, standardised frame by frame, shared by training and inference.

    Args:
        sequences: with ``targets`` (S,), or None where they are unknown.
        scaler: of their columns. target_scaler: of the numbers.
    """

    def __init__(self, sequences: Sequences, scaler: Scaler, target_scaler: Scaler):
        super().__init__(sequences, scaler)
        self.target_scaler = target_scaler

    @classmethod
    def from_recipe(cls, recipe: RegressionRecipe, sequences: Sequences) -> NumberedFrames:
        """Return the examples of other sequences, prepared in the same way."""
        return NumberedFrames(sequences, recipe.scaler, recipe.target_scaler)

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, T, I), the numbers (B, 1) standardised, lengths (B,)."""
        target = self.target_scaler.standardise(self.numbers(rows))
        return self.examples(rows, dtype)._replace(target=target.astype(dtype))

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers (B, 1) of the sequences ``rows``, in data units."""
        assert self.sequences.targets is not None
        numbers: np.ndarray = self.sequences.targets[rows][:, None]
        return numbers

    def to_units(self, y: np.ndarray) -> np.ndarray:
        """Return standardised outputs (B, 1) in data units, float64."""
        return self.target_scaler.to_units(y)

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return RMSE, MAE and R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)², None if all numbers are equal."""
        truth = self.numbers(rows)
        errors, spread = predictions - truth, truth - truth.mean()
        total = float((spread * spread).sum())
        return {
            "rmse": float(np.sqrt((errors * errors).mean())),
            "mae": float(np.abs(errors).mean()),
            "r2": 1 - float((errors * errors).sum()) / total if total else None,
        }


class SequenceRegression(SequenceTask, NumberedFrames):
    """Predict a number for each sequence; sequences have different lengths.

    The input is the frame and the target the number, both standardised by the training part. Without ``test``, 15 % of
    the sequences form the test part and 15 % of the rest the validation part, drawn with ``seed``.

    Args:
        train, test: ``data.Sequences`` with ``targets``.

    Raises:
        DataError: for too few sequences, or numbers that are not finite.
    """

    kind, loss, output_size = "regress", "mse", 1

    def __init__(self, train: Sequences, test: Sequences | None = None, seed: int = 0):
        if test is not None and test.columns != train.columns:
            raise DataError(f"{train.name}: the training and the test part have different columns")
        sequences = train if test is None else train.followed_by(test)
        if sequences.targets is None or not np.isfinite(sequences.targets).all():
            raise DataError(f"{train.name} has no number for each sequence")
        self.columns, self.published = train.columns, test is not None
        rng, n = np.random.default_rng(seed), len(train.starts) - 1
        if n < (3 if test is None else 2):
            raise DataError(f"{train.name} has {n} sequences: too few for a training, a validation and a test part")
        self.draw_parts(n, rng, None if test is None else np.arange(n, len(sequences.targets)))
        kept = self.parts["train"]
        super().__init__(
            sequences, Scaler.fit(frames_of(sequences, kept)), Scaler.fit(sequences.targets[kept][:, None])
        )
        self.input_size = len(self.columns)

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics on the test part of two baselines fitted on the training part: the mean number; and a
        linear model (least squares) of each column's mean, standard deviation and last value, and the length."""
        train, test = self.parts["train"], self.parts["test"]
        mean = np.full((len(test), 1), self.numbers(train).mean())
        coefficients = np.linalg.lstsq(self._statistics(train), self.numbers(train), rcond=1e-9)[0]
        linear = self._statistics(test) @ coefficients
        return {"mean": self.metrics(mean, test), "linear in simple statistics": self.metrics(linear, test)}

    def _statistics(self, rows: np.ndarray) -> np.ndarray:
        rows_of = [self.sequences.frames[self.sequences.starts[s] : self.sequences.starts[s + 1]] for s in rows]
        z = [self.scaler.standardise(frames) for frames in rows_of]
        columns = [[*frames.mean(axis=0), *frames.std(axis=0), *frames[-1], len(frames), 1.0] for frames in z]
        return np.array(columns)

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        return self.describe_sequences("frames", "a number for each")

    def scaling(self) -> Scaling:
        """Return the scaling of ``Model.predict``."""
        return Scaling(self.scaler, self.target_scaler)

    def recipe(self) -> RegressionRecipe:
        """Return what a weights file must keep to prepare new data in the same way."""
        return RegressionRecipe(
            data=self.name, inputs=self.columns, scaler=self.scaler, target_scaler=self.target_scaler
        )
