"""The adding problem, a test of long-term memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import DataError
from .base import Batch, Task
from .recipe import AddingRecipe

LARGEST = 10**9  # steps of all sequences together: 8 GB


class Adding(Task):
    """The adding problem: the sum of the two marked values of a sequence, for a memory of up to ``length`` steps.

    The input at step t is (u_t, m_t) with u_t uniform in [0, 1) and m_t 1 at one step of each half and 0 elsewhere; the
    target is Σ_t m_t u_t. The constant prediction 1 has the mean squared error 2 · 1/12 = 1/6. All sequences are
    generated from ``seed``.

    Source: Hochreiter & Schmidhuber 1997, Neural Computation 9(8), 1735–1780; here with values from 0.

    Raises:
        DataError: for a length below 2, no sequences, or more than ``LARGEST`` steps in all.
    """

    kind, loss, name, input_size, output_size = "adding", "mse", "adding", 2, 1

    def __init__(self, length: int = 50, count: int = 10_000, seed: int = 0, held_out: int = 1_000):
        if length < 2 or count < 1 or held_out < 1:
            raise DataError(
                f"the adding problem with sequences of {length} steps, {count} of them and {held_out} held "
                "out; at least 2, 1 and 1 expected"
            )
        n = count + 2 * held_out
        if n * length > LARGEST:
            raise DataError(f"{n:,} sequences of {length:,} steps given; at most {LARGEST:,} steps in all expected")
        self.length, self.seed = length, seed
        rng = np.random.default_rng(seed)
        self.values = rng.random((n, length))
        self.marked = np.stack([rng.integers(0, length // 2, n), rng.integers(length // 2, length, n)], axis=1)
        self.sums = np.take_along_axis(self.values, self.marked, axis=1).sum(axis=1, keepdims=True)
        rows = np.arange(n)
        self.parts = {"train": rows[:count], "validation": rows[count:-held_out], "test": rows[-held_out:]}

    @classmethod
    def from_recipe(cls, recipe: AddingRecipe) -> Adding:
        """Return the same sequences."""
        return cls(recipe.length, recipe.count, recipe.seed, recipe.held_out)

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, length, 2), without a target."""
        x = np.zeros((len(rows), self.length, 2), dtype)
        x[:, :, 0] = self.values[rows]
        x[np.arange(len(rows))[:, None], self.marked[rows], 1] = 1
        return Batch(x, None)

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the sequences ``rows``: x (B, length, 2), sums (B, 1)."""
        return self.examples(rows, dtype)._replace(target=self.sums[rows].astype(dtype))

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return the mean squared error."""
        return {"mse": float(((predictions - self.sums[rows]) ** 2).mean())}

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the score of the constant prediction 1, which needs no memory."""
        rows = self.parts["test"]
        return {"always 1": self.metrics(np.ones((len(rows), 1)), rows)}

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return [
            f"data        adding problem: the sum of two marked values among {self.length}, from seed {self.seed}; "
            "chance is mse 0.167",
            f"split       {sizes} sequences",
        ]

    def recipe(self) -> AddingRecipe:
        """Return what a weights file must keep to generate the same sequences."""
        return AddingRecipe(
            data=self.name,
            length=self.length,
            count=len(self.parts["train"]),
            held_out=len(self.parts["test"]),
            seed=self.seed,
        )
