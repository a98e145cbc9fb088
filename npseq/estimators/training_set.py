"""What the training loop learns from: examples in two parts, with a weight for each sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.sequences import Sequences
from ..nn.scaling import Scaler, Scaling
from ..tasks.base import Batch, Task, WeightedBatch
from ..tasks.sequences import SequenceDataset, draw, frames_of


class TrainingSet(Task):
    """A task for ``TrainingRun``.

    Args:
        examples: with their targets.
        parts: ``"train"`` and ``"validation"``, numbers of sequences.
        weights: (n,), or None.
        loss: name of the loss.
        scaling: of the frames and of the outputs.
    """

    def __init__(
        self,
        examples: SequenceDataset,
        parts: dict[str, np.ndarray],
        weights: np.ndarray | None,
        loss: str,
        scaling: Scaling,
    ) -> None:
        self.dataset, self.parts, self.weights, self.loss = examples, parts, weights, loss
        self.input_size, self.output_size, self._scaling = len(scaling.inputs), len(scaling.outputs), scaling

    def scaling(self) -> Scaling:
        """Return the scaling of the model."""
        return self._scaling

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch | WeightedBatch:
        """Return the sequences ``rows`` with their targets and, if there are weights, their weights."""
        batch: Batch = self.dataset.batch(rows, dtype)
        if self.weights is None or batch.target is None:
            return batch
        return WeightedBatch(batch.x, batch.target, batch.lengths, self.weights[rows].astype(dtype))


def whole(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return parts without a separate validation part: the best epoch is chosen on the training part."""
    return {"train": rows, "validation": rows}


def split(groups: list[np.ndarray], fraction: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw ``fraction`` of each group of sequences for the validation part, at least one of two or more.

    Returns:
        ``"train"`` and ``"validation"``: numbers of sequences, sorted.

    Raises:
        ValueError: if no group has two sequences.
    """
    drawn = [draw(group, rng, fraction)[: len(group) - 1] for group in groups]
    validation = np.sort(np.concatenate(drawn))
    if not len(validation):
        sizes = ", ".join(str(len(group)) for group in groups)
        raise ValueError(
            f"early_stopping needs a group of two or more sequences to draw a validation part; {sizes} given"
        )
    return {"train": np.setdiff1d(np.concatenate(groups), validation), "validation": validation}


def frame_scaler(sequences: Sequences, rows: np.ndarray, weights: np.ndarray | None) -> Scaler:
    """Return the scaler of the frames of the sequences ``rows``, each counted by the weight of its sequence."""
    lengths = np.diff(sequences.starts)[rows]
    return Scaler.fit(frames_of(sequences, rows), None if weights is None else np.repeat(weights[rows], lengths))
