"""What every task has, and what a model learns from: batches of examples."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..nn.scaling import Scaling

BATCH_ROWS = 256  # examples in memory at a time, without a tape

Rows = Any  # an array (n,) of the numbers of examples; of a text (``text.Text``) a range of positions
Progress = Callable[[list[np.ndarray]], Iterable[np.ndarray]]  # hands the batches on, and may show a bar meanwhile


class Batch(NamedTuple):
    """Examples, one row per sequence.

    x (B, T, I); target (B, O) numbers, (B,) or (B, T) labels, None where they are unknown; lengths (B,) or None.
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


class TrainingTask(Protocol):
    """The least that a training loop needs of a task: batches of the examples of its parts."""

    @property
    def parts(self) -> Mapping[str, Rows]:
        """``"train"`` and ``"validation"``: arrays of examples. May be an attribute."""

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch | WeightedBatch:
        """Return the examples ``rows`` with their targets."""


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
    task that carries its state (``Task.carries``) both functions are given ``state=…``, and return the final state too.
    """

    theta: np.ndarray

    @property
    def dtype(self) -> np.dtype:
        """The dtype of x."""

    def loss_and_grad(self, batch: Any, training: bool = True, **state: Any) -> Any:
        """Return the mean loss over the batch and its gradient with respect to theta."""

    def loss_of(self, batch: Any, **state: Any) -> Any:
        """Return the mean loss over the batch, without a tape and without dropout."""


class Dataset:
    """What a model can be run over: training data, or new data that were prepared in the same way.

    name: of the data; outputs: ``"last"``, or ``"all"`` if the model answers at every step (as ``nn.Model`` has it).
    """

    name: str
    outputs = "last"

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the inputs of the examples ``rows``; the target is None."""
        raise NotImplementedError

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch | WeightedBatch:
        """Return the examples ``rows`` with their targets."""
        raise NotImplementedError

    def to_units(self, y: np.ndarray, rows: Rows = None) -> np.ndarray:
        """Return a model's outputs (B, O) for the examples ``rows`` in data units; by default they already are."""
        return y

    def weight(self, rows: Rows) -> int:
        """Return how much the mean loss of a batch weighs in the mean over several: the number of its targets."""
        return len(rows)

    def raw_outputs(
        self, model: Predictor, rows: Rows, batch_size: int = BATCH_ROWS, progress: Progress = iter
    ) -> np.ndarray:
        """Return the model's outputs (len(rows), O) for the examples ``rows``, in standardised units."""
        parts = []
        for some in progress(list(batches(rows, batch_size))):
            x, _, lengths = self.examples(some, model.dtype)
            parts.append(model.outputs(x, lengths))
        return np.concatenate(parts)

    def predictions(
        self, model: Predictor, rows: Rows, batch_size: int = BATCH_ROWS, progress: Progress = iter
    ) -> np.ndarray:
        """Return what ``metrics`` takes for the examples ``rows``: the model's outputs (len(rows), O) in data units."""
        return self.to_units(self.raw_outputs(model, rows, batch_size, progress), rows)

    def metrics(self, predictions: np.ndarray, rows: Rows) -> dict[str, Any]:
        """Return the scores of ``predictions`` of the examples ``rows``."""
        raise NotImplementedError


class Task(Dataset):
    """Training, validation and test examples in batches, and the metrics of the predictions.

    kind, loss: texts; ``loss`` is a name of ``losses.LOSSES``; input_size, output_size: I and O; parts: the examples of
    ``"train"``, ``"validation"`` and ``"test"``.

    carries: True if the state of a batch's last step is the state before the next batch's first one; scored: the part
    on which a trained model is scored; window: rows or symbols of an example, 0 if there is no choice.
    """

    kind: str
    loss: str
    input_size: int
    output_size: int
    parts: Mapping[str, Rows]
    carries: bool = False
    scored: str = "test"
    window: int = 0

    @property
    def corrects(self) -> bool:
        """True if the model corrects a prediction that exists without it: untrained it then counts as epoch 0."""
        return False

    def streams(self, rows: Rows, batch_size: int, rng: np.random.Generator | None = None) -> Iterable[np.ndarray]:
        """Yield the rows of each batch of one pass over ``rows``, shuffled by ``rng``, or in order without one."""
        return batches(rows if rng is None else rng.permutation(rows), batch_size)

    def steps(self, batch_size: int) -> int:
        """Return the number of batches in a pass over the training part."""
        return math.ceil(len(self.parts["train"]) / batch_size)

    def scored_side_by_side(self, rows: Rows) -> int:
        """Return the size of the batches in which a part is scored during training."""
        return BATCH_ROWS

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics of each baseline on the test part."""
        raise NotImplementedError

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        raise NotImplementedError

    def scaling(self) -> Scaling | None:
        """Return the scaling of ``Model.predict``; None if nothing is scaled."""
        return None

    def prepare(self, model: Any) -> None:
        """Change a new model before its training; here it stays as it is."""

    def recipe(self) -> Any:
        """Return what a weights file must keep to prepare new data in the same way (``recipe.py``)."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return what was asked for besides a ``TrainingConfig``, where it is not the default."""
        return {}

    def kept(self) -> dict[str, Any]:
        """Return what a weights file keeps of the data besides the recipe: further fields of its ``Metadata``."""
        return {}

    def fingerprint(self) -> str:
        """Return a hash of the data and of how they are prepared: a run is resumed only with the same one."""
        return fingerprint(self.recipe().to_json())


class TwoParts(Task):
    """Any ``TrainingTask``, two parts and batches, with the defaults of ``Task`` for the rest."""

    def __init__(self, task: TrainingTask):
        self.parts = task.parts
        self.batch = task.batch  # type: ignore[method-assign]


def as_task(task: TrainingTask) -> Task:
    """Return ``task``, or if it has no more than parts and batches, a ``Task`` of them."""
    return task if isinstance(task, Task) else TwoParts(task)


def batches(rows: Rows, size: int = BATCH_ROWS) -> Iterator[np.ndarray]:
    """Yield ``rows`` in slices of at most ``size``."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def fingerprint(*parts: Any) -> str:
    """Return 16 hexadecimal digits of a hash of ``parts``, which are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
