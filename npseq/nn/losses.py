"""Losses: each returns the loss and its gradient with respect to the prediction.

    loss, dy = mse(y, target)

Formulas are torch's (2.13), with ``reduction="mean"``. They run in float32, float64 and complex128 (the complex-step
check passes a complex y); loss and dy have y's dtype, and dy has y's shape. Nothing is broadcast.

``weights`` are real numbers, one for each element of the target: each term of the sum is multiplied by its weight, and
the divisor does not change. So weights of mean 1 give a weighted mean, and the losses of batches average to that of all
their examples. (torch divides by the sum of the batch's weights, so in a batch of one example its weight cancels.)

Numbers such as (63) are those of the equations in ``docs/derivation.md``.

Raises (all of them): TypeError if y is not an array of floats, the target or the weights hold no real numbers, or one
of them is a masked array; ValueError if the shapes differ or the arrays are empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .validation import REAL, as_array

LossAndGradient = tuple[Any, np.ndarray]  # the loss, a NumPy scalar, and dy


def mse(y: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> LossAndGradient:
    """Compute the mean squared error over all n elements; y and target have the same shape.

    loss = Σ (y − target)² / n,   dy = 2 (y − target) / n
    """
    e = _difference(y, target)
    we = _weighted(e, weights)
    return (we * e).mean(), we * (2 / e.size)  # (63)


def mae(y: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> LossAndGradient:
    """Compute the mean absolute error over all n elements; y and target have the same shape.

    ``loss = Σ |y − target| / n``,   dy = sign(y − target) / n, which is 0 where they are equal
    """
    e = _difference(y, target)
    sign = _weighted(_sign(e), weights)
    return (sign * e).mean(), sign / e.size  # (64)


def huber(y: np.ndarray, target: np.ndarray, delta: float = 1.0, weights: np.ndarray | None = None) -> LossAndGradient:
    """Compute Huber's loss (Annals of Mathematical Statistics 35, 1964), the mean over all n elements.

        e = y − target,   m = min(|e|, δ)
        loss = Σ m (|e| − m/2) / n,   that is e²/2 up to δ, δ (|e| − δ/2) beyond
        dy = sign(e) m / n

    Args:
        y, target: of the same shape.
        delta: δ, greater than 0.
        weights: None, or of the same shape.

    Raises:
        ValueError: also if delta is not greater than 0.
    """
    if not delta > 0:
        raise ValueError(f"delta must be greater than 0; {delta!r} given")
    e = _difference(y, target)
    sign = _sign(e)
    size = sign * e  # |e|, by the sign of the real part
    m = np.where(size.real <= delta, size, np.asarray(delta, e.dtype))
    wm = _weighted(m, weights)
    return (wm * (size - m / 2)).mean(), sign * wm / e.size  # (65)


def cross_entropy(
    logits: np.ndarray,
    labels: np.ndarray,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    weights: np.ndarray | None = None,
) -> LossAndGradient:
    """Compute the cross entropy of softmax(logits) and the labels, the mean over the N labels that are not ignored.

        log p = logits − log Σ_k exp(logits_k)
        loss = −Σ_n Σ_k q_nk log p_nk / N,   dlogits = (p − q) / N

    q is 1 − ε at the label plus ε / K at each of the K classes, where ε is ``label_smoothing`` (Szegedy et al. 2016,
    arXiv 1512.00567v3). The largest logit is subtracted first, so that exp cannot overflow; a logit of −inf excludes a
    class (without smoothing).

    Args:
        logits: (…, K), classes on the last axis.
        labels: (…) integers from 0 to K − 1, or ``ignore_index``. If all are ignored, loss and gradient are 0 (torch's
            loss is NaN then).
        ignore_index: label of the examples that do not count.
        label_smoothing: ε, from 0 to 1.
        weights: None, or of the labels' shape; N does not depend on them.

    Raises:
        ValueError: if the shapes do not fit, labels are not integers or are out of range, or ε is outside [0, 1].
    """
    logits, labels = _floats(logits, "logits"), as_array("labels", labels)
    if logits.shape[:-1] != labels.shape or logits.size == 0 or labels.dtype.kind not in "iu":
        raise ValueError(
            "integer labels of shape (…) and logits of shape (…, K) expected, at least one; "
            f"{labels.dtype} labels of shape {labels.shape} and logits of shape {logits.shape} given"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1; {label_smoothing!r} given")
    K, used = logits.shape[-1], labels != ignore_index
    if ((labels < 0) | (labels >= K))[used].any():
        raise ValueError(
            f"labels must be from 0 to {K - 1} (or {ignore_index}, ignored); "
            f"{labels[used].min()} to {labels[used].max()} given"
        )
    shifted = logits - logits.real.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (66)
    weight = (used / max(used.sum(), 1)).astype(logits.real.dtype)  # 1 / N, or 0 where ignored
    weight = _weighted(weight, weights)[..., None]
    q = np.zeros(logits.shape, logits.real.dtype)
    np.put_along_axis(q, np.where(used, labels, 0)[..., None], 1 - label_smoothing, axis=-1)
    q = (q + np.asarray(label_smoothing / K, q.dtype)) * weight  # (67), divided by N
    loss = -(q * np.where(q != 0, log_p, 0)).sum()  # 0 · log 0 = 0
    return loss, np.exp(log_p) * weight - q  # (68)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return softmax(logits), p_k = exp(logits_k) / Σ_j exp(logits_j) over the last axis; of the shape of logits."""
    p: np.ndarray = np.exp(logits - logits.real.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p


def _difference(y: np.ndarray, target: np.ndarray) -> Any:
    y = _floats(y, "y")
    target = as_array("target", target, "fiubc" if y.dtype.kind == "c" else REAL)
    if y.shape != target.shape:
        raise ValueError(f"the prediction has the shape {y.shape} and the target {target.shape}: they must be the same")
    if y.size == 0:
        raise ValueError(f"the loss of an empty array is undefined: y has the shape {y.shape}")
    return y - target.astype(y.dtype, copy=False)


def _weighted(terms: np.ndarray, weights: np.ndarray | None) -> Any:
    """Return ``terms``, each multiplied by its weight, if there are weights."""
    if weights is None:
        return terms
    weights = as_array("weights", weights, REAL)
    if weights.shape != terms.shape:
        raise ValueError(
            f"the weights have the shape {weights.shape} and the target {terms.shape}: they must be the same"
        )
    return terms * weights.astype(terms.real.dtype, copy=False)


def _floats(array: np.ndarray, name: str) -> np.ndarray:
    array = as_array(name, array)
    if array.dtype.kind not in "fc" or array.ndim == 0:
        raise TypeError(f"{name} must be an array of floats; {array.dtype} of shape {array.shape} given")
    return array


def _sign(e: np.ndarray) -> Any:
    """Return −1, 0 or 1 by the sign of the real part, in e's dtype."""
    return np.sign(e.real).astype(e.dtype)


# The names that --loss takes, and the loss of classifiers.
LOSSES: dict[str, Callable[..., LossAndGradient]] = {
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "cross_entropy": cross_entropy,
}
