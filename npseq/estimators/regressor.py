"""The regressor of sequences, for scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from ..data.sequences import Sequences
from ..nn.losses import LOSSES
from ..nn.scaling import Scaler, Scaling
from ..tasks.regression import NumberedFrames
from .base import SequenceEstimator
from .training_set import frame_scaler


class SequenceRegressor(RegressorMixin, SequenceEstimator):
    """Predict a number for each sequence with a recurrent network, whose last hidden state a linear layer reads.

    X is (n, T, F), or a list of n arrays (T_i, F) or (T_i,) of any lengths, or (n, T): **a row is then a sequence of T
    steps of one feature**, and the model reads its columns in order. Frames and targets are standardised by those of
    the training part; predictions are in the units of y.

    Args:
        loss: ``"mse"``, ``"mae"`` or ``"huber"``, of the standardised numbers.
        early_stopping: as ``SequenceClassifier``; the validation part is drawn from all sequences alike.
        others: those of ``SequenceClassifier``, except ``class_weight``.

    Attributes:
        n_features_in_, model_, history_, n_iter_, best_epoch_: those of ``SequenceClassifier``.
    """

    def __init__(
        self,
        model: str = "optimized_lstm",
        *,
        hidden_size: int = 32,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        forget_bias: float | None = None,
        loss: str = "mse",
        optimizer: str = "adam",
        lr: float = 0.01,
        epochs: int = 30,
        batch_size: int = 16,
        clip: float | None = 1.0,
        weight_decay: float | None = None,
        schedule: str = "constant",
        warmup: int = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        dtype: str = "float32",
        random_state: Any = None,
    ):
        super().__init__(
            model,
            hidden_size=hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            forget_bias=forget_bias,
            optimizer=optimizer,
            lr=lr,
            epochs=epochs,
            batch_size=batch_size,
            clip=clip,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup=warmup,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            dtype=dtype,
            random_state=random_state,
        )
        self.loss = loss

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SequenceRegressor:
        """Train for one pass over X: a new model at the first call, the present one afterwards.

        The frames and targets of the first call set the scaling. The weights are used as they are, so that those of
        different calls can be compared.

        Args:
            X, y, sample_weight: as ``fit``.

        Returns:
            self.

        Raises:
            ValueError: as ``fit``; also with ``early_stopping``, a schedule or L-BFGS, which need all data at once.
            Diverged: the model then has the parameters from before the call.
        """
        return self._partial_fit(X, y, None, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the number (n,) of each sequence, in the units of y, computed in float64 as ``predict_proba`` is.

        Raises:
            NotFittedError: before ``fit``. ValueError: for an X that does not fit.
        """
        return self._outputs(X)[:, 0]

    def _settle_targets(self, y, classes, reset):
        if self.loss not in LOSSES or self.loss == "cross_entropy":
            names = ", ".join(name for name in LOSSES if name != "cross_entropy")
            raise ValueError(f"unknown loss {self.loss!r}; one of {names} expected")
        return y.astype(np.float64)

    def _settle_weights(self, y, weights):
        return weights

    def _groups(self, targets, rows):
        return [rows]

    def _scalings(self, sequences, targets, rows, weights):
        own = None if weights is None else weights[rows]
        return Scaling(frame_scaler(sequences, rows, weights), Scaler.fit(targets[rows][:, None], own))

    def _examples(self, sequences: Sequences, targets: np.ndarray | None = None) -> NumberedFrames:
        if targets is not None:
            sequences = replace(sequences, targets=targets)
        return NumberedFrames(sequences, self.model_.scaling.inputs, self.model_.scaling.outputs)

    def _loss(self):
        return self.loss
