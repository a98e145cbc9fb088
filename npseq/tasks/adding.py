"""The adding problem."""

import numpy as np

from ..data.errors import DataError
from .base import Batch, fingerprint


class Adding:
    """The adding problem (Hochreiter & Schmidhuber 1997, Neural Computation 9(8), 1735–1780; here with values from 0):
    the sum of the two marked values of a sequence, which asks for a memory of up to ``length`` steps.

    The input at step t is (u_t, m_t), u_t uniform in [0, 1), m_t 1 at one step of each half and 0 elsewhere; the target
    Σ_t m_t u_t. Always answering 1 has the mean squared error 2 · 1/12 = 1/6. All sequences are made from ``seed``.

    Raises:
        DataError: for a length below 2, or no sequences.
    """

    kind, loss, name, input_size, output_size = "adding", "mse", "adding", 2, 1

    def __init__(self, length=50, count=10_000, seed=0, held_out=1_000):
        if length < 2 or count < 1 or held_out < 1:
            raise DataError(
                f"the adding problem with sequences of {length} steps, {count} of them and {held_out} held "
                "out; at least 2, 1 and 1 expected"
            )
        self.length, self.seed = length, seed
        rng = np.random.default_rng(seed)
        n = count + 2 * held_out
        self.values = rng.random((n, length))
        self.marked = np.stack([rng.integers(0, length // 2, n), rng.integers(length // 2, length, n)], axis=1)
        self.sums = np.take_along_axis(self.values, self.marked, axis=1).sum(axis=1, keepdims=True)
        rows = np.arange(n)
        self.parts = {"train": rows[:count], "validation": rows[count:-held_out], "test": rows[-held_out:]}

    def batch(self, rows, dtype=np.float32):
        """The sequences ``rows`` -> x (B, length, 2), sums (B, 1)."""
        x = np.zeros((len(rows), self.length, 2), dtype)
        x[:, :, 0] = self.values[rows]
        x[np.arange(len(rows))[:, None], self.marked[rows], 1] = 1
        return Batch(x, self.sums[rows].astype(dtype))

    def to_units(self, y):
        """Sums are learned as they are."""
        return y

    def metrics(self, predictions, rows):
        """The mean squared error."""
        return {"mse": float(((predictions - self.sums[rows]) ** 2).mean())}

    def baselines(self):
        """The answer that needs no memory at all."""
        rows = self.parts["test"]
        return {"always 1": self.metrics(np.ones((len(rows), 1)), rows)}

    def describe(self):
        """Lines for the header."""
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return [
            f"data        adding problem: the sum of two marked values among {self.length}, from seed {self.seed}; "
            "chance is mse 0.167",
            f"split       {sizes} sequences",
        ]

    def scaling(self):
        """Of ``Model.predict``: nothing is scaled."""
        return None

    def recipe(self):
        """What a weights file remembers of the task, for JSON."""
        return {
            "task": self.kind,
            "data": self.name,
            "length": self.length,
            "count": len(self.parts["train"]),
            "held_out": len(self.parts["test"]),
            "seed": self.seed,
        }

    def fingerprint(self):
        return fingerprint(self.recipe())
