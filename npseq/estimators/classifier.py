"""The classifier of sequences, for scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from ..data.sequences import Sequences
from ..nn.losses import probabilities
from ..nn.scaling import Scaler, Scaling
from ..tasks.classification import Frames
from .base import SequenceEstimator
from .training_set import frame_scaler


class SequenceClassifier(ClassifierMixin, SequenceEstimator):
    """Classify sequences with a recurrent network, whose last hidden state a linear layer reads.

    X is (n, T, F), or a list of n arrays (T_i, F) or (T_i,) of any lengths, or (n, T): **a row is then a sequence of T
    steps of one feature**, and the model reads its columns in order. The frames are standardised by those of the
    training part. The loss is the cross entropy.

    Args:
        model: ``"optimized_lstm"``, ``"optimized_gru"``, ``"optimized_rnn"``, the same without ``optimized_`` (the same
            results to rounding, in more time), or another name of ``nn.registry``.
        hidden_size, num_layers, bidirectional: H, L, and True for two directions.
        dropout, recurrent_dropout: probabilities, between layers and of the hidden state (``nn.recurrent.Recurrent``).
        forget_bias: initial bias of the LSTM's forget gate; None for a random one.
        optimizer: ``"adam"``, ``"adamw"``, ``"rmsprop"``, ``"adagrad"``, ``"sgd"``, or ``"lbfgs"``: all sequences at
            once, one iteration an epoch.
        lr, epochs, batch_size: learning rate, passes over the training part, sequences per update.
        clip: largest norm of the gradient of an update, or None.
        weight_decay: of the optimiser; None for its own default.
        schedule, warmup: of the learning rate (``schedules``), and updates over which it first rises.
        class_weight: None, ``"balanced"`` or a dict class -> weight, by which the losses of its sequences are
            multiplied.
        early_stopping: True to draw a validation part, class by class, and stop after ``n_iter_no_change`` epochs
            without a smaller loss there. The weights of the epoch with the smallest loss are kept, on the validation
            part or, with False, on the training part.
        validation_fraction, n_iter_no_change: see there.
        dtype: of the parameters, ``"float32"`` or ``"float64"``.
        random_state: an int for the same bits every time; a ``RandomState``; or None.

    Attributes:
        classes_: (K,) the classes, sorted. n_features_in_: F, or T if X was (n, T).
        model_: the ``nn.model.Model``; ``npseq.save(path, model_)`` writes it to a file.
        history_: a dict for each epoch: ``train_loss``, ``validation_loss``, ``lr``. n_iter_: epochs done.
        best_epoch_: the epoch whose weights were kept.
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
        optimizer: str = "adam",
        lr: float = 0.01,
        epochs: int = 30,
        batch_size: int = 16,
        clip: float | None = 1.0,
        weight_decay: float | None = None,
        schedule: str = "constant",
        warmup: int = 0,
        class_weight: Any = None,
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
        self.class_weight = class_weight

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SequenceClassifier:
        """Train for one pass over X: a new model at the first call, the present one afterwards.

        The frames of the first call set the scaling. The weights are used as they are, so that those of different calls
        can be compared.

        Args:
            X, y, sample_weight: as ``fit``.
            classes: all classes that will occur; needed at the first call.

        Returns:
            self.

        Raises:
            ValueError: as ``fit``; also with ``early_stopping``, a schedule, L-BFGS or ``class_weight="balanced"``,
                which need all data at once. Diverged: the model then has the parameters from before the call.
        """
        return self._partial_fit(X, y, classes, sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability (n, K) of each class of ``classes_``.

        It is computed in float64, whatever ``dtype`` is, so that the sequences beside a sequence change its result only
        by the rounding of float64.

        Raises:
            NotFittedError: before ``fit``. ValueError: for an X that does not fit.
        """
        return probabilities(self._outputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class (n,) of each sequence. Errors as ``predict_proba``."""
        best = np.argmax(self._outputs(X), axis=1)
        classes: np.ndarray = self.classes_[best]
        return classes

    def _settle_targets(self, y, classes, reset):
        check_classification_targets(y)
        if classes is not None or reset:
            new = np.unique(y if classes is None else classes)
            if not reset and not np.array_equal(new, self.classes_):
                raise ValueError(f"classes is {new}, but was {self.classes_} at the first call of partial_fit")
            if len(new) < 2:
                raise ValueError(f"y has one class, {new[0]!r}; at least two classes expected")
            self.classes_ = new
        targets = np.searchsorted(self.classes_, y)
        unknown = self.classes_[np.minimum(targets, len(self.classes_) - 1)] != y
        if unknown.any():
            raise ValueError(f"y has the class {y[unknown][0]!r}, which is none of {self.classes_}")
        return targets

    def _settle_weights(self, y, weights):
        if self.class_weight is None:
            return weights
        by_class = compute_sample_weight(self.class_weight, y)
        if (by_class < 0).any():
            raise ValueError("class_weight has a negative weight")
        return by_class if weights is None else weights * by_class

    def _groups(self, targets, rows):
        return [rows[targets[rows] == k] for k in np.unique(targets[rows])]

    def _scalings(self, sequences, targets, rows, weights):
        return Scaling(frame_scaler(sequences, rows, weights), Scaler.identity(len(self.classes_)))

    def _examples(self, sequences: Sequences, targets: np.ndarray | None = None) -> Frames:
        if targets is not None:
            sequences = replace(sequences, labels=targets, classes=[str(one) for one in self.classes_])
        return Frames(sequences, self.model_.scaling.inputs)

    def _loss(self):
        return "cross_entropy"
