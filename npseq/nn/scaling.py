"""Standardisation: how data in their own units become a model's inputs, and how its outputs become data again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

CHUNK_ROWS = 1 << 20  # rows processed at a time, to avoid a second copy of a long series


def moments(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and the standard deviation (over n) of each column of ``values`` (n, C).

    A constant column gets the standard deviation 1, so that dividing by it changes nothing. With ``weights`` (n,), from
    0 up, they are Σ w v / Σ w and the root of Σ w (v − mean)² / Σ w: a row of weight 2 counts as two rows.
    """
    slices = [slice(start, start + CHUNK_ROWS) for start in range(0, len(values), CHUNK_ROWS)]
    total = len(values) if weights is None else weights.sum()

    def summed(part: slice, terms: np.ndarray) -> Any:
        return terms.sum(axis=0) if weights is None else weights[part] @ terms

    mean = np.asarray(sum(summed(part, values[part]) for part in slices) / total)
    scale = np.sqrt(sum(summed(part, (values[part] - mean) ** 2) for part in slices) / total)
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)


class Scaler:
    """z = (value − mean) / scale, column by column, and its inverse value = z · scale + mean.

    Args:
        mean, scale: (C,) numbers, or one number for all columns.
    """

    def __init__(self, mean: Any = 0.0, scale: Any = 1.0):
        self.mean, self.scale = np.asarray(mean, np.float64), np.asarray(scale, np.float64)

    @classmethod
    def fit(cls, values: np.ndarray, weights: np.ndarray | None = None) -> Scaler:
        """Return the scaler that standardises the columns of ``values`` (n, C): mean 0 and standard deviation 1.

        With ``weights`` (n,) each row counts by its weight.
        """
        return cls(*moments(values, weights))

    @classmethod
    def identity(cls, columns: int) -> Scaler:
        """Return the scaler of ``columns`` columns that changes nothing."""
        return cls(np.zeros(columns), np.ones(columns))

    @classmethod
    def join(cls, scalers: Sequence[Scaler]) -> Scaler:
        """Return one scaler for the columns of all ``scalers`` side by side."""
        return cls(np.concatenate([s.mean for s in scalers]), np.concatenate([s.scale for s in scalers]))

    def __len__(self) -> int:
        return self.mean.size

    def first(self, columns: int) -> Scaler:
        """Return the scaler of the first ``columns`` columns."""
        return Scaler(self.mean[:columns], self.scale[:columns])

    def repeat(self, times: int) -> Scaler:
        """Return the scaler of all columns, ``times`` times side by side."""
        return Scaler(np.tile(self.mean, times), np.tile(self.scale, times))

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """(…, C) in data units, standardised, in float64."""
        return (values - self.mean) / self.scale

    def to_units(self, z: np.ndarray) -> np.ndarray:
        """(…, C) standardised, in data units, in float64."""
        return np.asarray(z, np.float64) * self.scale + self.mean

    def to_json(self) -> dict[str, list[float]]:
        """Return mean and scale as lists."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Scaler)
            and np.array_equal(self.mean, other.mean)
            and np.array_equal(self.scale, other.scale)
        )

    def __repr__(self) -> str:
        return f"Scaler({self.mean.tolist()}, {self.scale.tolist()})"


class Scaling(NamedTuple):
    """The scaling of a model: ``inputs`` for the I columns of x, ``outputs`` for the O columns of y.

    skip: for each output the column of x whose value at the last row is added to it, in data units, or None: y is then
    a correction of a forecast that x already holds.
    """

    inputs: Scaler
    outputs: Scaler
    skip: list[int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the lists that a weights file keeps: four, and ``skip`` if there is one."""
        lists = {f"{side}_{name}": values for side, scaler in (("input", self.inputs), ("output", self.outputs))
                 for name, values in scaler.to_json().items()}  # fmt: skip
        return lists if self.skip is None else {**lists, "skip": list(self.skip)}

    @classmethod
    def from_json(cls, lists: Mapping[str, Any]) -> Scaling:
        """Return the scaling of ``input_mean``, ``input_scale``, ``output_mean``, ``output_scale`` and ``skip``."""
        inputs, outputs = (Scaler(lists[f"{side}_mean"], lists[f"{side}_scale"]) for side in ("input", "output"))
        return cls(inputs, outputs, lists.get("skip"))
