"""Examples that are arrays: what is needed to train a module of one's own with ``fit.fit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..nn.validation import REAL, as_array
from .base import Batch, Task, WeightedBatch

PARTS = "train", "validation", "test"
FRACTIONS = 0.7, 0.15, 0.15


class Arrays(Task):
    """Inputs and targets as arrays; example k is entry k of each.

    Args:
        x: an array (n, …), or a tuple of arrays (n, …): the module's ``forward`` is then given a tuple.
        target: (n, …) numbers or labels.
        lengths: (n,) lengths of the sequences, or None.
        weights: (n,) by which the losses of the examples are multiplied, or None.
        parts: two or three fractions, for training, validation and test; or a mapping of ``"train"``, ``"validation"``
            and perhaps ``"test"`` to arrays of the numbers of examples.
        shuffle: True draws the parts of given fractions at random; False takes them in order, as for windows of a
            series, where a neighbour of a training example tells nearly all of a test example.
        rng: generator or seed that draws them.

    Attributes:
        parts: name -> numbers of examples.

    Raises:
        ValueError: for arrays of different lengths, fractions that do not add up to 1, an empty part, or numbers that
            are no examples or occur in two parts.
    """

    kind = name = "arrays"

    def __init__(
        self,
        x: Any,
        target: Any,
        lengths: Any = None,
        weights: Any = None,
        *,
        parts: Sequence[float] | Mapping[str, Any] = FRACTIONS,
        shuffle: bool = True,
        rng: np.random.Generator | int | None = 0,
    ) -> None:
        self.x = tuple(as_array("x", one, REAL) for one in x) if isinstance(x, tuple) else as_array("x", x, REAL)
        self.target = as_array("target", target, REAL)
        self.lengths = None if lengths is None else as_array("lengths", lengths, "iu")
        self.weights = None if weights is None else as_array("weights", weights, REAL)
        n = len(self.target)
        named = {"target": self.target, "lengths": self.lengths, "weights": self.weights}
        named |= {f"x[{k}]": part for k, part in enumerate(self.x)} if isinstance(self.x, tuple) else {"x": self.x}
        sizes = {name: len(array) for name, array in named.items() if array is not None}
        if set(sizes.values()) != {n}:
            raise ValueError(f"arrays of one length expected; {', '.join(f'{k} {v}' for k, v in sizes.items())} given")
        self.parts = _given(parts, n) if isinstance(parts, Mapping) else _drawn(parts, n, shuffle, rng)

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch | WeightedBatch:
        """Return the examples ``rows`` with their targets; floats in ``dtype``, integers as they are."""
        x, _, lengths = self.examples(rows, dtype)
        target = _cast(self.target[rows], dtype)
        if self.weights is None:
            return Batch(x, target, lengths)
        return WeightedBatch(x, target, lengths, self.weights[rows])

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the inputs of the examples ``rows``."""
        x: Any = tuple(_cast(part[rows], dtype) for part in self.x) if isinstance(self.x, tuple) else self.x[rows]
        return Batch(_cast(x, dtype), None, None if self.lengths is None else self.lengths[rows])


def _cast(array: Any, dtype: Any) -> Any:
    return array.astype(dtype) if getattr(array, "dtype", np.dtype(int)).kind == "f" else array


def _drawn(fractions: Sequence[float], n: int, shuffle: bool, rng: Any) -> dict[str, np.ndarray]:
    if len(fractions) not in (2, 3) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"two or three fractions greater than 0 that add up to 1 expected; {tuple(fractions)} given")
    order = np.random.default_rng(rng).permutation(n) if shuffle else np.arange(n)
    ends = np.round(np.cumsum(fractions)[:-1] * n).astype(int)
    parts = dict(zip(PARTS, np.split(order, ends)))
    if not all(map(len, parts.values())):
        found = ", ".join(f"{name} {len(rows)}" for name, rows in parts.items())
        raise ValueError(f"{n} examples are too few for these fractions: {found}")
    return parts


def _given(parts: Mapping[str, Any], n: int) -> dict[str, np.ndarray]:
    found = {name: np.asarray(rows) for name, rows in parts.items()}
    if not {"train", "validation"} <= set(found) <= set(PARTS):
        raise ValueError(f"parts named train, validation and perhaps test expected; {', '.join(found) or 'none'} given")
    for name, rows in found.items():
        if rows.ndim != 1 or rows.size == 0 or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n:
            raise ValueError(f"the part {name} must be numbers of examples from 0 to {n - 1}; {rows!r:.60} given")
    rows = np.concatenate(list(found.values()))
    if len(np.unique(rows)) < len(rows):
        raise ValueError("an example is in two parts, or twice in one")
    return found
