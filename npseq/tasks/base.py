"""What every task has, and what a model learns from: batches of examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..nn.scaling import Scaling

Rows = Any  # an array (n,) of the numbers of examples; of a text (``text.Text``) a range of positions


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


class TrainingTask(Protocol):
    """What a training loop needs of a task: batches of the examples of its parts."""

    @property
    def parts(self) -> Mapping[str, Rows]:
        """``"train"`` and ``"validation"``, each an array of examples. An attribute will do."""

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch | WeightedBatch:
        """Return the examples ``rows`` with their targets."""


class Task(TrainingTask, Examples, Protocol):
    """Training, validation and test examples in batches, and the metrics of the predictions.

    kind, name, loss: texts; ``loss`` is a name of ``losses.LOSSES``; input_size, output_size: I and O; ``parts`` also
    has ``"test"``.

    A task whose examples follow each other (``text.Text``) says so: ``scoring.py`` has what a task does that does not.
    """

    kind: str
    name: str
    loss: str
    input_size: int
    output_size: int

    def metrics(self, predictions: np.ndarray, rows: Rows) -> dict[str, Any]:
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


class StreamedTask(TrainingTask, Protocol):
    """A task whose batches follow each other: what ``scoring.py`` says it has besides."""

    carries: bool

    def streams(self, rows: Rows, batch_size: int) -> Iterable[np.ndarray]:
        """Return the rows of each batch of one pass, in order."""

    def steps(self, batch_size: int) -> int:
        """Return the number of batches in a pass over the training part."""

    def scored_side_by_side(self, rows: Rows) -> int:
        """Return the size of the batches for ``scoring.mean_loss``."""


class Predictor(Protocol):
    """A model that examples can be run through (``nn.Model`` is one)."""

    @property
    def dtype(self) -> np.dtype:
        """The dtype of x."""

    def outputs(self, x: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Return y for the inputs x of a ``Batch``, without a tape and without dropout."""


class Learner(Protocol):
    """A model that can be trained (``nn.Model`` is one).

    theta: all parameters as one flat vector, which an optimiser changes in place. A batch is what the task gives. For a
    task that carries its state (``StreamedTask``) both functions are given ``state=…``, and return the final state too.
    """

    theta: np.ndarray

    @property
    def dtype(self) -> np.dtype:
        """The dtype of x."""

    def loss_and_grad(self, batch: Any, training: bool = True, **state: Any) -> Any:
        """Return the mean loss over the batch and its gradient with respect to theta."""

    def loss_of(self, batch: Any, **state: Any) -> Any:
        """Return the mean loss over the batch, without a tape and without dropout."""


def fingerprint(*parts: Any) -> str:
    """Return 16 hexadecimal digits of a hash of ``parts``, which are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
