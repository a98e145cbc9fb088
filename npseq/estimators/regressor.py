"""A scikit-learn regressor for sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from ..data.sequences import Sequences
from ..nn.scaling import Scaler, Scaling
from ..tasks.sequences import SequenceDataset
from ..training.config import DEFAULTS, TrainingConfig
from .base import SequenceEstimator, updates_in_batches
from .inputs import check_size

if TYPE_CHECKING:
    from typing_extensions import Self


class SequenceRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """Predict a number for each sequence with a recurrent network, whose last hidden state a linear layer reads.

    X is (n, T, F), or a list of n arrays (T_i, F) or (T_i,) of any lengths, or (n, T): **a row is then a sequence of T
    steps of one feature**, and the model reads its columns in order. Frames and targets are standardised by those of
    the training part; predictions are in the units of y.

    Args:
        loss: ``"mse"``, ``"mae"`` or ``"huber"``, of the standardised numbers.
        early_stopping: as ``SequenceClassifier``; the validation part is drawn from all sequences alike.
        others: those of ``SequenceClassifier``, except ``class_weight``.

    The attributes are those of ``SequenceClassifier``, except ``classes_``.
    """

    def __init__(
        self,
        model: str = "optimized_lstm",
        *,
        hidden_size: int = TrainingConfig.hidden_size,
        num_layers: int = TrainingConfig.num_layers,
        bidirectional: bool = TrainingConfig.bidirectional,
        read: str = TrainingConfig.read,
        patch: int | None = 1,
        dropout: float = TrainingConfig.dropout,
        recurrent_dropout: float = TrainingConfig.recurrent_dropout,
        forget_bias: float | None = TrainingConfig.forget_bias,
        loss: str = "mse",
        optimizer: str = TrainingConfig.optimizer,
        lr: float = DEFAULTS["regressor"]["lr"],
        epochs: int = DEFAULTS["regressor"]["epochs"],
        batch_size: int = DEFAULTS["alone"]["batch_size"],
        clip: float = TrainingConfig.clip,
        weight_decay: float | None = TrainingConfig.weight_decay,
        schedule: str = "constant",
        warmup: int = TrainingConfig.warmup,
        early_stopping: bool = False,
        validation_fraction: float = DEFAULTS["early_stopping"]["validation_fraction"],
        n_iter_no_change: int = DEFAULTS["early_stopping"]["n_iter_no_change"],
        dtype: str = TrainingConfig.dtype,
        random_state: Any = None,
    ) -> None:
        self._store(locals())

    @available_if(updates_in_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one pass over X: a new model at the first call, the present one afterwards.

        The first call sets the scaling of the frames and targets. The weights are used as they are, so that those of
        different calls can be compared. There is no such method with ``optimizer="lbfgs"``.

        Args:
            X, y, sample_weight: as ``fit``.

        Returns:
            self.

        Raises:
            ValueError: as ``fit``; also with ``early_stopping`` or a schedule, which need the whole training. Diverged:
                the model then has the parameters from before the call.
        """
        return self._partial_fit(X, y, None, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the number (n,) of each sequence, in the units of y, computed in float64.

        Raises:
            NotFittedError: before ``fit``. ValueError: for an X that does not fit.
        """
        return self._outputs(X)[:, 0]

    def _targets(self, y: np.ndarray, classes: Any, first: bool) -> np.ndarray:
        check_size("y", y)
        return y.astype(np.float64)

    def _weights(self, targets: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        return weights

    def _groups(self, targets: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
        return [rows]

    def _scaling(
        self, sequences: Sequences, targets: np.ndarray, rows: np.ndarray, weights: np.ndarray | None
    ) -> Scaling:
        own = None if weights is None else weights[rows]
        return self._scaling_of(sequences, rows, weights, Scaler.fit(targets[rows][:, None], own))

    def _examples(self, sequences: Sequences, scaling: Scaling, targets: np.ndarray | None = None) -> SequenceDataset:
        if targets is not None:
            sequences = replace(sequences, targets=targets)
        return SequenceDataset(sequences, scaling.rows, "number", None, scaling.outputs, scaling.patch)
