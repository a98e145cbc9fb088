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
        return self if times == 1 else Scaler(np.tile(self.mean, times), np.tile(self.scale, times))

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
    a correction of a forecast that x already holds. patch: rows of the data that are one step of x (``patches``).
    """

    inputs: Scaler
    outputs: Scaler
    skip: list[int] | None = None
    patch: int = 1

    @property
    def rows(self) -> Scaler:
        """The scaler of a row of the data; ``inputs`` is that of a patch of rows."""
        return self.inputs if self.patch == 1 else self.inputs.first(len(self.inputs) // self.patch)

    def to_json(self) -> dict[str, Any]:
        """Return the lists that a weights file keeps: four, ``skip`` if there is one, and the number ``patch``."""
        lists = {f"{side}_{name}": values for side, scaler in (("input", self.inputs), ("output", self.outputs))
                 for name, values in scaler.to_json().items()}  # fmt: skip
        lists |= {} if self.skip is None else {"skip": list(self.skip)}
        return lists if self.patch == 1 else {**lists, "patch": self.patch}

    @classmethod
    def from_json(cls, lists: Mapping[str, Any]) -> Scaling:
        """Return the scaling of ``input_mean``, ``input_scale``, ``output_mean``, ``output_scale``, ``skip`` and
        ``patch``."""
        inputs, outputs = (Scaler(lists[f"{side}_mean"], lists[f"{side}_scale"]) for side in ("input", "output"))
        return cls(inputs, outputs, lists.get("skip"), lists.get("patch", 1))


def patches(x: np.ndarray, size: int, lengths: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Cut sequences into patches of ``size`` rows, each overlapping the next by half, so that a model has fewer steps.

    Args:
        x: (B, T, F), zero past the lengths. lengths: (B,), or None if all are T.

    Returns:
        (B, N, size·F), row after row, the last patch filled up with zeros, and its lengths. A sequence of n ≥ 1 rows
        has 1 + ⌈(n − size) / ⌊size / 2⌋⌉ patches, at least 1.
    """
    if size == 1:
        return x, lengths
    (B, T, F), hop = x.shape, size // 2

    def count(n: Any) -> Any:
        return np.maximum(1, 1 - (size - n) // hop) * (n > 0)

    N = int(count(T))
    filled = np.zeros((B, max(N - 1, 0) * hop + size, F), x.dtype)
    filled[:, :T] = x
    windows = np.lib.stride_tricks.sliding_window_view(filled, size, axis=1)[:, ::hop][:, :N]  # (B, N, F, size)
    cut = np.ascontiguousarray(windows.swapaxes(2, 3)).reshape(B, N, size * F)
    return cut, None if lengths is None else count(np.asarray(lengths))
