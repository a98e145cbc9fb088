"""A scikit-learn classifier for sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from ..data.sequences import Sequences
from ..nn.losses import probabilities
from ..nn.scaling import Scaler, Scaling
from ..tasks.sequences import SequenceDataset
from ..training.config import DEFAULTS, TrainingConfig
from .base import SequenceEstimator, updates_in_batches

if TYPE_CHECKING:
    from typing_extensions import Self


class SequenceClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """Classify sequences with a recurrent network, whose hidden states a linear layer reads.

    X is (n, T, F), or a list of n arrays (T_i, F) or (T_i,) of any lengths, or (n, T): **a row is then a sequence of T
    steps of one feature**, and the model reads its columns in order. The frames are standardised by those of the
    training part. The loss is the cross entropy.

    Args:
        model: ``"optimized_lstm"``, ``"optimized_gru"``, ``"optimized_rnn"``, the same without ``optimized_`` (the same
            results to rounding, in more time), or another name of ``nn.registry``.
        hidden_size: H.
        num_layers: L.
        bidirectional: True for two directions.
        read: what the linear layer reads of the hidden states: their mean and maximum, or another name of
            ``nn.reading``.
        patch: rows that are one step of the model (``nn.scaling.patches``); None for ``tasks.sequences.patch_for``.
        dropout: probability, between layers.
        recurrent_dropout: probability, of the hidden state (``nn.recurrent.Recurrent``).
        forget_bias: initial bias of the LSTM's forget gate; None for a random one.
        optimizer: ``"adam"``, ``"adamw"``, ``"rmsprop"``, ``"adagrad"``, ``"sgd"``, or ``"lbfgs"``: all sequences at
            once, one iteration an epoch.
        lr: learning rate.
        epochs: passes over the training part; None for a number that follows from that of the sequences
            (``training.config.TrainingConfig.to_classify``).
        batch_size: sequences per update.
        clip: largest norm of the gradient of an update.
        weight_decay: of the optimiser; None for its own default.
        schedule: of the learning rate (``schedules``); ``"auto"`` is warm-up and cosine without ``epochs``, otherwise
            constant.
        warmup: number of updates over which the learning rate first rises.
        class_weight: None, ``"balanced"`` or a dict class -> weight, by which the losses of its sequences are
            multiplied.
        early_stopping: True to draw a validation part, class by class, and stop after ``n_iter_no_change`` epochs
            without a smaller loss on it. The weights of the epoch with the smallest loss are kept: the loss on the
            validation part, or with False on the training part.
        validation_fraction: fraction of the sequences of each class that is drawn.
        n_iter_no_change: see ``early_stopping``.
        dtype: of the parameters, ``"float32"`` or ``"float64"``.
        random_state: an int for the same bits every time; a ``RandomState``; or None.

    Attributes:
        classes_: (K,) the classes, sorted.
        n_features_in_: F, or T if X was (n, T).
        model_: the ``nn.model.Model``; ``npseq.save(path, model_)`` writes it to a file.
        history_: a dict for each epoch: ``train_loss``, ``validation_loss``, ``lr``.
        n_iter_: number of epochs.
        best_epoch_: the epoch whose weights were kept.
    """

    loss = "cross_entropy"
    class_weight: Any
    classes_: np.ndarray

    def __init__(
        self,
        model: str = "optimized_gru",
        *,
        hidden_size: int = TrainingConfig.hidden_size,
        num_layers: int = TrainingConfig.num_layers,
        bidirectional: bool = DEFAULTS["classify"]["bidirectional"],
        read: str = DEFAULTS["classify"]["read"],
        patch: int | None = None,
        dropout: float = TrainingConfig.dropout,
        recurrent_dropout: float = TrainingConfig.recurrent_dropout,
        forget_bias: float | None = TrainingConfig.forget_bias,
        optimizer: str = TrainingConfig.optimizer,
        lr: float = DEFAULTS["classify"]["lr"],
        epochs: int | None = None,
        batch_size: int = DEFAULTS["alone"]["batch_size"],
        clip: float = TrainingConfig.clip,
        weight_decay: float | None = TrainingConfig.weight_decay,
        schedule: str = TrainingConfig.schedule,
        warmup: int = TrainingConfig.warmup,
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = DEFAULTS["early_stopping"]["validation_fraction"],
        n_iter_no_change: int = DEFAULTS["early_stopping"]["n_iter_no_change"],
        dtype: str = TrainingConfig.dtype,
        random_state: Any = None,
    ) -> None:
        self._store(locals())

    @available_if(updates_in_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one pass over X: a new model at the first call, the present one afterwards.

        The first call sets the scaling of the frames. The weights are used as they are, so that those of different
        calls can be compared. There is no such method with ``optimizer="lbfgs"``.

        Args:
            X, y, sample_weight: as ``fit``.
            classes: all classes that will occur; required at the first call.

        Returns:
            self.

        Raises:
            ValueError: as ``fit``; also with ``early_stopping``, a schedule or ``class_weight="balanced"``, which need
                all data at once. Diverged: the model then has the parameters from before the call.
        """
        if classes is None and not hasattr(self, "model_"):
            raise ValueError(
                "classes is missing; all classes that will occur expected at the first call of partial_fit"
            )
        return self._partial_fit(X, y, classes, sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability (n, K) of each class of ``classes_``.

        It is computed in float64 whatever the dtype of the model, so that it does not depend on the other sequences in
        the batch by more than the rounding of float64.

        Raises:
            NotFittedError: before ``fit``. ValueError: for an X that does not fit.
        """
        return probabilities(self._outputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class (n,) of each sequence. Errors as ``predict_proba``."""
        best = np.argmax(self._outputs(X), axis=1)
        classes: np.ndarray = self.classes_[best]
        return classes

    def _refuse_what_needs_the_whole_training(self) -> None:
        super()._refuse_what_needs_the_whole_training()
        if self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' given; partial_fit does not see all of y: give a dict of weights")

    def _targets(self, y: np.ndarray, classes: Any, first: bool) -> np.ndarray:
        check_classification_targets(y)
        found = np.unique(y)
        if first:
            self.classes_ = found if classes is None else np.unique(classes)
            if len(self.classes_) < 2:
                raise ValueError(f"y has one class, {self.classes_.tolist()[0]!r}; at least two classes expected")
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes is {np.unique(classes)}; {self.classes_} expected, as at the first call")
        unknown = np.setdiff1d(found, self.classes_)
        if len(unknown):
            raise ValueError(f"y has the class {unknown.tolist()[0]!r}; one of {self.classes_} expected")
        return np.searchsorted(self.classes_, y)

    def _weights(self, targets: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return weights
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            # n / (K n_k), where the n are sums of weights
            totals = np.bincount(targets, weights, minlength=len(self.classes_))
            of_class = totals.sum() / (len(totals) * np.where(totals > 0, totals, 1))
        else:
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[targets])
        if not (np.isfinite(of_class) & (of_class >= 0)).all():
            raise ValueError(f"class_weight is {self.class_weight!r}; finite numbers from 0 up expected")
        own: np.ndarray = of_class[targets]
        return own if weights is None else weights * own

    def _groups(self, targets: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
        return [rows[targets[rows] == k] for k in np.unique(targets[rows])]

    def _scaling(
        self, sequences: Sequences, targets: np.ndarray, rows: np.ndarray, weights: np.ndarray | None
    ) -> Scaling:
        return self._scaling_of(sequences, rows, weights, Scaler.identity(len(self.classes_)))

    def _examples(self, sequences: Sequences, scaling: Scaling, targets: np.ndarray | None = None) -> SequenceDataset:
        if targets is not None:
            sequences = replace(sequences, labels=targets, classes=[str(one) for one in self.classes_])
        return SequenceDataset(sequences, scaling.rows, patch=scaling.patch)
