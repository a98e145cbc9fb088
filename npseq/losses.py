"""Losses: each returns the loss and its gradient with respect to the prediction.

    loss, dy = mse(y, target)

Formulas are torch's, with ``reduction="mean"``. They run in float32, float64 and complex128 (a complex y is what the
complex-step check gives them), and dtype follows y.
"""

import numpy as np


def mse(y, target):
    """Mean squared error over all elements: loss = mean((y − target)²), dy = 2 (y − target) / n.

    y and target of one shape. Raises ValueError when they are not.
    """
    difference = _difference(y, target)
    return (difference * difference).mean(), difference * (2 / difference.size)


def mae(y, target):
    """Mean absolute error over all elements: loss = mean |y − target|, dy = sign(y − target) / n, 0 where they are equal.

    y and target of one shape. Raises ValueError when they are not.
    """
    difference = _difference(y, target)
    sign = np.sign(difference.real).astype(difference.dtype)  # real parts, so that a complex step can be taken
    return (sign * difference).mean(), sign / difference.size


def huber(y, target, delta=1.0):
    """Huber's loss (Annals of Mathematical Statistics 35, 1964), with e = y − target and the mean over all elements:

        e²/2 where |e| ≤ δ, δ (|e| − δ/2) elsewhere;    de = e, or δ sign(e)

    y and target of one shape, δ > 0. Raises ValueError otherwise.
    """
    if not delta > 0:
        raise ValueError(f"delta must be greater than 0; {delta!r} given")
    e = _difference(y, target)
    sign = np.sign(e.real).astype(e.dtype)
    small = (sign * e).real <= delta
    loss = np.where(small, 0.5 * e * e, delta * (sign * e - 0.5 * delta)).mean()
    return loss, np.where(small, e, delta * sign) / e.size


def cross_entropy(logits, labels, ignore_index=-100, label_smoothing=0.0):
    """Cross entropy between softmax(logits) and the labels, mean over the labels that are not ``ignore_index``.

        log p = logits − log Σ exp(logits),   loss = −mean_n Σ_k q_nk log p_nk,   dlogits = (p − q) / N

    q is (1 − ε) at the label plus ε / K at each of the K classes, ε being ``label_smoothing`` (Szegedy et al. 2016, arXiv
    1512.00567v3). The largest logit is taken off first, so that ±1e4 is safe.

    Args:
        logits: (…, K), classes on the last axis.
        labels: (…) integers from 0 to K − 1, or ``ignore_index``. When all are ignored, loss and gradient are 0 (torch's
            loss is then NaN).

    Raises:
        ValueError: for shapes that do not fit, labels out of range, a smoothing outside [0, 1].
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    K = logits.shape[-1] if logits.ndim else 0
    if logits.shape[:-1] != labels.shape or labels.size == 0 or labels.dtype.kind not in "iu":
        raise ValueError(f"logits of shape {logits.shape} need integer labels of shape {logits.shape[:-1]}, at least one; "
                         f"{labels.dtype} of shape {labels.shape} given")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1; {label_smoothing!r} given")
    used = labels != ignore_index
    if ((labels < 0) | (labels >= K))[used].any():
        raise ValueError(f"labels must be from 0 to {K - 1} (or {ignore_index}, ignored); "
                         f"{labels[used].min()} to {labels[used].max()} given")
    count = max(int(used.sum()), 1)
    shifted = logits - logits.real.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    q = np.full(logits.shape, label_smoothing / K, logits.real.dtype)
    np.put_along_axis(q, np.where(used, labels, 0)[..., None], 1 - label_smoothing + label_smoothing / K, axis=-1)
    q *= used[..., None]
    loss = -(q * log_p).sum() / count
    return loss, (np.exp(log_p) * used[..., None] - q) / count


def _difference(y, target):
    y, target = np.asarray(y), np.asarray(target)
    if y.shape != target.shape:
        raise ValueError(f"the prediction has the shape {y.shape} and the target {target.shape}: they must be the same")
    if y.size == 0:
        raise ValueError("the loss of no elements is not defined: y is empty")
    return y - target.astype(y.dtype, copy=False)


# The names that --loss takes, and the classifier's.
LOSSES = {"mse": mse, "mae": mae, "huber": huber, "cross_entropy": cross_entropy}
