"""What both estimators share: from parameters and sequences to a trained model, and its outputs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_X_y
from sklearn.utils.validation import check_is_fitted

from .. import optim
from ..data.sequences import Sequences
from ..nn.model import Model
from ..nn.scaling import Scaling
from ..tasks.scoring import outputs, training_steps
from ..training.fit import Diverged, Progress, fit, fit_lbfgs
from .inputs import as_sequences, as_weights
from .training_set import TrainingSet, split

Self = TypeVar("Self", bound="SequenceEstimator")

# What L-BFGS does not use, and its default.
_NOT_OF_LBFGS = {"warmup": 0, "dropout": 0.0, "recurrent_dropout": 0.0, "weight_decay": None, "schedule": "constant"}


class SequenceEstimator(BaseEstimator):
    """Base class of the estimators: the parameters are those of ``SequenceClassifier``."""

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
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        dtype: str = "float32",
        random_state: Any = None,
    ):
        self.model = model
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.forget_bias = forget_bias
        self.optimizer = optimizer
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.clip = clip
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.warmup = warmup
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.dtype = dtype
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: X may have three axes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # ---- what a classifier and a regressor do differently ----

    @abstractmethod
    def _settle_targets(self, y: np.ndarray, classes: Any, reset: bool) -> np.ndarray:
        """Return y (n,) as the model's targets, after setting or comparing the classes."""

    @abstractmethod
    def _settle_weights(self, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Return the weights (n,) or None, those of the classes included."""

    @abstractmethod
    def _groups(self, targets: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
        """Return ``rows`` in groups, of each of which a fraction is drawn for the validation part."""

    @abstractmethod
    def _scalings(self, sequences: Sequences, targets: np.ndarray, rows: np.ndarray, weights: Any) -> Scaling:
        """Return the scaling of the frames and of the outputs, by the sequences ``rows``."""

    @abstractmethod
    def _examples(self, sequences: Sequences, targets: np.ndarray | None = None) -> Any:
        """Return the sequences as examples, standardised by the scaling of the model."""

    @abstractmethod
    def _loss(self) -> str:
        """Return the name of the loss."""

    # ---- fit ----

    def fit(self: Self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new model.

        Args:
            X: (n, T, F); (n, T), a row is a sequence of one feature; or a list of n arrays (T_i, F) or (T_i,).
            y: (n,) classes or numbers.
            sample_weight: (n,) numbers from 0 up, by which the losses of the sequences are multiplied; only their
                ratios count. A sequence of weight 0 is left out.

        Returns:
            self.

        Raises:
            ValueError: for data or a parameter that is invalid, naming what was given and what was expected.
            Diverged: if the loss is no longer finite (``training.fit.Diverged``).
            KeyboardInterrupt: if the training was interrupted; there is no fitted model then.
        """
        self._check_parameters()
        sequences, targets, weights = self._read(X, y, sample_weight, reset=True)
        rng = self._generator()
        rows = np.arange(len(targets)) if weights is None else np.flatnonzero(weights)
        if weights is not None:
            weights = weights / weights[rows].mean()
        if self.early_stopping:
            parts = split(self._groups(targets, rows), self.validation_fraction, rng)
        else:
            parts = {"train": rows, "validation": rows}
        model = self._new_model(self._scalings(sequences, targets, parts["train"], weights), rng)
        self.model_, self.rng_ = model, rng
        task = TrainingSet(self._examples(sequences, targets), parts, weights)
        patience = self.n_iter_no_change if self.early_stopping else None
        if self.optimizer == "lbfgs":
            progress, self.optimizer_state_ = fit_lbfgs(model, task, epochs=self.epochs, patience=patience), None
        else:
            progress = self._fit_in_batches(task, self.epochs, patience)
        self._finish(progress)
        self.history_ = _without_times(progress)
        self.n_iter_, self.best_epoch_ = progress.epoch, progress.best_epoch
        return self

    def _partial_fit(self, X, y, classes, sample_weight):
        """Train for one pass over X, going on from the present model if there is one."""
        self._check_parameters(partial=True)
        first = not hasattr(self, "model_")
        sequences, targets, weights = self._read(X, y, sample_weight, reset=first, classes=classes)
        rows = np.arange(len(targets)) if weights is None else np.flatnonzero(weights)
        if first:
            rng = self._generator()
            model = self._new_model(self._scalings(sequences, targets, rows, weights), rng)
            self.model_, self.rng_, self.optimizer_state_ = model, rng, None
            self.history_, self.n_iter_ = [], 0
        task = TrainingSet(self._examples(sequences, targets), {"train": rows, "validation": rows}, weights)
        before = self.model_.theta.copy()
        try:
            progress = self._fit_in_batches(task, 1, None, self.optimizer_state_)
        except Diverged:
            self.model_.theta[...] = before
            raise
        self._finish(progress)
        self.n_iter_ += 1
        self.best_epoch_ = self.n_iter_
        self.history_ = [*self.history_, *({**row, "epoch": self.n_iter_} for row in _without_times(progress))]
        return self

    def _check_parameters(self, partial=False):
        """Check what neither the model nor the training loop checks."""
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1; {self.epochs!r} given")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1; {self.validation_fraction!r} given")
        if self.optimizer not in (*optim.OPTIMIZERS, "lbfgs"):
            names = ", ".join([*optim.OPTIMIZERS, "lbfgs"])
            raise ValueError(f"unknown optimizer {self.optimizer!r}; one of {names} expected")
        if self.optimizer == "lbfgs":
            for name, default in _NOT_OF_LBFGS.items():
                if getattr(self, name) != default:
                    raise ValueError(f"{name} does nothing with optimizer='lbfgs': leave it out")
        refused = {"early_stopping": self.early_stopping, "schedule": self.schedule != "constant",
                   "warmup": self.warmup, "optimizer": self.optimizer == "lbfgs"}  # fmt: skip
        for name in [name for name, given in refused.items() if partial and given]:
            raise ValueError(
                f"partial_fit is not possible with {name}={getattr(self, name)!r}, which needs the whole training"
            )

    def _read(self, X, y, sample_weight, reset, classes=None):
        """Return the sequences, the model's targets (n,) and the weights (n,) or None."""
        sequences = as_sequences(self, X, reset)
        n = len(sequences.starts) - 1
        numeric = self.__sklearn_tags__().estimator_type == "regressor"
        y = check_X_y(np.zeros((n, 1)), y, y_numeric=numeric, estimator=self)[1]
        targets = self._settle_targets(y, classes, reset)
        return sequences, targets, self._settle_weights(y, as_weights(sample_weight, n))

    def _generator(self):
        """A generator for the parts, the initial weights, the order of the sequences and dropout."""
        if self.random_state is None:
            return np.random.default_rng()
        return np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))

    def _new_model(self, scaling, rng):
        options = {"threads": 1} if self.model.startswith("optimized") else {}  # bits do not depend on the machine
        return Model(
            self.model,
            len(scaling.inputs),
            self.hidden_size,
            len(scaling.outputs),
            loss=self._loss(),
            dtype=np.dtype(self.dtype),
            rng=rng,
            scaling=scaling,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            forget_bias=self.forget_bias,
            **options,
        )

    def _fit_in_batches(self, task: TrainingSet, epochs: int, patience: int | None, state: Any = None) -> Progress:
        """Train ``model_`` and keep the optimiser's state, from which ``partial_fit`` goes on."""
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        optimizer = optim.OPTIMIZERS[self.optimizer](self.model_.theta, lr=self.lr, **decay)
        if state is not None:
            optimizer.load_state_dict(state)
        steps = training_steps(task, self.batch_size)
        more = {"patience": 2} if self.schedule == "plateau" else {}  # as the command has it
        schedule = optim.make_schedule(self.schedule, self.lr, epochs * steps, steps, self.warmup, **more)
        progress = fit(self.model_, task, optimizer, epochs=epochs, batch_size=self.batch_size, clip=self.clip,
                       rng=self.rng_, schedule=schedule, patience=patience)  # fmt: skip
        self.optimizer_state_ = optimizer.state_dict()
        return progress

    def _finish(self, progress):
        if progress.interrupted:
            del self.model_
            raise KeyboardInterrupt("the training was interrupted")

    # ---- predict ----

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the model's outputs (n, O) for X, in data units, computed in float64."""
        check_is_fitted(self)
        sequences = as_sequences(self, X, reset=False)
        rows = np.arange(len(sequences.starts) - 1)
        return outputs(self.model_.astype(np.float64), self._examples(sequences), rows)


def _without_times(progress):
    """The history without its seconds, so that equal trainings give equal estimators."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in progress.history]
