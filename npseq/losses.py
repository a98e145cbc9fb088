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


def _difference(y, target):
    y, target = np.asarray(y), np.asarray(target)
    if y.shape != target.shape:
        raise ValueError(f"the prediction has the shape {y.shape} and the target {target.shape}: they must be the same")
    if y.size == 0:
        raise ValueError("the loss of no elements is not defined: y is empty")
    return y - target.astype(y.dtype, copy=False)


LOSSES = {"mse": mse}
