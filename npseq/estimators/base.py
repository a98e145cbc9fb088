"""The base class of both estimators: training on sequences, and the outputs of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_X_y
from sklearn.utils.validation import check_is_fitted

from ..data.sequences import Sequences
from ..formats import schema
from ..fused import blas
from ..nn.model import Model
from ..nn.scaling import Scaler, Scaling
from ..nn.validation import OBJECTS, as_array
from ..tasks.scoring import outputs
from ..tasks.sequences import patch_for
from ..training.config import NAMES, TrainingConfig, plain
from ..training.fit import Progress
from ..training.run import TrainingRun
from .inputs import as_sequences, as_weights
from .training_set import TrainingSet, frame_scaler, split, whole

if TYPE_CHECKING:
    from typing_extensions import Self


_OTHERS = {
    "batch_size": schema.COUNT,
    "patch": schema.optional(schema.COUNT),
    "early_stopping": schema.BOOLEAN,
    "validation_fraction": schema.Field(
        lambda value: isinstance(value, float) and 0 < value < 1, "a number between 0 and 1"
    ),
    "n_iter_no_change": schema.COUNT,
}


class SequenceEstimator(ABC, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type hints
    """Base class of the estimators: the parameters are those of ``SequenceClassifier``."""

    loss: str  # name of the loss
    optimizer: str
    schedule: str
    warmup: int
    early_stopping: bool
    validation_fraction: float
    random_state: Any
    patch: int | None

    def _store(self, parameters: dict[str, Any]) -> None:
        """Set an attribute for each parameter of ``__init__``; ``parameters`` are its local variables."""
        for name in self._get_param_names():
            setattr(self, name, parameters[name])

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: X may have three axes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # ---- what a classifier and a regressor do differently ----

    @abstractmethod
    def _targets(self, y: np.ndarray, classes: Any, first: bool) -> np.ndarray:
        """Return y (n,) as the model's targets. ``first``: set the classes, which later y are compared with."""

    @abstractmethod
    def _weights(self, targets: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Return the weights (n,) or None, multiplied by those of the classes."""

    @abstractmethod
    def _groups(self, targets: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
        """Return ``rows`` in groups; a fraction of each group is drawn for the validation part."""

    @abstractmethod
    def _scaling(
        self, sequences: Sequences, targets: np.ndarray, rows: np.ndarray, weights: np.ndarray | None
    ) -> Scaling:
        """Return the scaling of the frames and of the outputs, given by the sequences ``rows``."""

    @abstractmethod
    def _examples(self, sequences: Sequences, scaling: Scaling, targets: np.ndarray | None = None) -> Any:
        """Return the sequences as examples, standardised."""

    # ---- fit ----

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new model.

        Args:
            X: (n, T, F); (n, T), where a row is a sequence of one feature; or a list of n arrays (T_i, F) or (T_i,).
            y: (n,) classes or numbers.
            sample_weight: (n,) numbers from 0 up, by which the losses of the sequences are multiplied; only their
                ratios count. A sequence of weight 0 is left out.

        Returns:
            self.

        Raises:
            ValueError: for data or a parameter that is invalid, naming what was given and what was expected.
            Diverged: if the loss is no longer finite (``training.fit.Diverged``).
            KeyboardInterrupt: if the training is interrupted. After any error there is no fitted model.
        """
        if hasattr(self, "model_"):
            del self.model_
        sequences, targets, weights = self._read(X, y, sample_weight, first=True)
        rows, rng = _used(weights, len(targets)), self._generator()
        settings = self._settings(len(rows))
        if weights is not None:
            weights = weights / weights[rows].mean()
        parts = (
            split(self._groups(targets, rows), self.validation_fraction, rng) if self.early_stopping else whole(rows)
        )
        scaling = self._scaling(sequences, targets, parts["train"], weights)
        task = TrainingSet(self._examples(sequences, scaling, targets), parts, weights, self.loss, scaling)
        run = TrainingRun(task, settings, rng)
        progress, state = _train(run)
        self.model_: Model = run.model
        self.rng_, self.optimizer_state_ = rng, state
        self.history_, self.n_iter_, self.best_epoch_ = _history(progress), progress.epoch, progress.best_epoch
        return self

    def _partial_fit(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> Self:
        """Train for one pass over X, continuing from the present model if there is one."""
        self._refuse_what_needs_the_whole_training()
        settings = self._settings(1, epochs=1)
        first = not hasattr(self, "model_")
        sequences, targets, weights = self._read(X, y, sample_weight, first, classes)
        rows = _used(weights, len(targets))
        rng = self._generator() if first else self.rng_
        scaling = self._scaling(sequences, targets, rows, weights) if first else self.model_.scaling
        assert scaling is not None  # every model of an estimator has one
        task = TrainingSet(self._examples(sequences, scaling, targets), whole(rows), weights, self.loss, scaling)
        run = TrainingRun(task, settings, rng, None if first else self.model_)
        model = run.model
        before = model.theta.copy()
        try:
            progress, state = _train(run, None if first else self.optimizer_state_)
        except BaseException:  # Diverged, or Ctrl-C
            model.theta[...] = before
            raise
        history, epochs = ([], 0) if first else (self.history_, self.n_iter_)
        self.model_, self.rng_, self.optimizer_state_ = model, rng, state
        self.n_iter_ = self.best_epoch_ = epochs + 1
        self.history_ = [*history, *({**row, "epoch": self.n_iter_} for row in _history(progress))]
        return self

    def _settings(self, count: int, **more: Any) -> TrainingConfig:
        """Return the parameters, ``more`` in their place, as settings of a training on ``count`` sequences, which
        checks them, and check the others."""
        given = self.get_params(deep=False) | more
        own = {name: plain(given[name]) for name in NAMES if name in given}
        others = schema.check({name: plain(given[name]) for name in _OTHERS}, _OTHERS, "the training")
        patience = others["n_iter_no_change"] if others["early_stopping"] else None
        # one thread: the bits do not depend on the machine or on n_jobs
        of = partial(TrainingConfig.to_classify, count) if self.loss == "cross_entropy" else TrainingConfig
        return of(**own, patience=patience, threads=1)

    def _scaling_of(
        self, sequences: Sequences, rows: np.ndarray, weights: np.ndarray | None, outputs: Scaler
    ) -> Scaling:
        """Return the scaling of the outputs, and of the frames of the sequences ``rows``, in patches."""
        patch = self.patch or patch_for(np.diff(sequences.starts)[rows])
        return Scaling(frame_scaler(sequences, rows, weights).repeat(patch), outputs, patch=patch)

    def _refuse_what_needs_the_whole_training(self) -> None:
        given: dict[str, Any] = {"early_stopping": self.early_stopping, "warmup": self.warmup}
        if self.schedule not in ("auto", "constant"):
            given["schedule"] = self.schedule
        for name in [name for name, value in given.items() if value]:
            raise ValueError(
                f"{name}={given[name]!r} given; partial_fit has no end of the training, so leave {name} out"
            )

    def _read(
        self, X: Any, y: Any, sample_weight: Any, first: bool, classes: Any = None
    ) -> tuple[Sequences, np.ndarray, np.ndarray | None]:
        """Return the sequences, the model's targets (n,) and the weights (n,) or None."""
        sequences = as_sequences(self, X, first)
        n = len(sequences.starts) - 1
        numeric = self.__sklearn_tags__().estimator_type == "regressor"
        as_array("y", y, OBJECTS if numeric else None)
        y = check_X_y(np.zeros((n, 1)), y, y_numeric=numeric, estimator=self)[1]
        if numeric and not np.isfinite(y).all():  # None, which is NaN only now
            raise ValueError("y has missing values; a number for each sequence expected")
        targets = self._targets(y, classes, first)
        weights = self._weights(targets, as_weights(sample_weight, n))
        if weights is not None and not weights.any():
            raise ValueError("class_weight leaves no sequence with a positive weight; at least one expected")
        return sequences, targets, weights

    def _generator(self) -> np.random.Generator:
        """Return a generator for the parts, the initial weights, the order of the sequences and dropout."""
        if self.random_state is None:
            return np.random.default_rng()
        return np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))

    # ---- predict ----

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the model's outputs (n, O) for X, in data units, computed in float64."""
        check_is_fitted(self, "model_")
        sequences = as_sequences(self, X, reset=False)
        assert self.model_.scaling is not None
        examples, rows = self._examples(sequences, self.model_.scaling), np.arange(len(sequences.starts) - 1)
        with blas.limited(1):
            return outputs(self.model_.astype(np.float64), examples, rows)


def updates_in_batches(estimator: Any) -> bool:
    """True if the optimiser updates batch by batch, so that ``partial_fit`` exists."""
    return bool(estimator.optimizer != "lbfgs")


def _train(run: TrainingRun, state: dict[str, Any] | None = None) -> tuple[Progress, dict[str, Any] | None]:
    """Train, continuing from the optimiser's ``state`` if there is one. Returns the progress and the new state."""
    if run.optimizer is not None and state is not None:
        try:
            run.optimizer.load_state_dict(state)
        except ValueError as error:
            raise ValueError(
                f"optimizer={run.config.optimizer!r} given, which differs from the call before: {error}"
            ) from None
    with blas.limited(1):
        progress = run.train()
    if progress.interrupted:
        raise KeyboardInterrupt("the training was interrupted")
    return progress, None if run.optimizer is None else run.optimizer.state_dict()


def _used(weights: np.ndarray | None, n: int) -> np.ndarray:
    """Return the numbers of the sequences whose weight is not 0."""
    return np.arange(n) if weights is None else np.flatnonzero(weights)


def _history(progress: Progress) -> list[dict[str, Any]]:
    """Return the history without its seconds, so that equal trainings give equal estimators."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in progress.history]
