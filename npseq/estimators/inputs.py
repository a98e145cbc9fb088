"""What an estimator is given, X and sample weights, checked and brought into one form."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from ..data.arrays import of_nested
from ..data.load import LARGEST
from ..data.sequences import Sequences
from ..nn.validation import OBJECTS, as_array


def as_sequences(estimator: Any, X: Any, reset: bool) -> Sequences:
    """Return X as ``data.Sequences`` without labels, float64.

    Args:
        estimator: whose ``n_features_in_`` (and ``feature_names_in_``) is set, or compared with X.
        X: (n, T, F); (n, T), n sequences of one feature; or a list of n arrays (T_i, F) or (T_i,), T_i ≥ 1. A nested
            list of numbers is an array if all its lengths are equal.
        reset: True to fit: ``n_features_in_`` is then F, and for an X (n, T) it is T, the number of its columns, as
            scikit-learn has it; False to compare.

    Raises:
        ValueError: for an X of another shape, another number of features than at the fit, values that are NaN,
            infinite or larger than ``data.load.LARGEST``, or a sequence without a step.
        TypeError: for a sparse X.
    """
    if hasattr(X, "dtype") and not hasattr(X, "iloc"):
        as_array("X", X, OBJECTS)
    arrays = _listed(X)
    if arrays is not None:
        frames, starts = _end_to_end(arrays)
    elif (ndim := X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) > 3:
        raise ValueError(f"X has the shape {np.shape(X)}; (n, T, F), (n, T) or a list of n arrays (T_i, F) expected")
    elif ndim == 3:
        X = check_array(X, dtype=np.float64, allow_nd=True, input_name="X", estimator=estimator)
        n, T, F = X.shape
        if T == 0 or F == 0:
            raise ValueError(f"X has the shape {X.shape}; sequences of at least one step and one feature expected")
        frames, starts = X.reshape(n * T, F), np.arange(n + 1) * T
    else:
        return _rows(estimator, X, reset)
    F = frames.shape[1]
    if reset:
        estimator.n_features_in_, estimator.fitted_on_rows_ = F, False
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    expected = 1 if estimator.fitted_on_rows_ else estimator.n_features_in_
    if expected != F:
        raise ValueError(
            f"X has {F} features, but {type(estimator).__name__} is expecting {expected} features as input"
        )
    return _sequences(frames, starts)


def _rows(estimator: Any, X: Any, reset: bool) -> Sequences:
    """Return the rows of X (n, T), each a sequence of one feature."""
    if reset or estimator.fitted_on_rows_:
        X = validate_data(estimator, X, reset=reset, dtype=np.float64)
        if reset:
            estimator.fitted_on_rows_ = True
    else:
        X = check_array(X, dtype=np.float64, input_name="X", estimator=estimator)
        if estimator.n_features_in_ != 1:
            raise ValueError(
                f"X has the shape {X.shape}, n sequences of 1 feature, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input: (n, T, {estimator.n_features_in_})"
            )
    n, T = X.shape
    return _sequences(X.reshape(n * T, 1), np.arange(n + 1) * T)


def _listed(X: Any) -> Any:
    """Return the arrays of a list of sequences; None if X is one array."""
    if getattr(X, "ndim", 0) == 1 and getattr(X, "dtype", None) == np.dtype(object):  # as a column may hold arrays
        X = list(X)
    if hasattr(X, "iat") and getattr(X, "ndim", 0) == 2:
        X = of_nested(X)
    if not isinstance(X, (list, tuple)):
        return None
    if any(getattr(one, "ndim", 0) > 0 for one in X):
        return X
    try:
        np.asarray(X)
    except ValueError:  # of different lengths
        return X
    return None


def _end_to_end(arrays: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames (Σ T_i, F) of a list of arrays, and where each begins."""
    frames: list[np.ndarray] = []
    for number, given in enumerate(arrays):
        try:
            one = as_array("it", given, OBJECTS).astype(np.float64, copy=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"sequence {number} of X is not an array of real numbers: {error}") from None
        one = one[:, None] if one.ndim == 1 else one
        if one.ndim != 2 or 0 in one.shape:
            raise ValueError(
                f"sequence {number} of X has the shape {one.shape}; (T, F) expected, with at least one step and feature"
            )
        if frames and one.shape[1] != frames[0].shape[1]:
            raise ValueError(
                f"sequence {number} of X has {one.shape[1]} features and sequence 0 has {frames[0].shape[1]}: "
                "they must be the same"
            )
        if not np.isfinite(one).all():
            step, feature = np.argwhere(~np.isfinite(one))[0]
            raise ValueError(
                f"sequence {number} of X has {one[step, feature]} at step {step}, feature {feature}; finite numbers "
                "expected"
            )
        frames.append(one)
    joined = np.ascontiguousarray(np.concatenate(frames))  # those of a DataFrame are in the order of its columns
    return joined, np.append(0, np.cumsum([len(one) for one in frames]))


def _sequences(frames: np.ndarray, starts: np.ndarray) -> Sequences:
    check_size("X", frames)
    columns = ["value"] if frames.shape[1] == 1 else [f"x{k}" for k in range(frames.shape[1])]
    return Sequences("X", frames, columns, starts, np.zeros(len(starts) - 1, np.int64), [])


def check_size(name: str, values: np.ndarray) -> None:
    """Raise ValueError for a value whose square overflows in a sum."""
    if (largest := np.abs(values).max(initial=0.0)) > LARGEST:
        raise ValueError(f"{name} has a value of size {largest:.3g}; at most {LARGEST:g} expected")


def as_weights(sample_weight: Any, n: int) -> np.ndarray | None:
    """Return the weights (n,) float64, or None.

    Args:
        sample_weight: None, a number for all sequences, or (n,) numbers from 0 up.
        n: number of sequences.

    Raises:
        ValueError: for another shape, a negative weight, or weights that are all zero.
    """
    if sample_weight is None:
        return None
    as_array("sample_weight", sample_weight, OBJECTS)
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n, sample_weight)
    weights: np.ndarray = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (n,):
        raise ValueError(f"sample_weight has the shape {weights.shape}; {(n,)} expected, one for each sequence")
    if (weights < 0).any():
        raise ValueError(f"sample_weight has negative weights; the smallest is {weights.min()}")
    if not weights.any():
        raise ValueError("sample_weight has only zeros; at least one positive weight expected")
    return weights
