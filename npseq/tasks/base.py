"""What every task has, and what a model learns from: batches of examples."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..nn.scaling import Scaling


class Batch(NamedTuple):
    """Examples, one row per sequence.

    x (B, T, I); target (B, O) numbers or (B,) labels, None where they are unknown; lengths (B,) or None.
    """

    x: np.ndarray
    target: np.ndarray | None
    lengths: np.ndarray | None = None


class WeightedBatch(NamedTuple):
    """A ``Batch`` with a weight (B,) for each sequence, by which its loss is multiplied."""

    x: np.ndarray
    target: np.ndarray
    lengths: np.ndarray | None
    weights: np.ndarray


class Examples(Protocol):
    """What a model can be run over: training data, or new data that were prepared in the same way."""

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the inputs of the examples ``rows``; the target is None."""

    def to_units(self, y: np.ndarray) -> np.ndarray:
        """Return a model's outputs (B, O) in data units."""


class Task(Examples, Protocol):
    """Training, validation and test examples in batches, and the metrics of the predictions.

    kind, name, loss: texts; ``loss`` is a name of ``losses.LOSSES``; input_size, output_size: I and O;
    parts: ``"train"``, ``"validation"`` and ``"test"``, each an array of examples.

    A task whose examples follow each other (``text.Text``) says so: ``scoring.py`` has what a task does that does not.
    """

    kind: str
    name: str
    loss: str
    input_size: int
    output_size: int
    parts: dict[str, np.ndarray]

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the examples ``rows`` with their targets."""

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return the scores of predictions, in data units, of the examples ``rows``."""

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics of each baseline on the test part."""

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""

    def scaling(self) -> Scaling | None:
        """Return the scaling of ``Model.predict``."""

    def recipe(self) -> Any:
        """Return what a weights file must keep to prepare new data in the same way (``recipe.py``)."""

    def fingerprint(self) -> str:
        """Return a hash of the data and of how they are prepared: a run is resumed only with the same one."""


def fingerprint(*parts: Any) -> str:
    """Return 16 hexadecimal digits of a hash of ``parts``, which are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
